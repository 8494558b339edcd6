"""Simulated power: its parts against ``crossed`` and closed forms, its promise against the tests.

The promise is checked with designs that the package draws, ratings rounded to five points, the
intervals of ``crossed`` and Holm's method of ``paired``: none of it is ``simulated_power``'s.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest

from mamtra_eval.listening import kinds
from mamtra_eval.listening.building import spreads
from mamtra_eval.listening.building.design import Checks, Design, draw
from mamtra_eval.listening.building.planning import compared
from mamtra_eval.statistics import paired, simulated_power
from mamtra_eval.statistics.crossed import Components, Votes, two_way_difference, two_way_p
from mamtra_eval.statistics.listening_power import large_sample_difference
from mamtra_eval.statistics.simulated_power import Compared

SIMULATIONS = 600
MOS = spreads.assumed(kinds.find("mos"))


class Size(NamedTuple):
    """Of a test; ``before`` is how often the large-sample difference was found, in 1,000 tests."""

    systems: int
    items: int
    per_session: int
    raters: int
    before: float


SIZES = [
    Size(5, 12, 24, 24, 0.63),
    Size(5, 40, 24, 30, 0.69),
    Size(4, 40, 40, 30, 0.76),
    Size(3, 10, 10, 12, 0.60),
    Size(2, 5, 5, 6, 0.37),
]
NAMES = ["{}x{}x{}x{}".format(*size) for size in SIZES]


def _design(size: Size) -> Design:
    conditions = [(f"s{number}",) for number in range(size.systems)]
    items = [f"i{number:02d}" for number in range(size.items)]
    return draw(items, conditions, per_session=size.per_session, replicates=1, checks=Checks(),
                seed="0")  # fmt: skip


def _rated(size: Size) -> np.ndarray:
    """Raters, items and systems of every vote, (3, n)."""
    lists = list(_design(size).lists.values())
    rows = [
        (rater, int(slot.item[1:]), int(slot.systems[0][1:]))
        for rater in range(size.raters)
        for slot in lists[rater % len(lists)]
    ]
    return np.array(rows).T


def _p(size: Size, difference: float, seed: int) -> list[float]:
    """p of all pairs of a test whose first system is above the others, itself and them first."""
    rng = np.random.default_rng([seed, *map(int, size[:4])])
    rater, item, system = _rated_once(size)
    shape = (size.systems, size.raters)
    heard = 3.0 + np.where(system == 0, difference, 0.0)
    heard += 0.45 * rng.normal(size=size.raters)[rater] + 0.30 * rng.normal(size=size.items)[item]
    heard += 0.20 * rng.normal(size=shape)[system, rater]
    heard += 0.25 * rng.normal(size=(size.systems, size.items))[system, item]
    ratings = np.clip(np.rint(heard + 0.70 * rng.normal(size=len(rater))), 1, 5)
    votes = [Votes(ratings[of], rater[of], item[of])
             for of in (system == number for number in range(size.systems))]  # fmt: skip
    found = [two_way_p(one, other) for one, other in combinations(votes, 2)]
    return [1.0 if p is None else p for p in found]


_CACHE: dict[Size, np.ndarray] = {}


def _rated_once(size: Size) -> np.ndarray:
    if size not in _CACHE:
        _CACHE[size] = _rated(size)
    return _CACHE[size]


def _draws(size: Size) -> simulated_power.Draws:
    pairs = compared(kinds.find("mos"), _design(size), size.raters)
    return simulated_power.draw(list(pairs.values()), MOS)


def _tolerance(share: float) -> float:
    """Three standard deviations, and a hundredth for rounding, which shrinks large differences."""
    return 3 * math.sqrt(share * (1 - share) / SIMULATIONS) + 0.01


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_a_single_pair_is_found_as_often_as_planned(size: Size) -> None:
    planned = simulated_power.smallest_found(_draws(size))
    found = np.mean([_p(size, planned, seed)[0] < 0.05 for seed in range(SIMULATIONS)])
    assert found == pytest.approx(0.8, abs=_tolerance(0.8))


@pytest.mark.parametrize("size", SIZES[:4], ids=NAMES[:4])
def test_a_pair_is_found_after_correction_as_often_as_planned(size: Size) -> None:
    pairs = math.comb(size.systems, 2)
    planned = simulated_power.smallest_found(_draws(size), comparisons=pairs)
    p = np.array([_p(size, planned, seed) for seed in range(SIMULATIONS)])
    bonferroni = np.mean(p[:, 0] < 0.05 / pairs)
    holm = np.mean([paired.holm(one)[0] < 0.05 for one in p])
    assert bonferroni == pytest.approx(0.8, abs=_tolerance(0.8))
    # The first system is above all others, so that most of its pairs help each other.
    assert bonferroni <= holm <= 0.93


@pytest.mark.parametrize("size", SIZES, ids=NAMES)
def test_the_large_sample_difference_is_found_less_often(size: Size) -> None:
    votes = len(_rated_once(size)[0]) / size.systems
    planned = large_sample_difference(MOS, size.raters, size.items, votes)
    found = simulated_power.simulated_power(_draws(size), planned)
    assert found == pytest.approx(size.before, abs=3 * math.sqrt(0.25 / 1000))


def test_errors_are_those_of_crossed() -> None:
    # Without noise but the residual's, both see the same ratings.
    rater, item = np.divmod(np.arange(60), 10)
    side = (rater + item) % 2
    rng = np.random.default_rng(0)
    y = rng.normal(size=60)
    found = simulated_power.draw(
        [Compared(rater, item, side, False)], Components(0, 0, 0, 0, 1), simulations=1
    )
    a, b = (Votes(y[side == one], rater[side == one], item[side == one]) for one in (0, 1))
    value, low, high = two_way_difference(a, b)
    assert found.errors[0] == pytest.approx(value)
    reach = simulated_power.smallest_found(found, power=0.5) + found.errors[0]
    assert reach == pytest.approx((high - low) / 2)


@pytest.mark.parametrize(("pair", "variance"), [(False, 2.0), (True, 1.0)])
def test_errors_spread_as_the_closed_form_says(pair: bool, variance: float) -> None:
    rater, item = np.divmod(np.arange(20 * 16), 16)
    if pair:  # one vote a cell, in both orders
        one = Compared(rater, item, (rater + item) % 2, True)
        components, expected = Components(0, 0, 0.3, 0.4, 0.8), 0.8**2 / 320
    else:  # both systems in each cell
        one = Compared(*(np.tile(side, 2) for side in (rater, item)), np.repeat([0, 1], 320), False)
        components, expected = Components(9, 9, 0.3, 0.4, 0.8), 2 * 0.8**2 / 320
    expected += variance * (0.3**2 / 20 + 0.4**2 / 16)
    draws = simulated_power.draw([one], components, simulations=4000)
    assert draws.errors.var() == pytest.approx(expected, rel=0.09)
    end = simulated_power.without_end(components, 20, 16, pair=pair, simulations=4000)
    assert end.errors.var() == pytest.approx(variance * (0.3**2 / 20 + 0.4**2 / 16), rel=0.09)
    assert (end.free == 15).all()
    assert simulated_power.smallest_found(end) < simulated_power.smallest_found(draws)


def test_figures_agree_with_each_other_and_are_seeded() -> None:
    draws = _draws(SIZES[3])
    for comparisons in (1, 3):
        planned = simulated_power.smallest_found(draws, comparisons=comparisons, power=0.7)
        chance = simulated_power.simulated_power(draws, planned, comparisons=comparisons)
        assert chance == pytest.approx(0.7, abs=0.001)
    assert simulated_power.simulated_power(draws, 0.0) < 0.06
    assert np.array_equal(draws.errors, _draws(SIZES[3]).errors)


def test_what_has_no_interval_is_refused() -> None:
    zero, two = np.zeros(4, dtype=np.int64), np.array([0, 1, 0, 1])
    for one in (Compared(zero, two, two, False), Compared(two, zero, two, False)):
        with pytest.raises(ValueError, match="no interval"):
            simulated_power.draw([one], MOS)
    with pytest.raises(ValueError, match="no votes"):
        simulated_power.draw([Compared(two, np.array([0, 0, 1, 1]), zero, False)], MOS)
    with pytest.raises(ValueError, match="no comparison"):
        simulated_power.draw([], MOS)
    with pytest.raises(ValueError, match="no interval"):
        simulated_power.without_end(MOS, 1, 5)
    with pytest.raises(ValueError, match="0 comparisons"):
        simulated_power.smallest_found(_draws(SIZES[4]), comparisons=0)
