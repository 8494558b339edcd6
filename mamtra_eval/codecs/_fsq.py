"""Finite scalar quantization (Mentzer et al. 2023, arXiv 2309.15505): codes without a codebook.

Each of a few numbers is bounded and rounded to one of its levels; all rounded numbers together are
the code. Gradients pass the rounding unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FiniteScalarQuantizer(nn.Module):
    """Rounds the last dimension of (…, D) to ``levels`` (D of them) values in -1 … 1."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.codes = math.prod(levels)
        basis = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("_levels", torch.tensor(levels), persistent=False)
        self.register_buffer("_basis", torch.tensor(basis), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Quantized values of (…, D), with a straight-through gradient."""
        spread = (self._tensor("_levels") - 1) / 2
        bounded = torch.sigmoid(x) * 2 * spread  # 0 … levels-1
        rounded = bounded + (bounded.round() - bounded).detach()
        return rounded / spread - 1

    def to_codes(self, quantized: Tensor) -> Tensor:
        """Codes int64 (…) of quantized values (…, D)."""
        levels = self._tensor("_levels")
        digits = ((quantized + 1) * (levels - 1) / 2).round().long()
        return (digits * self._tensor("_basis")).sum(-1)

    def from_codes(self, codes: Tensor) -> Tensor:
        """Quantized values (…, D) of codes int64 (…)."""
        levels = self._tensor("_levels")
        digits = codes[..., None] // self._tensor("_basis") % levels
        return digits * 2.0 / (levels - 1) - 1

    def _tensor(self, name: str) -> Tensor:
        value = getattr(self, name)
        assert isinstance(value, Tensor)
        return value
