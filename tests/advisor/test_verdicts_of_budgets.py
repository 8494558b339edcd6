"""Properties of verdicts: nothing that takes more ever does better."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.advisor import memory
from mamtra_eval.advisor.assessing import flips, max_streams, verdict
from mamtra_eval.advisor.cards import find
from mamtra_eval.advisor.deployment import Deployment, Resident, Variant, parse_variants
from mamtra_eval.advisor.measured import Profile, Source
from mamtra_eval.advisor.terms import (
    CLOSED_FORM,
    DEFAULT,
    MEASURED,
    MOSTLY_GUESSED,
    Budget,
    Term,
    Verdict,
)
from mamtra_eval.advisor.units import GIB

VARIANTS = parse_variants(["teacher", "1:1", "1:11", "small=1:3:int4"])
NOTHING = Profile()


def _profile(variant: Variant, cells: list[tuple[int, int]], cuda: bool) -> Profile:
    """A profile whose activations are as noisy as measured ones."""
    activations = {cell: 1e5 * cell[0] * (1 + cell[1] % 3) for cell in cells}
    points = {
        "memory.activations": activations,
        "memory.fragmentation": {cell: 5e7 + 1e4 * (cell[0] % 7) for cell in cells},
        "memory.context": dict.fromkeys(cells, 4e8),
        "memory.kv": {c: 1.001 * memory.kv_bytes(variant, _deployment(40, *c)) for c in cells},
        "time.first_audio": {c: 0.05 + 0.01 * c[1] for c in cells},
    }
    return Profile((Source("s", "NVIDIA T4", cuda, cuda, 2, variant.config, None, points),))


def _deployment(gib: float, context: int, streams: int, **more: object) -> Deployment:
    card = find(f"{gib:.3f}")
    return Deployment(card, (), streams, context, **more)  # type: ignore[arg-type]


CELLS = [(256, 1), (256, 8), (1024, 1), (1024, 4), (4096, 1)]
PROFILES = [NOTHING, *(_profile(v, CELLS, cuda) for v in VARIANTS[:2] for cuda in (True, False))]

cases = st.tuples(
    st.sampled_from(VARIANTS),
    st.builds(
        _deployment,
        st.floats(1.0, 80.0),
        st.integers(1, 9000),
        st.integers(1, 600),
        tensorrt=st.integers(0, 3),
        vocoder=st.sampled_from(["fp32", "fp16"]),
        state=st.sampled_from(["fp32", "fp16"]),
        reserve=st.integers(0, GIB - 1),
        latency_s=st.sampled_from([None, 0.09, 2.0]),
    ),
    st.sampled_from(PROFILES),
)


@settings(max_examples=150, deadline=None)
@given(cases, st.integers(1, 500), st.integers(1, 8000), st.integers(1, 30 * 10**9))
def test_more_to_serve_is_never_better(
    case: tuple[Variant, Deployment, Profile], streams: int, tokens: int, size: int
) -> None:
    variant, deployment, profile = case
    now = verdict(variant, deployment, profile)
    larger = replace(deployment, streams=deployment.streams + streams)
    longer = replace(deployment, context=deployment.context + tokens)
    crowded = replace(deployment, residents=(Resident("other", size),))
    engines = replace(deployment, tensorrt=deployment.tensorrt + 1)
    most = deployment.card.low - 1
    kept = replace(deployment, reserve=min(most, deployment.reserve + size))
    for other in (larger, longer, crowded, engines, kept):
        assert verdict(variant, other, profile) >= now


@settings(max_examples=100, deadline=None)
@given(cases, st.floats(0.001, 60.0))
def test_a_card_with_more_memory_is_never_worse(
    case: tuple[Variant, Deployment, Profile], more: float
) -> None:
    variant, deployment, profile = case
    card = find(f"{deployment.card.low / GIB + more:.6f}")
    assert verdict(variant, replace(deployment, card=card), profile) <= verdict(
        variant, deployment, profile
    )


@settings(max_examples=60, deadline=None)
@given(cases)
def test_the_most_streams_is_where_the_verdict_turns(
    case: tuple[Variant, Deployment, Profile],
) -> None:
    variant, deployment, profile = case
    most = max_streams(variant, deployment, profile)
    if most is not None:
        at = verdict(variant, replace(deployment, streams=most), profile)
        assert at is Verdict.FITS
    above = replace(deployment, streams=(most or 0) + 1)
    assert verdict(variant, above, profile) > Verdict.FITS
    # … and every change that is proposed really improves the verdict, as it is said to.
    now = verdict(variant, deployment, profile)
    assert all(flip.verdict < now for flip in flips(variant, deployment, profile))


terms = st.lists(
    st.builds(
        lambda mid, spread, tag: Term("t", mid / spread, mid, mid * spread, tag, ""),
        st.floats(1.0, 1e3),
        st.floats(1.0, 3.0),
        st.sampled_from([CLOSED_FORM, MEASURED, DEFAULT]),
    ),
    min_size=1,
    max_size=6,
)


@given(terms, st.floats(1.0, 6e3))
def test_a_fit_stands_even_if_all_guesses_double_where_they_are_many(
    found: list[Term], usable: float
) -> None:
    budget = Budget(tuple(found))
    known = sum(term.high for term in found if term.tag != DEFAULT)
    guessed = sum(term.high for term in found if term.tag == DEFAULT)
    share = guessed and sum(t.mid for t in found if t.tag == DEFAULT) / (
        known + sum(t.mid for t in found if t.tag == DEFAULT)
    )
    if budget.verdict(usable) is Verdict.FITS:
        assert known + guessed <= usable
        if share > MOSTLY_GUESSED:
            assert known + 2 * guessed <= usable * (1 + 1e-12)
    if known == 0 and budget.least > usable:
        assert budget.verdict(usable) is Verdict.NO
    assert Budget(tuple(found), bounded=True).verdict(usable) is not Verdict.FITS


@given(terms, st.integers(0, 5), st.floats(0.0, 500.0), st.floats(1.0, 4e3))
def test_a_term_that_grows_never_improves_a_verdict(
    found: list[Term], index: int, more: float, usable: float
) -> None:
    index %= len(found)
    old = found[index]
    grown = replace(old, low=old.low + more, mid=old.mid + more, high=old.high + more)
    larger = [*found[:index], grown, *found[index + 1 :]]
    assert Budget(tuple(larger)).verdict(usable) >= Budget(tuple(found)).verdict(usable)


def test_a_neighbour_does_not_dilute_guesses_into_a_fit() -> None:
    """By a plain rule of shares the larger deployment here would fit and the smaller would not."""
    guess, known = Term("g", 0.5, 1, 2, DEFAULT, ""), Term("k", 1, 1, 1, CLOSED_FORM, "")
    other = Term("o", 1.5, 1.5, 1.5, CLOSED_FORM, "")
    alone, beside = Budget((guess, known)), Budget((guess, known, other))
    assert alone.default_share > MOSTLY_GUESSED > beside.default_share
    assert alone.verdict(4.7) is Verdict.RISKY
    assert beside.verdict(4.7) is Verdict.RISKY
    assert beside.verdict(6.4) is Verdict.FITS


@pytest.mark.parametrize(("gib", "rests"), [(4.5, True), (1.0, False), (60.0, False)])
def test_only_a_verdict_that_is_not_given_rests_on_defaults(gib: float, rests: bool) -> None:
    deployment = _deployment(gib, 512, 1)
    budget = memory.budget(VARIANTS[0], deployment)
    assert budget.rests_on_defaults(deployment.usable) is rests
