"""Bytes of tensors by part, walked from the objects that hold them.

What shares a storage counts once (tied weights, views), under the first part that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass

from torch import Tensor, nn

from mamtra_eval.models.attention import Attention
from mamtra_eval.models.cache import AttentionCache, Cache, MambaCache
from mamtra_eval.models.decoder import Decoder, Layer

KV, SSM, CONV = "kv", "state.ssm", "state.conv"
"""Parts of a cache."""


def weights(decoder: Decoder) -> dict[str, int]:
    """Bytes of parameters and buffers of a decoder by part; the parts add up to all of them."""
    parts: dict[str, list[Tensor]] = {
        name: [] for name in ("embedding", "attention", "mamba", "mlp", "norms", "head")
    }
    parts["embedding"] += _of(decoder.embedding)
    parts["head"] += _of(decoder.head)
    parts["norms"] += _of(decoder.norm)
    for layer in decoder.layers:
        assert isinstance(layer, Layer)
        kind = "attention" if isinstance(layer.mixer, Attention) else "mamba"
        parts[kind] += _of(layer.mixer)
        parts["mlp"] += _of(layer.mlp)
        parts["norms"] += [*_of(layer.mixer_norm), *_of(layer.mlp_norm)]
    return by_part({**parts, "other": [*_of(decoder)]})


def cache(found: Cache) -> dict[str, int]:
    """Bytes of a decoder's cache: keys and values, scan states, convolution states, the rest."""
    parts: dict[str, list[Tensor]] = {KV: [], SSM: [], CONV: []}
    for layer in found.layers:
        if isinstance(layer, AttentionCache):
            parts[KV] += [*layer]
        elif isinstance(layer, MambaCache):
            parts[SSM].append(layer.state)
            parts[CONV].append(layer.conv)
    return by_part({**parts, "other": [*tensors_in(found)]})


def by_part(parts: Mapping[str, Iterable[Tensor]]) -> dict[str, int]:
    """Bytes of the storages of tensors by part, each storage once; empty ``other`` is left out."""
    seen: set[int] = set()
    sizes: dict[str, int] = {}
    for part, tensors in parts.items():
        sizes[part] = 0
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = storage.data_ptr() or id(tensor)  # a storage without memory has no address
            if key not in seen:
                seen.add(key)
                sizes[part] += storage.nbytes()
    if not sizes.get("other", 1):
        del sizes["other"]
    return sizes


def tensors_in(holder: object, depth: int = 6) -> Iterator[Tensor]:
    """Every tensor that an object holds in attributes, sequences and mappings."""
    if isinstance(holder, Tensor):
        yield holder
    elif isinstance(holder, nn.Module):
        yield from _of(holder)
    elif depth and isinstance(holder, Mapping):
        for value in holder.values():
            yield from tensors_in(value, depth - 1)
    elif depth and isinstance(holder, list | tuple | set | frozenset):
        for value in holder:
            yield from tensors_in(value, depth - 1)
    elif depth and is_dataclass(holder):
        for field in fields(holder):
            yield from tensors_in(getattr(holder, field.name), depth - 1)
    elif depth and hasattr(holder, "__dict__"):
        yield from tensors_in(vars(holder), depth - 1)


def _of(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]
