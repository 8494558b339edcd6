"""Budgets term by term: closed forms exact, guesses wide, measured terms in their place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mamtra_eval.advisor import memory, terms
from mamtra_eval.advisor.cards import find
from mamtra_eval.advisor.deployment import (
    DEFAULT_VARIANTS,
    Deployment,
    Variant,
    parse_residents,
    parse_variants,
)
from mamtra_eval.advisor.measured import Profile, Range, Source, bounds
from mamtra_eval.advisor.terms import DEFAULT, MEASURED, Verdict
from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.config import preset

TEACHER, HALF = parse_variants(["teacher", "1:1"])
PLAIN = Deployment(find("A100-40GB"), (), streams=4, context=1024)


def _terms(variant: Variant, deployment: Deployment, profile: Profile | None = None) -> dict:
    return {term.name: term for term in memory.budget(variant, deployment, profile).terms}


def _source(variant: Variant, points: dict, *, cuda: bool = True, element: int = 2) -> Profile:
    device = "NVIDIA A100-SXM4-40GB" if cuda else "a CPU"
    made = Source("p", device, cuda, cuda, element, variant.config, variant.bits, points)
    return Profile((made,))


def test_closed_forms_are_those_of_the_reference() -> None:
    found = _terms(TEACHER, PLAIN)
    assert found["decoder weights"].high == pytest.approx(1_011.6e6, abs=0.05e6)
    assert found["keys and values"].high == 4 * 12_582_912
    assert "Mamba-2 states" not in found  # nothing that takes nothing is a term
    assert found["flow decoder"].mid + found["HiFT vocoder"].mid == pytest.approx(533e6, abs=1e6)
    half = _terms(HALF, PLAIN)
    assert half["keys and values"].high == 4 * 6_291_456
    assert half["Mamba-2 states"].high == 4 * 12 * 61_952 * 2
    assert half["decoder weights"].high == pytest.approx(1_031.3e6, abs=0.05e6)


def test_quantised_weights_are_the_models_own_closed_form() -> None:
    found = parse_variants([f"v=1:3:{kind}" for kind in ("int8",)])[0]
    expected = cost.quantized_weight_bytes(found.config, 8, 4)
    assert _terms(found, replace(PLAIN, weight="fp32"))["decoder weights"].high == expected


def test_guesses_reach_from_half_to_twice_and_all_have_reasons() -> None:
    for term in _terms(HALF, replace(PLAIN, tensorrt=2)).values():
        assert term.why
        if term.tag == DEFAULT:
            assert term.low <= term.mid / 2
            assert term.high >= term.mid * 2
    engines = _terms(TEACHER, replace(PLAIN, tensorrt=2))["TensorRT contexts"]
    assert engines.mid == 2 * 4532 * 2**20
    assert engines.tag == terms.ELSEWHERE


def test_a_measured_cache_corrects_the_closed_form_whatever_its_element_type() -> None:
    cells = [(256, 1), (1024, 2)]
    kv = {c: c[1] * cost.kv_bytes(HALF.config, c[0], 4) * 1.004 for c in cells}
    state = {c: c[1] * cost.state_bytes(HALF.config, 4) for c in cells}
    weights = {c: cost.parameters(HALF.config)["total"] * 4 * 1.0001 for c in cells}
    points = {"memory.kv": kv, "memory.state": state, "memory.weights": weights}
    found = _terms(HALF, PLAIN, _source(HALF, points, cuda=False, element=4))
    for name, factor in (("keys and values", 1.004), ("Mamba-2 states", 1.0),
                         ("decoder weights", 1.0001)):  # fmt: skip
        assert found[name].tag == MEASURED
        assert "CPU" in found[name].why
        assert found[name].mid == pytest.approx(factor * _terms(HALF, PLAIN)[name].mid)


def test_a_cpu_says_nothing_of_the_devices_own_memory() -> None:
    cell = {(1024, 4): 1e9}
    points = {"memory.activations": cell, "memory.context": cell, "memory.fragmentation": cell,
              "memory.rest": cell}  # fmt: skip
    found = _terms(HALF, PLAIN, _source(HALF, points, cuda=False, element=4))
    # Attention and scan take other paths on a CPU, and so other memory.
    assert found["decoder activations"] == _terms(HALF, PLAIN)["decoder activations"]
    assert found["CUDA context"].tag == found["allocator's fragmentation"].tag == DEFAULT
    assert "unexplained rest" not in found
    on_cuda = _terms(HALF, PLAIN, _source(HALF, points))
    assert {on_cuda[n].tag for n in ("CUDA context", "unexplained rest")} == {MEASURED}


def test_a_profile_of_another_shape_changes_nothing() -> None:
    points = {"memory.activations": {(4096, 8): 9e9}}
    assert _terms(HALF, PLAIN, _source(TEACHER, points)) == _terms(HALF, PLAIN)


def test_outside_of_the_grid_there_is_a_bound_and_no_fit() -> None:
    points = {"memory.activations": {(256, 1): 1e8, (1024, 4): 3e9}}
    profile = _source(TEACHER, points)
    inside = memory.budget(TEACHER, PLAIN, profile)
    assert not inside.bounded
    assert inside.verdict(PLAIN.usable) is Verdict.FITS
    for outside in (replace(PLAIN, streams=5), replace(PLAIN, context=1025)):
        budget = memory.budget(TEACHER, outside, profile)
        assert budget.bounded
        assert budget.verdict(10**15) is Verdict.RISKY
        activations = _terms(TEACHER, outside, profile)["decoder activations"]
        assert activations.low >= 3e9 / 1.05
        assert activations.high >= 3e9
        assert "outside" in activations.why


def test_a_cpus_grid_is_no_limit_of_a_card() -> None:
    profile = _source(TEACHER, {"memory.activations": {(256, 1): 1e8}}, cuda=False, element=4)
    budget = memory.budget(TEACHER, PLAIN, profile)
    assert not budget.bounded
    activations = _terms(TEACHER, PLAIN, profile)["decoder activations"]
    assert activations == _terms(TEACHER, PLAIN)["decoder activations"]
    assert activations.tag == DEFAULT


def test_cells_bound_each_other() -> None:
    points = {(256, 1): 10.0, (1024, 1): 8.0, (1024, 4): 30.0}
    assert bounds(points, 256, 1) == Range(10.0, 10.0)
    assert bounds(points, 1024, 1) == Range(10.0, 10.0)  # a larger cell takes no less
    assert bounds(points, 300, 2) == Range(10.0, 30.0)
    assert bounds(points, 100, 1) == Range(0.0, 10.0)
    assert bounds(points, 2000, 1) == Range(10.0, None)


def test_variants_are_read_as_written() -> None:
    names = [v.name for v in parse_variants(DEFAULT_VARIANTS)]
    assert names == ["teacher", "1:1", "1:3", "1:5", "1:11", "teacher-int8", "teacher-int4"]
    one, two, three = parse_variants(["1:5", "a=1:11:int8", "teacher:int4"])
    assert one.config.transformer == (0, 8, 11, 16)
    assert one.bits is None
    assert (two.name, two.n_mamba, two.bits) == ("a", 22, 8)
    assert (three.name, three.n_mamba, three.bits) == ("teacher-int4", 0, 4)
    known = {"mini": Variant("mini", preset("mini"), 8)}
    plain, renamed, smaller = parse_variants(["mini", "a=mini", "mini:int4"], known)
    assert plain.config == renamed.config == smaller.config == preset("mini")
    assert (plain.bits, renamed.bits, smaller.bits) == (8, 8, 4)


def test_variants_of_two_shapes_are_refused() -> None:
    known = {"teacher": Variant("teacher", preset("mini"))}
    with pytest.raises(UserError, match=r"2 shapes \(teacher: .* width 128.*; 1:3: .* width 896"):
        parse_variants(["teacher", "1:3"], known)
    assert len(parse_variants(["teacher", "1:3"])) == 2


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["x"], "x=1:3"),
        (["1:4"], "can't be split"),
        (["1:3:int2"], "int8, int4"),
        (["a=1:1", "a=1:3"], "two variants"),
        ([""], "no variant"),
        (["a=b=1:3"], "no variant"),
    ],
)
def test_variants_that_are_none_are_refused(texts: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_variants(texts)


def test_neighbours_need_name_and_size() -> None:
    assert [(r.name, r.size) for r in parse_residents(["llm=22GB"])] == [("llm", 22 * 10**9)]
    for text in ("22GB", "=22GB", "llm"):
        with pytest.raises(UserError, match="NAME=SIZE"):
            parse_residents([text])


def test_neighbours_have_names_of_their_own() -> None:
    with pytest.raises(UserError, match=r"two residents are named 'llm'.*llm-1 and llm-2"):
        parse_residents(["llm=22GB", "asr=1GB", " llm =3GB"])


@pytest.mark.parametrize(
    "change",
    [
        {"streams": 0},
        {"context": 0},
        {"tensorrt": -1},
        {"latency_s": 0.0},
        {"cache": "fp8"},
        {"latency_s": -1.0},
        {"latency_s": float("inf")},
        {"latency_s": float("nan")},
        {"reserve": -1},
        {"reserve": PLAIN.card.low},
        {"reserve": 10**12},
    ],
)
def test_impossible_loads_are_refused(change: dict) -> None:
    with pytest.raises(UserError):
        replace(PLAIN, **change)
