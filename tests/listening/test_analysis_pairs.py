"""Pairs of systems: order taken out of every figure, words that don't depend on who is first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.listening.analysis import ordering, pairwise
from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.analysis.margins import Against, against
from mamtra_eval.listening.analysis.votes import Vote
from mamtra_eval.listening.screening.applying import Rules, screen
from mamtra_eval.statistics.bootstrap import Estimate
from tests.listening import larger_bundles

TURNED = {Against.ABOVE: Against.BELOW, Against.BELOW: Against.ABOVE,
          Against.NOT_ABOVE: Against.NOT_BELOW, Against.NOT_BELOW: Against.NOT_ABOVE}  # fmt: skip
TESTS = 120


def _votes(rng, bias, *, advantage=0.0, share=0.7, raters=12, items=10):
    """Each rater hears each item once, "new" second on ``share`` of a rater's, and an item's."""
    votes = []
    for r in range(raters):
        for i in range(items):
            second = (3 * r + 7 * i) % 10 < 10 * share
            y = bias + (advantage if second else -advantage) + rng.normal(0, 1)
            pair = ("old", "new") if second else ("new", "old")
            votes.append(Vote(f"s{r}", f"r{r}", "l", "t", i, f"i{i}", *pair, float(y)))
    return votes


def test_an_order_bias_is_no_advantage_in_any_test() -> None:
    rng = np.random.default_rng(1)
    swap = wilcoxon = naive = 0
    for _ in range(TESTS):
        votes = _votes(rng, bias=0.8)
        found = ordering.randomised(votes, "new", 0)
        swap += found.p_swap < 0.05
        wilcoxon += found.p_wilcoxon < 0.05
        interval = ordering.naive(votes, "new", 0.95)
        naive += not interval.low <= 0 <= interval.high
    # Plain means of raters and items call nearly all of these an advantage. Votes are independent
    # here, so that 6 of 120 are expected; 15 has a chance of 1 in 1000.
    assert max(swap, wilcoxon, naive) <= 14


def test_an_advantage_is_found_in_spite_of_a_bias_against_it() -> None:
    votes = _votes(np.random.default_rng(2), bias=-0.8, advantage=0.6)
    found = ordering.randomised(votes, "new", 0)
    assert max(found.p_swap, found.p_wilcoxon) < 0.01
    assert ordering.naive(votes, "new", 0.95).low > 0


def test_contributions_add_up_to_the_advantage_and_know_no_bias() -> None:
    votes = _votes(np.random.default_rng(3), bias=0.5, advantage=0.2)
    own = ordering.contributions(votes, "new")
    assert own.sum() == pytest.approx(ordering.advantage(votes, "new", 0.95).value)
    shifted = [replace(vote, rating=vote.rating + 2) for vote in votes]
    assert ordering.contributions(shifted, "new") == pytest.approx(own)
    assert ordering.contributions(votes, "old") == pytest.approx(-own)


def test_a_win_rate_of_second_places_alone_is_one_half() -> None:
    """All win by being second, whoever it is: 70 of 100 times that is the new system."""
    votes = _votes(np.random.default_rng(0), bias=0.0)
    votes = [replace(vote, rating=1.0) for vote in votes]
    assert sum(vote.other == "new" for vote in votes) == 84  # of 120
    assert ordering.win_rate(votes, "new") == pytest.approx(0.5)
    assert ordering.win_rate(votes[:1], "new") == 1.0  # one order: nothing to correct


@given(st.floats(-3, 3), st.floats(0, 2), st.floats(0.01, 1))
def test_the_margin_is_read_alike_from_both_sides(value, half, margin) -> None:
    one = against(Estimate(value, value - half, value + half), margin)
    other = against(Estimate(-value, -value - half, -value + half), margin)
    assert one is not None
    assert other is TURNED.get(one, one)


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [(0.1, 0.2, "equivalent"), (-0.2, -0.1, "equivalent"), (0.4, 0.9, "above"),
     (-0.9, -0.4, "below"), (-0.1, 0.9, "not below"), (-0.9, 0.1, "not above"),
     (-0.9, 0.9, "open"), (-0.3, 0.2, "not above")],
)  # fmt: skip
def test_where_an_interval_lies(low, high, place) -> None:
    assert against(Estimate(0.0, low, high), 0.3) == place


def test_no_margin_or_no_interval_is_no_verdict() -> None:
    assert against(Estimate(0.0, -1.0, 1.0), None) is None
    assert against(Estimate(0.0, None, None), 0.3) is None
    assert against(None, 0.3) is None


def _mean_votes(apart: float):
    """Two systems, five raters, five items; the second is higher by about ``apart`` in each."""
    rng = np.random.default_rng(5)
    grouped: dict[str, list[Vote]] = {"a": [], "b": []}
    for r in range(5):
        for i in range(5):
            base = 3 + rng.normal(0, 0.3)
            for name, more in (("a", 0.0), ("b", apart + rng.normal(0, 0.02))):
                vote = Vote(f"s{r}", f"r{r}", "l", "t", i, f"i{i}", name, None, base + more)
                grouped[name].append(vote)
    return grouped


def test_higher_and_by_less_than_the_margin_from_both_sides() -> None:
    grouped = _mean_votes(0.1)
    for pair in (("a", "b"), ("b", "a")):
        (found,) = pairwise.differences(grouped, [pair], 0.95).values()
        assert found.told_apart
        assert against(found.tested, 0.3) is Against.EQUIVALENT


def test_differences_without_spread_have_no_interval_and_tell_nothing() -> None:
    grouped = {
        name: [Vote(f"s{r}", f"r{r}", "l", "t", 1, f"i{i}", name, None, y)
               for r in range(3) for i in range(3)]
        for name, y in (("a", 5.0), ("b", 4.0))
    }  # fmt: skip
    (found,) = pairwise.differences(grouped, [("a", "b")], 0.95).values()
    assert found == (Estimate(1.0, None, None), Estimate(1.0, None, None), None, None, False)


def test_the_raters_r_is_screenings_own(tmp_path) -> None:
    bundle = larger_bundles.write(tmp_path, "mos", items=20)
    sessions = larger_bundles.sessions(bundle, 12, cheats={"fast": 2, "random": 1})
    checks = screen(bundle, sessions, Rules.of(bundle)).checks
    found = analyse(bundle, sessions, [], Rules.of(bundle))
    assert any(one.dropped for one in found.raters)
    by_rater = {one.rater: checks[one.session].r for one in sessions}
    assert {one.rater: one.r for one in found.raters} == by_rater
