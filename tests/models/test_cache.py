"""Sizes of real tensors against the closed forms, and decoding from caches of other types."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mamtra_eval.errors import UserError
from mamtra_eval.models import cache as caches
from mamtra_eval.models import cost
from mamtra_eval.models.cache import AttentionCache, Cache, MambaCache
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.decoder import Decoder, parameter_count
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio, transformer_layers
from mamtra_eval.models.stepping import Stepper

Make = Callable[..., Decoder]
COSYVOICE2 = preset("cosyvoice2")


@pytest.mark.parametrize("ratio", ["1:0", *PUBLISHED_RATIOS, "0:1"])
@pytest.mark.parametrize("length", [256, 512, 1024, 1536, 2048, 3072, 4096])
@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 4), (torch.float16, 2)])
def test_bytes_of_the_tensors_are_the_closed_form(
    ratio: str, length: int, dtype: torch.dtype, size: int
) -> None:
    layers = transformer_layers(Ratio.parse(ratio))
    config = COSYVOICE2.with_layout(layers)
    cache = Cache(config, 1, length, kv_dtype=dtype, state_dtype=dtype)
    attention, mamba = len(layers), 24 - len(layers)
    assert cache.kv_bytes == attention * 2 * 2 * 64 * size * length
    assert cache.state_bytes == mamba * (14 * 64 * 64 + (896 + 2 * 128) * 4) * size
    assert cache.kv_bytes == cost.kv_bytes(config, length, size)
    assert cache.state_bytes == cost.state_bytes(config, size)
    tensors = [part for layer in cache.layers for part in layer]
    held = {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes() for part in tensors}
    assert sum(held.values()) == cache.kv_bytes + cache.state_bytes


@pytest.mark.parametrize("name", ["cosyvoice2", "mini"])
def test_there_is_a_cache_of_each_kind_where_its_layer_is(name: str) -> None:
    config = preset(name).with_layout((0, 8, 11, 16))
    cache = Cache(config, 3, 10)
    kinds = [isinstance(layer, AttentionCache) for layer in cache.layers]
    assert [index for index, kind in enumerate(kinds) if kind] == [0, 8, 11, 16]
    assert cache.batch == 3
    assert cache.kv_bytes == 3 * cost.kv_bytes(config, 10, 4)
    assert cache.state_bytes == 3 * cost.state_bytes(config, 4)


@pytest.mark.parametrize("mamba", [0, 1, 12, 20, 24])
def test_parameters_of_teacher_and_hybrids(mamba: int) -> None:
    """505.8 M of the teacher; a Mamba-2 layer has 820,906 more than the one it replaces."""
    config = COSYVOICE2.with_layout(tuple(range(mamba, 24)))
    with torch.device("meta"):
        decoder = Decoder(config)
    assert parameter_count(decoder) == 505_803_812 + 820_906 * mamba
    assert parameter_count(decoder) == cost.parameters(config)["total"]


def test_items_that_are_kept_keep_their_memory(tiny: DecoderConfig) -> None:
    cache = Cache(tiny.with_layout((0, 2)), 4, 5)
    for layer in cache.layers:
        for part in layer:
            part.copy_(torch.arange(4.0).view(4, *[1] * (part.ndim - 1)))
    cache.starts.copy_(torch.arange(4))
    cache.select(torch.tensor([1, 3]))
    assert cache.starts.tolist() == [1, 3]
    for layer in cache.layers:
        assert isinstance(layer, AttentionCache | MambaCache)
        for part in layer:
            assert part.flatten(1).unique(dim=1).tolist() == [[1], [3]]


@pytest.mark.parametrize(
    ("kv", "state", "tolerance"),
    [("fp16", "fp32", 0.01), ("fp32", "bf16", 0.1), ("fp16", "fp16", 0.01), ("bf16", "fp32", 0.1)],
)
def test_keys_and_states_may_have_types_of_their_own(
    tiny: DecoderConfig, make_decoder: Make, kv: str, state: str, tolerance: float
) -> None:
    decoder = make_decoder(tiny.with_layout((0, 2)))
    ids = torch.randint(0, tiny.vocabulary, (2, 40))

    def decode(kv_dtype: torch.dtype, state_dtype: torch.dtype) -> tuple[torch.Tensor, Cache]:
        cache = Cache(decoder.config, 2, 40, kv_dtype=kv_dtype, state_dtype=state_dtype)
        with torch.inference_mode():
            logits = [decoder.prefill(ids[:, :5].tolist(), cache)]
            stepper = Stepper(decoder)
            logits += [stepper.advance(ids[:, t], cache, masked=False) for t in range(5, 40)]
        return torch.stack(logits), cache

    exact, _ = decode(torch.float32, torch.float32)
    rounded, cache = decode(caches.dtype(kv), caches.dtype(state))
    for layer in cache.layers:
        expected = caches.dtype(kv if isinstance(layer, AttentionCache) else state)
        assert {part.dtype for part in layer} == {expected}
    assert 0 < (rounded - exact).abs().max() < tolerance


def test_what_is_no_cache() -> None:
    with pytest.raises(UserError, match="needs a batch and a capacity, not 0 and 5"):
        Cache(COSYVOICE2, 0, 5)
    with pytest.raises(UserError, match="Known: fp32, fp16, bf16"):
        caches.dtype("int8")
