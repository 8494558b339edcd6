"""The four kernels of the Mamba-2 mixer on drawn inputs, for comparing implementations.

Inputs have the layout that the decoder gives them: slices of wider projections, not tidy copies.
Errors are taken from the twin in float32 on the same inputs, so that in bf16 the error of the twin
itself stands beside that of the fused kernels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.kernels import Kernels

BATCH, LENGTH = 2, 300
"""Of the inputs: a length that no chunk divides."""


class Operation(NamedTuple):
    """A method of ``Kernels`` with arguments, the one that it changes, what it gives, over what."""

    method: str
    arguments: tuple[Tensor | float | int, ...]
    changed: int | None
    outputs: tuple[str, ...]
    span: str

    @property
    def label(self) -> str:
        """For a table."""
        return f"{self.method}, {self.span}"

    def run(self, kernels: Kernels) -> tuple[Tensor, ...]:
        """The outputs; the changed argument is changed."""
        found = getattr(kernels, self.method)(*self.arguments)
        return found if isinstance(found, tuple) else (found,)

    def values(self, kernels: Kernels) -> tuple[Tensor, ...]:
        """The outputs and the changed argument's new value; the argument itself stays."""
        fresh = list(self.arguments)
        if self.changed is None:
            return self.run(kernels)
        kept = fresh[self.changed]
        assert isinstance(kept, Tensor)
        fresh[self.changed] = kept.clone()
        outputs = self._replace(arguments=tuple(fresh)).run(kernels)
        return (*outputs, fresh[self.changed])  # type: ignore[return-value]

    def in_float32(self) -> Operation:
        """The same with the same numbers, in float32."""
        cast = (part.float() if isinstance(part, Tensor) else part for part in self.arguments)
        return self._replace(arguments=tuple(cast))


def operations(
    config: DecoderConfig, device: torch.device, dtype: torch.dtype
) -> Iterator[Operation]:
    """Every kernel, over a sequence and over one token."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*sizes: int, of: torch.dtype = dtype) -> Tensor:
        return torch.randn(sizes, generator=generator).to(device, of)

    heads, groups, size = config.heads, config.kv_heads, config.head_dim
    channels, taps, inner = config.conv_channels, config.conv_width, config.inner
    weight, bias = drawn(channels, taps) / 2, drawn(channels) / 2
    d = torch.ones(heads, device=device)
    a = -torch.linspace(1, 16, heads, device=device)
    for lead in ((BATCH, LENGTH), (BATCH,)):
        over_time = len(lead) == 2
        span = f"{lead[1]} tokens" if over_time else "one token"
        projected = drawn(*lead, inner + channels + heads)
        mixed, z = projected[..., inner:-heads], projected[..., :inner]
        shared = drawn(*lead, 2 * groups + heads, size)
        x, b, c = shared.split([groups, groups, heads], dim=-2)
        dt = drawn(*lead, heads, of=torch.float32).sigmoid() / 10
        if over_time:
            yield Operation("convolve", (mixed, weight, bias), None, ("y",), span)
            scanned = (x, dt, a, b, c, d, config.chunk)
            yield Operation("scan", scanned, None, ("y", "state"), span)
        else:
            memory, state = drawn(BATCH, taps, channels), drawn(BATCH, heads, size, size)
            stepped = (mixed, memory, weight, bias)
            yield Operation("convolve_step", stepped, 1, ("y", "memory"), span)
            yield Operation("scan_step", (state, x, dt, a, b, c, d), 0, ("y", "state"), span)
        normed = (drawn(*lead, inner), z, drawn(inner), config.mixer_norm_eps, heads)
        yield Operation("gated_norm", normed, None, ("y",), span)


def error(found: Tensor, reference: Tensor) -> str:
    """Largest absolute error, and the same in parts of the largest value."""
    worst = float((found.float() - reference.float()).abs().max())
    largest = float(reference.float().abs().max())
    return f"max abs {worst:.2e}, relative {worst / largest:.2e}"
