"""Counting real objects: what is counted in parts is what the whole has."""

from __future__ import annotations

import pytest
import torch

from mamtra_eval.claims import _objects
from mamtra_eval.claims.checks._shapes import TEACHER, decoder
from mamtra_eval.models import cost
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import preset
from mamtra_eval.models.cost import TOOLS, Convention


@pytest.mark.parametrize("ratio", ["1:0", "1:1", "1:11"])
def test_a_cache_without_memory_is_as_large_as_one_with(ratio: str) -> None:
    config = preset("mini").with_layout(decoder(ratio).transformer)
    made = Cache(config, 3, 40, kv_dtype=torch.float16, state_dtype=torch.float32)
    found = _objects.cache_bytes(config, 40, "fp16", "fp32", batch=3)
    assert (found.kv, found.state) == (made.kv_bytes, made.state_bytes)
    assert found.kv == 3 * cost.kv_bytes(config, 40, 2)


def test_the_counter_sees_the_closed_form() -> None:
    # Whole score matrix; the scan counts to the multiple of a chunk, as the closed form has it.
    for ratio in ("1:0", "1:1", "1:11"):
        config = decoder(ratio)
        seen = Convention(attention="full", scan=True, head=False)
        assert _objects.pass_flops(config, 512) == cost.flops_per_pass(config, 512, seen)
        tools = cost.flops_per_pass(config, 512, TOOLS)
        assert _objects.pass_flops(config, 512, scan=False) == tools


def test_layers_are_counted_one_of_a_kind() -> None:
    config = decoder("1:5")

    def run(whole: object) -> None:
        assert callable(whole)
        whole(torch.zeros(1, 64, dtype=torch.int64))

    counted = _objects._count(config, run) - 2 * 64 * config.speech_rows * config.hidden
    assert counted == _objects.pass_flops(config, 64)


def test_a_step_of_the_teacher_is_the_closed_form() -> None:
    bare = Convention(head=False)
    # A step turns its 16 heads by matrices of 64 x 64, which the closed form leaves out.
    rotation = 24 * 2 * 16 * 64 * 64
    found = _objects.step_flops(TEACHER, 700) - rotation
    assert found == cost.flops_per_token(TEACHER, 700, bare)


def test_parameters_by_module() -> None:
    config = decoder("1:3")
    counted, form = _objects.parameters(config), cost.parameters(config)
    assert counted["total"] == form["total"]
    assert counted["attention"] == cost.attention_parameters(config)
    assert counted["mamba"] == cost.mamba_parameters(config)
    assert counted["body"] == form["attention"] + form["mamba"] + form["mlp"] + form["norms"]
