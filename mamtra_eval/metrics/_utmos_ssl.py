"""wav2vec 2.0 "base" in plain torch: 16 kHz samples to one vector for every 20 ms.

Seven strided convolutions, the first with a GroupNorm of one group per channel, then a projection,
a convolution that stands for positions, and transformer layers that are normalised behind each
sum (post-LN). Modules are named so that the keys of ``state_dict`` are those of fairseq's
``wav2vec_small`` without its pre-training parts.

The samples are taken as they are; that model was trained without scaling. The first GroupNorm
takes mean and variance of each channel over the whole clip: what surrounds the speech, padding
included, changes every frame. There is no mask, so a batch holds clips of one length only.

Method: Baevski et al., "wav2vec 2.0", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

# Shapes in comments: B clips, T samples, F frames, C channels of the convolutions, W the width.


@dataclass(frozen=True)
class SslDimensions:
    """Sizes of the model; the defaults are those of the published weights.

    Attributes:
        convolutions: kernel and stride of each, in its input's samples.
        channels: of all convolutions.
        width: of the transformer.
        layers, heads, feed_forward: of the transformer.
        position_kernel, position_groups: of the convolution over frames.
    """

    convolutions: tuple[tuple[int, int], ...] = ((10, 5), *((3, 2),) * 4, *((2, 2),) * 2)
    channels: int = 512
    width: int = 768
    layers: int = 12
    heads: int = 12
    feed_forward: int = 3072
    position_kernel: int = 128
    position_groups: int = 16

    @property
    def receptive_field(self) -> int:
        """Samples that one frame is made of, so the fewest that give a frame."""
        samples = 1
        for kernel, stride in reversed(self.convolutions):
            samples = (samples - 1) * stride + kernel
        return samples


class Wav2Vec2(nn.Module):
    """Samples (B, T) to features (B, F, W)."""

    def __init__(self, sizes: SslDimensions) -> None:
        super().__init__()
        self.mask_emb = nn.Parameter(torch.zeros(sizes.width))  # of the pre-training; not used
        self.feature_extractor = FeatureExtractor(sizes)
        self.layer_norm = nn.LayerNorm(sizes.channels)
        self.post_extract_proj = nn.Linear(sizes.channels, sizes.width)
        self.encoder = Encoder(sizes)

    def forward(self, samples: Tensor) -> Tensor:
        """Features of clips of one length."""
        frames = self.feature_extractor(samples).transpose(1, 2)  # (B, F, C)
        features: Tensor = self.encoder(self.post_extract_proj(self.layer_norm(frames)))
        return features


class FeatureExtractor(nn.Module):
    """Samples (B, T) to local features (B, C, F)."""

    def __init__(self, sizes: SslDimensions) -> None:
        super().__init__()
        channels = sizes.channels
        self.conv_layers = nn.ModuleList()
        for index, (kernel, stride) in enumerate(sizes.convolutions):
            convolution = nn.Conv1d(
                channels if index else 1, channels, kernel, stride=stride, bias=False
            )
            # In second place fairseq has a dropout; the norm's keys count it.
            norm = [] if index else [nn.GroupNorm(channels, channels)]
            self.conv_layers.append(nn.Sequential(convolution, nn.Identity(), *norm, nn.GELU()))

    def forward(self, samples: Tensor) -> Tensor:
        """Local features."""
        values = samples[:, None]
        for layer in self.conv_layers:
            values = layer(values)
        return values


class Encoder(nn.Module):
    """Local features (B, F, W) to features in context, of the same shape."""

    def __init__(self, sizes: SslDimensions) -> None:
        super().__init__()
        self.pos_conv = nn.Sequential(
            PositionConvolution(sizes.width, sizes.position_kernel, sizes.position_groups),
            nn.GELU(),
        )
        self.layer_norm = nn.LayerNorm(sizes.width)
        self.layers = nn.ModuleList(Layer(sizes) for _ in range(sizes.layers))

    def forward(self, frames: Tensor) -> Tensor:
        """Features in context."""
        positions = self.pos_conv(frames.transpose(1, 2)).transpose(1, 2)
        values: Tensor = self.layer_norm(frames + positions)
        for layer in self.layers:
            values = layer(values)
        return values


class PositionConvolution(nn.Module):
    """Grouped convolution over frames, (B, W, F) to the same.

    Its weight is kept as direction and norm, one norm for each tap of the kernel (weight
    normalisation with ``dim=2``).
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.bias = nn.Parameter(torch.zeros(width))
        self.weight_g = nn.Parameter(torch.ones(1, 1, kernel))
        self.weight_v = nn.Parameter(torch.randn(width, width // groups, kernel))

    def forward(self, frames: Tensor) -> Tensor:
        """Convolve; with an even kernel there is one frame too many at the end, which goes."""
        norm = torch.linalg.vector_norm(self.weight_v, dim=(0, 1), keepdim=True)
        weight = self.weight_v * (self.weight_g / norm)
        convolved = functional.conv1d(
            frames, weight, self.bias, padding=weight.shape[2] // 2, groups=self.groups
        )
        return convolved[..., : frames.shape[2]]


class Layer(nn.Module):
    """One transformer layer, (B, F, W) to the same."""

    def __init__(self, sizes: SslDimensions) -> None:
        super().__init__()
        self.self_attn = Attention(sizes.width, sizes.heads)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.width)
        self.fc1 = nn.Linear(sizes.width, sizes.feed_forward)
        self.fc2 = nn.Linear(sizes.feed_forward, sizes.width)
        self.final_layer_norm = nn.LayerNorm(sizes.width)

    def forward(self, frames: Tensor) -> Tensor:
        """Attention, then the feed-forward part; each added, then normalised."""
        frames = self.self_attn_layer_norm(frames + self.self_attn(frames))
        wide = functional.gelu(self.fc1(frames))
        values: Tensor = self.final_layer_norm(frames + self.fc2(wide))
        return values


class Attention(nn.Module):
    """Attention of every frame to all frames of its clip."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, frames: Tensor) -> Tensor:
        """Attend; (B, F, W) to the same."""
        query, key, value = (
            projection(frames).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        heard = functional.scaled_dot_product_attention(query, key, value)
        values: Tensor = self.out_proj(heard.transpose(1, 2).flatten(2))
        return values
