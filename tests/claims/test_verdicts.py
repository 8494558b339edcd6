"""Verdicts follow from numbers: changing a claimed one beyond its tolerance flips the verdict."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.claims import VERDICTS, Claim, check
from mamtra_eval.claims._reading import read
from mamtra_eval.claims.claim import RELATIONS, Number, Value
from mamtra_eval.claims.finding import CHECKS, HOWS, Finding

BOOK = read()
BY_ID = {claim.id: claim for claim in BOOK.claims}
COMPARED = [
    claim.id
    for claim in BOOK.claims
    if check(claim, BOOK.sources[claim.source]).finding.comparisons
]


def _with(claim: Claim, changes: dict[str, dict[str, Value]]) -> Claim:
    numbers = {
        name: replace(number, values={**number.values, **changes.get(name, {})})
        for name, number in claim.numbers.items()
    }
    return replace(claim, numbers=numbers)


def _agreeing(number: Number, ours: Value) -> Value:
    """A claimed value that ours agrees with."""
    if isinstance(ours, tuple):
        return ours
    margin = max(number.within, 1e-3 * abs(ours), 1e-6)
    return ours + {"below": 2 * margin, "above": -2 * margin}.get(number.relation, 0)


def _disagreeing(number: Number, ours: Value) -> Value:
    """One that ours disagrees with, clearly."""
    if isinstance(ours, tuple):
        return tuple(index + 1 for index in ours)
    far = 10 * max(number.within, abs(ours), 1.0)
    return ours + (far if number.relation in ("equals", "at least", "above") else -far)


def _rewritten(claim: Claim, agree: bool) -> str:
    """The verdict, had the claim printed numbers that agree with ours, or that do not."""
    source = BOOK.sources[claim.source]
    choose = _agreeing if agree else _disagreeing
    changes: dict[str, dict[str, Value]] = {}
    for item in check(claim, source).finding.comparisons:
        number = claim.numbers[item.number]
        changes.setdefault(item.number, {})[item.key] = choose(number, item.ours)
    return check(_with(claim, changes), source).verdict


@pytest.mark.parametrize("name", COMPARED)
def test_numbers_that_agree_and_numbers_that_do_not(name: str) -> None:
    # What the check can establish at best is not reached by numbers that disagree, whatever the
    # file says today; and numbers that agree are never told not to hold.
    assert _rewritten(BY_ID[name], agree=False) == "does not hold"
    assert _rewritten(BY_ID[name], agree=True) != "does not hold"


def test_most_claims_are_compared() -> None:
    assert len(COMPARED) >= 30
    assert len(BOOK.claims) >= 35


@pytest.mark.parametrize(
    ("name", "number", "key", "value", "verdict"),
    [
        ("tflops-llasa", "flops", "", 4.55, "does not hold"),
        ("kv-quadratic", "exponent", "", 1.0, "holds"),
        ("mamba-block", "elements", "", 122_880.0, "holds in part"),
        ("cache-figure", "1:5", "2048", 8.80, "holds in part"),
        ("layer-maps", "transformer", "1:5", (0, 6, 12, 18), "holds in part"),
        ("vram-teacher", "saving", "", 36.0, "does not hold"),
        ("vram-teacher", "after", "", 5.4, "does not hold"),
        ("token-rate", "lowest", "", 20.0, "holds"),
        ("token-rate", "highest", "", 24.0, "does not hold"),
        ("fp16-weights", "factor", "", 1.0, "holds"),
    ],
)
def test_one_changed_number(name: str, number: str, key: str, value: Value, verdict: str) -> None:
    claim = BY_ID[name]
    if (name, number) == ("token-rate", "highest"):
        claim = _with(claim, {"lowest": {"": 10.0}})
    changed = _with(claim, {number: {key: value}})
    assert check(changed, BOOK.sources[claim.source]).verdict == verdict


def test_a_saving_that_the_architecture_has_is_explained() -> None:
    # At 32,768 tokens the fp32 cache alone of 1:1 is 402.7 MB smaller, less 39.4 MB of weights.
    claim = BY_ID["vram-teacher"]
    smaller = replace(claim, settings={**claim.settings, "contexts": [32_768]})
    changed = _with(smaller, {"before": {"": 1.0}, "after": {"": 0.66}})
    assert check(changed, BOOK.sources[claim.source]).verdict == "holds"
    less = _with(smaller, {"before": {"": 10.0}, "after": {"": 6.6}})
    assert check(less, BOOK.sources[claim.source]).verdict == "not explained by the architecture"


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 10), st.sampled_from(RELATIONS))
def test_relations(claimed: float, ours: float, within: float, relation: str) -> None:
    found = Number("factor", {"": claimed}, relation, within=within).compare("x", "", ours)
    # A rounding error of 1e-9 decides nothing, so the border itself is left out.
    border = within + 1e-8 * max(1.0, abs(claimed))
    inside = {"equals": abs(ours - claimed) < within, "at least": ours > claimed - within,
              "at most": ours < claimed + within, "above": ours > claimed + border,
              "below": ours < claimed - border}  # fmt: skip
    outside = {"equals": abs(ours - claimed) > border, "at least": ours < claimed - border,
               "at most": ours > claimed + border, "above": ours < claimed + within,
               "below": ours > claimed - within}  # fmt: skip
    assert found.agrees or not inside[relation]
    assert not (found.agrees and outside[relation])


@given(st.lists(st.booleans(), max_size=4), st.floats(0, 1) | st.none())
def test_a_verdict_is_made_of_comparisons(agrees: list[bool], explained: float | None) -> None:
    made = [
        Number("factor", {"": 1.0}).compare("x", "", 1.0 if agreed else 2.0) for agreed in agrees
    ]
    share = None if explained is None else (explained, 0.5)
    verdict = Finding("closed form", "", "", made, explained=share).verdict
    if not all(agrees):
        assert verdict == ("holds in part" if any(agrees) else "does not hold")
    elif explained is not None and explained < 0.5:
        assert verdict == "not explained by the architecture"
    else:
        assert verdict == "holds"


@pytest.mark.parametrize("name", BY_ID)
def test_every_row_is_whole(name: str) -> None:
    claim = BY_ID[name]
    found = check(claim, BOOK.sources[claim.source])
    assert found.verdict in VERDICTS
    assert found.finding.how in HOWS
    assert found.finding.told.endswith(".")
    assert found.finding.figure
    assert "nan" not in found.finding.told
    assert "  " not in found.finding.told


def test_checks_and_claims_need_each_other() -> None:
    assert {claim.check for claim in BOOK.claims} == set(CHECKS)
    assert {claim.source for claim in BOOK.claims} == set(BOOK.sources)


def test_reading_the_claims_takes_no_torch() -> None:
    code = (
        "import sys; from mamtra_eval.claims import Profiles; from mamtra_eval.claims import "
        "_reading; _reading.read(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
