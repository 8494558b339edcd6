"""The Mamba-2 mixer that takes attention's place, in the form that can start from its weights.

It is the block of "The Mamba in the Llama" (arXiv 2408.15237) with Mamba-2, whose sizes MamTra's
cache figure pins: the input projection gives ``[z, x, B, C, dt]``; x and B have as many heads as
attention has key heads and are shared by groups of heads, C has as many as attention has query
heads. So C can start from q, B from k, x from v, and the output projection from attention's.
x, B and C pass a short causal convolution. There are no rotary positions.

The gated norm works within each head. ``stepping`` computes for one token what ``forward``
computes for a sequence; the two agree to rounding.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from mamtra_eval.models.cache import MambaCache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.kernels import Kernels
from mamtra_eval.models.layers import RmsNorm

DT_RANGE = (1e-3, 1e-1)
A_RANGE = (1.0, 16.0)
"""Where step sizes and decay rates start: Mamba-2's own ranges."""


class Mamba2(nn.Module):
    """The mixer of a Mamba-2 layer."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        inner, kv = config.inner, config.kv_inner
        self.in_splits = [inner, config.conv_channels, config.heads]
        self.conv_splits = [kv, kv, inner]
        self.in_proj = nn.Linear(config.hidden, sum(self.in_splits), bias=config.mixer_bias)
        bound = 1 / math.sqrt(config.conv_width)
        self.conv_weight = nn.Parameter(
            torch.empty(config.conv_channels, config.conv_width).uniform_(-bound, bound)
        )
        self.conv_bias = nn.Parameter(torch.empty(config.conv_channels).uniform_(-bound, bound))
        low, high = (math.log(value) for value in DT_RANGE)
        dt = torch.empty(config.heads).uniform_(low, high).exp()
        self.dt_bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus gives dt again
        self.A_log = nn.Parameter(torch.empty(config.heads).uniform_(*A_RANGE).log())
        self.D = nn.Parameter(torch.ones(config.heads))
        self.norm = RmsNorm(inner, config.mixer_norm_eps)
        self.out_proj = nn.Linear(inner, config.hidden, bias=False)

    def forward(
        self, x: Tensor, real: Tensor | None, cache: MambaCache | None, kernels: Kernels
    ) -> Tensor:
        """Mix a whole sequence, (B, T, D), from an empty state.

        ``real`` is (B, T, 1), zero at padding, which then leaves no trace; ``None``: no padding.
        """
        z, mixed, dt = torch.split(self.in_proj(x), self.in_splits, dim=-1)
        dt = F.softplus(dt.float() + self.dt_bias.float())
        if real is not None:
            mixed, dt = mixed * real, dt * real
        convolved = kernels.convolve(mixed, self.conv_weight, self.conv_bias)
        inputs, b, c = (
            part.view(*part.shape[:-1], -1, self.config.head_dim)
            for part in torch.split(convolved, self.conv_splits, dim=-1)
        )
        y, state = kernels.scan(inputs, dt, self.decay(), b, c, self.D, self.config.chunk)
        if cache is not None:
            width = self.config.conv_width
            cache.conv.copy_(F.pad(mixed, (0, 0, max(0, width - x.shape[1]), 0))[:, -width:])
            cache.state.copy_(state)
        y = y.flatten(-2).to(z.dtype)
        normed = kernels.gated_norm(y, z, self.norm.weight, self.norm.eps, self.config.heads)
        out: Tensor = self.out_proj(normed)
        return out

    def decay(self) -> Tensor:
        """A of the recurrence, (H,), negative."""
        # In float32 always: in half precision a large A_log would become infinite.
        return -torch.exp(self.A_log.float())
