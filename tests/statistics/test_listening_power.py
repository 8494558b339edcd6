"""Closed forms of sizes: tables worked out apart from this code, and draws of what they assume.

What is drawn here are means and t statistics themselves, as if the formulas' assumptions held. How
often whole tests find what was planned is ``test_simulated_power``'s.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from mamtra_eval.statistics.crossed import Components
from mamtra_eval.statistics.listening_power import (
    large_sample_difference,
    smallest_difference,
    standard_error,
    votes_for_preference,
    votes_needed,
)

ASSUMED = Components(0.45, 0.30, rater_system=0.20, item_system=0.25, residual=0.75)


@pytest.mark.parametrize(
    ("delta", "independent", "paired"),
    [
        (0.02, 35_419, 22_075),
        (0.05, 5_667, 3_532),
        (0.10, 1_417, 883),
        (0.20, 355, 221),
        (0.30, 158, 99),
    ],
)
def test_votes_for_a_difference(delta: float, independent: int, paired: int) -> None:
    assert votes_needed(delta, 0.95) == votes_needed(-delta, 0.95) == independent
    assert votes_needed(delta, 0.75) == paired


@pytest.mark.parametrize(
    ("raters", "items", "expected", "least"),
    [
        (30, 40, 0.27, 0.21),
        (100, 100, 0.16, 0.13),
        (200, 200, 0.11, 0.09),
        (1000, 1000, 0.05, 0.04),
    ],
)
def test_large_sample_difference_and_its_floor(
    raters: int, items: int, expected: float, least: float
) -> None:
    found = large_sample_difference(ASSUMED, raters, items, votes_per_system=10 * raters)
    assert found == pytest.approx(expected, abs=0.005)
    floor = large_sample_difference(ASSUMED, raters, items, math.inf)
    assert floor == pytest.approx(least, abs=0.005)
    many = large_sample_difference(ASSUMED, raters, items, votes_per_system=1e12)
    assert many == pytest.approx(floor)


def test_independent_votes_are_the_case_without_shared_liking() -> None:
    alone = Components(0.0, 0.0, 0.0, 0.0, residual=0.95)
    assert large_sample_difference(alone, 10, 10, 1417) == pytest.approx(0.10, abs=1e-4)
    assert large_sample_difference(alone, 10, 10, math.inf) == 0.0


@pytest.mark.parametrize(("raters", "items", "comparisons"), [(6, 5, 1), (12, 10, 3), (24, 30, 10)])
def test_the_smallest_difference_is_of_the_noncentral_t(
    raters: int, items: int, comparisons: int
) -> None:
    found = smallest_difference(ASSUMED, raters, items, 60, comparisons=comparisons)
    error, free = standard_error(ASSUMED, raters, items, 60), min(raters, items) - 1
    rng = np.random.default_rng(2)
    estimated = error * np.sqrt(rng.chisquare(free, size=40_000) / free)
    edge = student.ppf(1 - 0.025 / comparisons, free) * estimated
    seen = found + error * rng.normal(size=40_000) > edge
    assert seen.mean() == pytest.approx(0.8, abs=0.008)


def test_many_raters_and_items_are_a_large_sample() -> None:
    found = smallest_difference(ASSUMED, 20_000, 20_000, 1e6)
    assert found == pytest.approx(large_sample_difference(ASSUMED, 20_000, 20_000, 1e6), rel=1e-3)
    few = [smallest_difference(ASSUMED, 12, 10, 60, comparisons=one) for one in (1, 3, 10)]
    assert large_sample_difference(ASSUMED, 12, 10, 60) < few[0] < few[1] < few[2]


@pytest.mark.parametrize(("share", "votes"), [(0.55, 783), (0.52, 4904), (0.51, 19_620)])
def test_votes_for_a_preference(share: float, votes: int) -> None:
    assert votes_for_preference(share) == votes_for_preference(1 - share) == votes


def test_independent_votes_have_the_power_that_is_promised() -> None:
    rng = np.random.default_rng(1)
    n = votes_needed(0.3, 0.95, power=0.9)
    means = 0.95 / math.sqrt(n) * rng.normal(size=(2, 20_000))
    seen = np.abs(means[0] + 0.3 - means[1]) > 1.96 * 0.95 * math.sqrt(2 / n)
    assert seen.mean() == pytest.approx(0.9, abs=0.01)
    votes = votes_for_preference(0.6)
    wins = rng.binomial(votes, 0.6, size=20_000) / votes
    seen = np.abs(wins - 0.5) > 1.96 * 0.5 / math.sqrt(votes)
    assert seen.mean() == pytest.approx(0.8, abs=0.02)  # counts are whole


def test_what_can_not_be_planned() -> None:
    for call in (
        lambda: votes_needed(0.0, 0.95),
        lambda: votes_needed(math.nan, 0.95),
        lambda: votes_for_preference(0.5),
        lambda: votes_for_preference(1.0),
    ):
        with pytest.raises(ValueError, match="planned"):
            call()
    with pytest.raises(ValueError, match="positive"):
        votes_needed(0.1, 0.0)
    with pytest.raises(ValueError, match="need 1"):
        large_sample_difference(ASSUMED, 0, 10, 100)
    for raters, items, comparisons in ((1, 10, 1), (10, 1, 1), (10, 10, 0)):
        with pytest.raises(ValueError, match="need 2, 2 and 1"):
            smallest_difference(ASSUMED, raters, items, 100, comparisons=comparisons)
