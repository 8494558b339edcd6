"""ERes2Net in torch: log-mel features to a speaker embedding.

The features are an image of frequency and time. Four stages of residual blocks look at it, the last
three halving both axes. In a block the channels go through in slices, each of which hears the
result of the one before: in the first two stages added to it, in the last two fused with it by
weights that a small network gives (local fusion). The outputs of the stages are fused the same way
from bottom to top (global fusion). Mean and standard deviation over time, of the whole clip, and a
linear map end it.

ReLU is cut off at 20, but for the very first. Modules and parameters have the names of 3D-Speaker's
checkpoints, so that their tensors load as they are.

Letters: B clips, C channels, F frequencies, T frames.
Method: Chen et al., "An Enhanced Res2Net with Local and Global Feature Fusion for Speaker
Verification", 2023. Facts (names, sizes, constants): github.com/modelscope/3D-Speaker,
``speakerlab/models/eres2net``, files ``ERes2Net.py`` and ``ERes2Net_huge.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

CEILING = 20.0
"""Highest output of a ReLU."""
MIN_VARIANCE = 1e-8
"""Added to the variance over time."""
FUSION_BOTTLENECK = 4
"""Channels for each of the hidden layer of a fusion."""
STAGES = 4
HALVED = 2 ** (STAGES - 1)
"""Bands, and about as many frames, that are one after the last stage."""


@dataclass(frozen=True)
class ERes2NetConfig:
    """Sizes of the network; by default those of the model trained on VoxCeleb.

    Attributes:
        channels: after the first convolution; every stage but the first doubles them.
        embedding: dimensions of the result.
        expansion: channels that a block puts out, for each of its stage.
        base_width: channels of a slice, for 64 of its stage.
        slices: in every block.
        blocks: in each stage.
        bands: frequencies of the features, a multiple of 8.
    """

    channels: int = 32
    embedding: int = 192
    expansion: int = 2
    base_width: int = 32
    slices: int = 2
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    bands: int = 80


class ERes2Net(nn.Module):
    """The network; every clip of a batch is heard whole, so all must be of one length."""

    def __init__(self, config: ERes2NetConfig | None = None) -> None:
        super().__init__()
        config = config or ERes2NetConfig()
        self.conv1 = nn.Conv2d(1, config.channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(config.channels)
        own = [config.channels * 2**stage for stage in range(STAGES)]
        out = [config.expansion * channels for channels in own]
        self.layer1 = _stage(config, 0, config.channels, own[0])
        self.layer2 = _stage(config, 1, out[0], own[1])
        self.layer3 = _stage(config, 2, out[1], own[2])
        self.layer4 = _stage(config, 3, out[2], own[3])
        halves = [nn.Conv2d(*sizes, 3, stride=2, padding=1, bias=False) for sizes in pairwise(out)]
        self.layer1_downsample, self.layer2_downsample, self.layer3_downsample = halves
        self.fuse_mode12 = Fusion(out[1])
        self.fuse_mode123 = Fusion(out[2])
        self.fuse_mode1234 = Fusion(out[3])
        self.seg_1 = nn.Linear(2 * out[3] * (config.bands // HALVED), config.embedding)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings as they come, (B, embedding), of features (B, T, bands); 9 frames at least."""
        image = features.transpose(1, 2)[:, None]
        first = self.layer1(functional.relu(self.bn1(self.conv1(image))))
        second = self.layer2(first)
        fused = self.fuse_mode12(second, self.layer1_downsample(first))
        third = self.layer3(second)
        fused = self.fuse_mode123(third, self.layer2_downsample(fused))
        fourth = self.layer4(third)
        fused = self.fuse_mode1234(fourth, self.layer3_downsample(fused))
        embeddings: Tensor = self.seg_1(_statistics(fused))
        return embeddings


class Fusion(nn.Module):
    """Two maps as one: their sum, in which each of the two counts 0 to 2 times, together 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // FUSION_BOTTLENECK
        self.local_att = nn.Sequential(
            nn.Conv2d(2 * channels, hidden, 1),
            nn.BatchNorm2d(hidden),
            nn.SiLU(),
            nn.Conv2d(hidden, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two maps (B, C, F, T) to one."""
        lean = torch.tanh(self.local_att(torch.cat([x, y], dim=1)))
        return x * (1.0 + lean) + y * (1.0 - lean)


class Block(nn.Module):
    """Slices between two convolutions over channels, and a shortcut around it all."""

    def __init__(
        self, config: ERes2NetConfig, n_in: int, channels: int, stride: int, *, fuses: bool
    ) -> None:
        super().__init__()
        width = channels * config.base_width // 64
        inner, n_out, n = width * config.slices, channels * config.expansion, config.slices
        self.conv1 = nn.Conv2d(n_in, inner, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.convs = nn.ModuleList(
            [nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(n)]
        )
        self.bns = nn.ModuleList([nn.BatchNorm2d(width) for _ in range(n)])
        self.fuse_models = nn.ModuleList([Fusion(width) for _ in range(n - 1)] if fuses else [])
        self.conv3 = nn.Conv2d(inner, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, F, T) to (B, out, F', T'), halved if the block's stride is 2."""
        slices = _cut_relu(self.bn1(self.conv1(x))).chunk(len(self.convs), dim=1)
        made: list[Tensor] = []
        for index, (part, conv, norm) in enumerate(zip(slices, self.convs, self.bns, strict=True)):
            heard = self._with_last(made, part, index) if made else part
            made.append(_cut_relu(norm(conv(heard))))
        inner: Tensor = self.bn3(self.conv3(torch.cat(made, dim=1)))
        return _cut_relu(inner + self.shortcut(x))

    def _with_last(self, made: list[Tensor], part: Tensor, index: int) -> Tensor:
        """A slice, and in it the result of the one before."""
        if not self.fuse_models:
            return made[-1] + part
        fused: Tensor = self.fuse_models[index - 1](made[-1], part)
        return fused


def _stage(config: ERes2NetConfig, stage: int, n_in: int, channels: int) -> nn.Sequential:
    """Blocks; the first changes the size, and halves it in all stages but the first."""
    inputs = [n_in] + [channels * config.expansion] * (config.blocks[stage] - 1)
    return nn.Sequential(
        *(
            Block(config, size, channels, 2 if stage and not index else 1, fuses=stage >= 2)
            for index, size in enumerate(inputs)
        )
    )


def _cut_relu(x: Tensor) -> Tensor:
    return x.clamp(0.0, CEILING)


def _statistics(x: Tensor) -> Tensor:
    """(B, C, F, T) to (B, 2 * C * F): means over time, then standard deviations (by T - 1)."""
    spread = (x.var(dim=3) + MIN_VARIANCE).sqrt()
    return torch.cat([x.mean(dim=3).flatten(1), spread.flatten(1)], dim=1)
