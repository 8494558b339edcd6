"""What a decoder remembers of the tokens it has seen: keys and values, or a Mamba-2 state.

Everything is allocated once, for a batch and a capacity in tokens. A Transformer layer keeps keys
and values of every token; a Mamba-2 layer keeps a state and the last inputs of its convolution,
whatever the length. There are no dummy entries: ``cost.kv_bytes`` and ``cost.state_bytes`` are
the sizes of these tensors, to the byte.

Items of a batch end at the same slot and may begin at different ones (left padding):
``starts[b]`` is the first slot of item ``b`` that holds a token.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mamtra_eval.errors import UserError
from mamtra_eval.models.config import DecoderConfig

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Names of element types, as the command line and cards have them."""


def dtype(name: str) -> torch.dtype:
    """The torch type of a name; UserError for another."""
    if name not in DTYPES:
        raise UserError(f"there is no element type {name!r}", fix=f"Known: {', '.join(DTYPES)}.")
    return DTYPES[name]


class AttentionCache(NamedTuple):
    """Of one Transformer layer: each (B, kv_heads, capacity, head_dim)."""

    keys: Tensor
    values: Tensor


class MambaCache(NamedTuple):
    """Of one Mamba-2 layer.

    ``conv`` (B, conv_width, conv_channels) holds the last inputs of the convolution, newest last;
    ``state`` is (B, heads, head_dim, head_dim): head size by state size.
    """

    conv: Tensor
    state: Tensor


LayerCache = AttentionCache | MambaCache


class Cache:
    """The memory of one batch.

    Attributes:
        layers: one entry a layer of the decoder.
        starts: int64 (B,), the first filled slot of each item.
        length: slots filled so far, the same for all items.
        capacity: slots there are. A decoder without Transformer layers needs none, but positions
            are counted all the same.
    """

    def __init__(
        self,
        config: DecoderConfig,
        batch: int,
        capacity: int,
        *,
        device: torch.device | str = "cpu",
        kv_dtype: torch.dtype = torch.float32,
        state_dtype: torch.dtype = torch.float32,
    ) -> None:
        if batch < 1 or capacity < 1:
            raise UserError(f"a cache needs a batch and a capacity, not {batch} and {capacity}")
        self.capacity = capacity
        self.length = 0
        self.starts = torch.zeros(batch, dtype=torch.int64, device=device)
        kv = (2, batch, config.kv_heads, capacity, config.head_dim)
        conv = (batch, config.conv_width, config.conv_channels)
        state = (batch, config.heads, config.head_dim, config.head_dim)
        attention = set(config.transformer)
        self.layers: list[LayerCache] = [
            AttentionCache(*torch.zeros(kv, dtype=kv_dtype, device=device))
            if index in attention
            else MambaCache(
                torch.zeros(conv, dtype=state_dtype, device=device),
                torch.zeros(state, dtype=state_dtype, device=device),
            )
            for index in range(config.layers)
        ]

    @property
    def batch(self) -> int:
        """Number of items."""
        return len(self.starts)

    @property
    def kv_bytes(self) -> int:
        """Bytes of all keys and values."""
        return self._bytes(AttentionCache)

    @property
    def state_bytes(self) -> int:
        """Bytes of all Mamba-2 states and convolution inputs."""
        return self._bytes(MambaCache)

    def select(self, rows: Tensor) -> None:
        """Keep these items only, int64 (n,): finished ones are dropped from the batch."""
        self.starts = self.starts[rows]
        self.layers = [type(layer)(*(part[rows] for part in layer)) for layer in self.layers]

    def _bytes(self, kind: type[AttentionCache] | type[MambaCache]) -> int:
        return sum(
            part.nbytes for layer in self.layers if isinstance(layer, kind) for part in layer
        )
