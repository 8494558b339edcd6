"""WavLM in torch: 16 kHz samples to the hidden states of a transformer with gated positions.

Seven convolutions make one frame of 20 ms out of every 320 samples; a convolution over 128 frames
tells the frames their places, and transformer layers, normalised at their inputs, follow. Scores of
the attention get a bias by the distance of two frames, learned once and shared by all layers; every
head scales it for each query by a gate that it computes from its own input.

Modules and parameters have the names of the published checkpoints (Microsoft's WavLM, as s3prl and
UniSpeech use it), so that their tensors load as they are. Only the large variety is here: layer
norms in all convolutions, inputs normalised, no dropout, no masking, no padding.

The attention takes its queries in blocks. The bias of all pairs of frames would need gigabytes for
the two minutes of a runaway clip.

Letters: B clips, N samples, T frames, C channels of the convolutions, D width, H heads.
Method: Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech
Processing", 2022.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
"""(kernel, stride) of the convolutions before the transformer."""

GATE = 8
"""Outputs of the gate's linear map: two halves, each summed."""

BLOCK = 512
"""Queries of the attention that are taken together: about 10 s."""


@dataclass(frozen=True)
class WavLMConfig:
    """Sizes of the network; by default those of WavLM-large."""

    channels: int = 512
    width: int = 1024
    feed_forward: int = 4096
    layers: int = 24
    heads: int = 16
    position_kernel: int = 128
    position_groups: int = 16
    buckets: int = 320
    max_distance: int = 800


LARGE = WavLMConfig()


class WavLM(nn.Module):
    """The network; every clip of a batch is heard whole, so all must be of one length."""

    def __init__(self, config: WavLMConfig = LARGE) -> None:
        super().__init__()
        self.feature_extractor = Convolutions(config)
        self.layer_norm = nn.LayerNorm(config.channels)
        self.post_extract_proj = nn.Linear(config.channels, config.width)
        self.mask_emb = nn.Parameter(torch.zeros(config.width))  # of the training; not used here
        self.encoder = Encoder(config)

    def forward(self, waves: Tensor) -> list[Tensor]:
        """The input of every layer, and the normalised output of the last, as s3prl hands them on.

        Args:
            waves: (B, N), of any level: each is brought to mean 0 and variance 1.

        Returns:
            ``layers + 1`` tensors, each (B, T, D).
        """
        heard = self.feature_extractor(functional.layer_norm(waves, waves.shape[1:]))
        states: list[Tensor] = self.encoder(self.post_extract_proj(self.layer_norm(heard)))
        return states


class Convolutions(nn.Module):
    """Samples to frames."""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        inputs = [1] + [config.channels] * (len(CONVOLUTIONS) - 1)
        self.conv_layers = nn.ModuleList(
            [
                Convolution(n_in, config.channels, kernel, stride)
                for n_in, (kernel, stride) in zip(inputs, CONVOLUTIONS, strict=True)
            ]
        )

    def forward(self, waves: Tensor) -> Tensor:
        """(B, N) to (B, T, C)."""
        signal = waves[:, None]
        for convolution in self.conv_layers:
            signal = convolution(signal)
        return signal.transpose(1, 2)


class Convolution(nn.ModuleDict):
    """Convolution, layer norm over channels, GELU.

    The published names count a dropout (1) and a transposition (2.0), which hold nothing.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int) -> None:
        convolution = nn.Conv1d(n_in, n_out, kernel, stride, bias=False)
        norm = nn.Sequential(nn.Identity(), nn.LayerNorm(n_out))
        super().__init__({"0": convolution, "2": norm})

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, N) to (B, out, N')."""
        frames = self["2"](self["0"](x).transpose(1, 2))
        return functional.gelu(frames).transpose(1, 2)


class Encoder(nn.Module):
    """Places, then transformer layers."""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.pos_conv = nn.ModuleList([PositionConvolution(config)])
        self.layers = nn.ModuleList(
            [Layer(config, has_distances=index == 0) for index in range(config.layers)]
        )
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Frames (B, T, D) to ``layers + 1`` states, each (B, T, D)."""
        x = x + self.pos_conv[0](x)
        line = cast("Layer", self.layers[0]).self_attn.distance_bias(x.shape[1])
        states = []
        for layer in self.layers:
            states.append(x)
            x = layer(x, line)
        return [*states, self.layer_norm(x)]


class PositionConvolution(nn.Module):
    """Convolution over time whose kernel is stored as direction and, for each tap, length."""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        kernel, self.groups = config.position_kernel, config.position_groups
        self.weight_g = nn.Parameter(torch.ones(1, 1, kernel))
        self.weight_v = nn.Parameter(torch.ones(config.width, config.width // self.groups, kernel))
        self.bias = nn.Parameter(torch.zeros(config.width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        length = self.weight_v.norm(dim=(0, 1), keepdim=True)
        kernel = self.weight_v * (self.weight_g / length)
        places = functional.conv1d(
            x.transpose(1, 2), kernel, self.bias, padding=kernel.shape[2] // 2, groups=self.groups
        )
        # An even kernel gives one frame too many.
        return functional.gelu(places[:, :, : x.shape[1]]).transpose(1, 2)


class Layer(nn.Module):
    """Attention and feed-forward network, each behind a layer norm and beside a shortcut."""

    def __init__(self, config: WavLMConfig, has_distances: bool) -> None:
        super().__init__()
        self.self_attn = Attention(config, has_distances)
        self.self_attn_layer_norm = nn.LayerNorm(config.width)
        self.fc1 = nn.Linear(config.width, config.feed_forward)
        self.fc2 = nn.Linear(config.feed_forward, config.width)
        self.final_layer_norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, line: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D); ``line`` as in ``Attention``."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), line)
        hidden = functional.gelu(self.fc1(self.final_layer_norm(x)))
        added: Tensor = self.fc2(hidden)
        return x + added


class Attention(nn.Module):
    """Self-attention with a gated bias by distance; the first layer's holds the bias of all."""

    def __init__(self, config: WavLMConfig, has_distances: bool) -> None:
        super().__init__()
        self.heads, self.max_distance = config.heads, config.max_distance
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width)
        self.v_proj = nn.Linear(config.width, config.width)
        self.out_proj = nn.Linear(config.width, config.width)
        self.grep_linear = nn.Linear(config.width // config.heads, GATE)
        self.grep_a = nn.Parameter(torch.ones(1, config.heads, 1, 1))
        if has_distances:
            self.relative_attention_bias = nn.Embedding(config.buckets, config.heads)

    def distance_bias(self, frames: int) -> Tensor:
        """Bias of a key that lies -(T - 1) … T - 1 frames behind its query, (H, 2T - 1)."""
        table = self.relative_attention_bias.weight
        distances = torch.arange(1 - frames, frames)
        buckets = distance_buckets(distances, len(table), self.max_distance)
        return table[buckets.to(table.device)].T

    def forward(self, x: Tensor, line: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D).

        Args:
            x: frames, normalised.
            line: bias by distance, (H, 2T - 1).
        """
        queries, keys, values = (
            self._split(projection(x)) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        gates = self._gates(self._split(x))
        frames = x.shape[1]
        parts = []
        for start in range(0, frames, BLOCK):
            end = min(start + BLOCK, frames)
            bias = gates[:, :, start:end] * bias_rows(line, start, end)
            parts.append(
                functional.scaled_dot_product_attention(
                    queries[:, :, start:end], keys, values, attn_mask=bias
                )
            )
        joined = torch.cat(parts, dim=2).transpose(1, 2).flatten(2)
        output: Tensor = self.out_proj(joined)
        return output

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, H, T, D/H)."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def _gates(self, x: Tensor) -> Tensor:
        """What every query multiplies the bias by, (B, H, T, 1), from (B, H, T, D/H)."""
        halves: Tensor = self.grep_linear(x).reshape(*x.shape[:3], 2, GATE // 2).sum(dim=4)
        reset, update = torch.sigmoid(halves).chunk(2, dim=3)
        return reset * (update * self.grep_a - 1.0) + 2.0


def distance_buckets(distances: Tensor, buckets: int, max_distance: int) -> Tensor:
    """Row of the bias table by distance in frames; int64 of any shape, on the CPU.

    Half of the rows are for keys behind the query. A quarter stand for one distance each, the
    next quarter for logarithmic ranges up to ``max_distance``; beyond it all is the last row.
    """
    half, exact = buckets // 2, buckets // 4
    sizes = distances.abs()
    # In float32 and in this order: other roundings move distances over a range's border.
    ranges = torch.log(sizes.float() / exact) / math.log(max_distance / exact) * (half - exact)
    far = (exact + ranges.clamp(min=0).long()).clamp(max=half - 1)
    return (distances > 0) * half + torch.where(sizes < exact, sizes, far)


def bias_rows(line: Tensor, start: int, end: int) -> Tensor:
    """Bias of the queries from ``start`` to ``end`` to all keys, (H, end - start, T).

    Args:
        line: bias by distance, (H, 2T - 1).
        start: first query.
        end: the query after the last.
    """
    frames = (line.shape[1] + 1) // 2
    return line.unfold(1, frames, 1)[:, frames - end : frames - start].flip(1)
