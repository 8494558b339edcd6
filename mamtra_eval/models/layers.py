"""The parts that both kinds of layer share: root-mean-square norm, gated MLP, rotary positions.

Shapes: ``B`` batch, ``T`` tokens, ``D`` hidden width, ``H`` heads, ``P`` head size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor, nn


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root-mean-square norm over the last dimension, any leading shape.

    ``weight`` has the last dimension's size, or that of the last ones (one scale a head).
    """
    if weight.ndim > 1:
        return F.rms_norm(x, (x.shape[-1],), None, eps) * weight
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        return rms_norm(x, self.weight, self.eps)


class Mlp(nn.Module):
    """Gated MLP, ``down(silu(gate(x)) * up(x))``; gate and up are one matrix, gate first."""

    def __init__(self, hidden: int, inner: int) -> None:
        super().__init__()
        self.gate_up = nn.Linear(hidden, 2 * inner, bias=False)
        self.down = nn.Linear(inner, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        mixed: Tensor = self.down(F.silu(gate) * up)
        return mixed


class Rotation(NamedTuple):
    """Cosines and signed sines of the rotary embedding, each broadcastable to (B, T, H, P)."""

    cos: Tensor
    sin: Tensor


def rotation_table(positions: int, width: int, theta: float) -> Tensor:
    """Cosines and signed sines for positions 0 … positions-1, float32 (2, positions, width).

    The sines of the first half are negative, so that ``rotate`` is a roll and a product.
    """
    exponents = torch.arange(0, width, 2, dtype=torch.float32) / width
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * theta**-exponents
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)])


def rotation_matrix(rotation: Rotation) -> Tensor:
    """The same rotation as a matrix to multiply from the right: parts (…, 1, P) → (…, P, P).

    For one token, a product with a small matrix is one operation in place of three.
    """
    half = rotation.cos.shape[-1] // 2
    diagonal = torch.diag_embed(rotation.cos.squeeze(-2))
    return diagonal + torch.diag_embed(rotation.sin.squeeze(-2)).roll(half, -2)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate heads by their positions (rotate-half convention of Llama and Qwen)."""
    rolled = x.roll(x.shape[-1] // 2, -1)
    return torch.addcmul(x * rotation.cos, rolled, rotation.sin)
