"""Bytes walked from objects, against closed forms that know nothing of the objects."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from mamtra_eval.models import cost, layout
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio
from mamtra_eval.models.quantize import quantize
from mamtra_eval.profiling import tensors

RATIOS = ["1:0", *map(str, PUBLISHED_RATIOS)]


def shape(ratio: str, size: str = "mini") -> DecoderConfig:
    config = preset(size)
    return config.with_layout(layout.transformer_layers(Ratio.parse(ratio), config.layers))


@pytest.mark.parametrize("ratio", RATIOS)
def test_weights_by_part_are_the_closed_form(ratio: str) -> None:
    config = shape(ratio)
    expected = cost.parameters(config)
    found = tensors.weights(Decoder(config))
    embedding = ("text_embedding", "speech_embedding", "special_embedding")
    assert found["embedding"] == 4 * sum(expected[name] for name in embedding)
    for part in ("attention", "mamba", "mlp", "norms", "head"):
        assert found[part] == 4 * expected[part], part
    assert sum(found.values()) == 4 * expected["total"]


@pytest.mark.parametrize("bits", [4, 8])
def test_quantised_weights_are_the_closed_form(bits: int) -> None:
    config = shape("1:3")
    found = tensors.weights(quantize(Decoder(config), bits))
    assert sum(found.values()) == cost.quantized_weight_bytes(config, bits, 4)


def test_shared_tensors_count_once() -> None:
    decoder = Decoder(shape("1:1"))
    whole = sum(tensors.weights(decoder).values())
    decoder.head.weight = torch.nn.Parameter(decoder.embedding.weight[: decoder.config.speech_rows])
    decoder.head.weight = decoder.layers[0].mlp.down.weight  # type: ignore[union-attr, assignment]
    tied = tensors.weights(decoder)
    assert sum(tied.values()) == whole - 4 * decoder.config.speech_rows * decoder.config.hidden


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("size", ["mini", "cosyvoice2"])
@pytest.mark.parametrize(("streams", "context"), [(1, 7), (3, 256)])
def test_caches_are_the_closed_form(ratio: str, size: str, streams: int, context: int) -> None:
    config = shape(ratio, size)
    cache = Cache(config, streams, context, kv_dtype=torch.bfloat16, state_dtype=torch.float32)
    found = tensors.cache(cache)
    assert found["kv"] == streams * cost.kv_bytes(config, context, 2)
    assert found["state.ssm"] + found["state.conv"] == streams * cost.state_bytes(config, 4)
    assert found["other"] == 8 * streams  # where each item begins


def test_every_holder_is_walked_and_each_storage_counts_once() -> None:
    @dataclass
    class Pair:
        one: torch.Tensor
        rest: object

    class Thing:
        def __init__(self, value: object) -> None:
            self.value = value

    whole = torch.zeros(100)
    held = Pair(whole[:10], {"a": [Thing((whole[50:], torch.zeros(3)))], "b": "no tensor"})
    found = tensors.by_part({"x": tensors.tensors_in(held)})
    assert found == {"x": 4 * 100 + 4 * 3}
