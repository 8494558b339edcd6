"""What a planned listening test finds, by simulating the very design: who hears what.

A difference of two systems is found where its two-way interval (``crossed``) excludes zero. How
often depends on more than the difference's true standard error: on t with few degrees of freedom,
on the variance being estimated (above the true one on average where each rater hears an item by
one system only), on severity and difficulty that do not quite cancel. So tests of two equal systems
are drawn with normal effects of the given sizes, and each gives an error and a standard error. A
true difference adds to the one and leaves the other, so that all differences are answered by the
same draws: the smallest that is found with probability P is the P quantile of::

    t(1 - α/(2m), min(raters, items) - 1) · standard error - error

m comparisons that are corrected are taken at Bonferroni's α/m; Holm's method finds all that this
finds, so that after Holm a pair is found at least this often. Ratings are not rounded here: what
rounding adds belongs into the residual.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import stdtrit

from mamtra_eval.statistics.bootstrap import Array
from mamtra_eval.statistics.crossed import Components
from mamtra_eval.statistics.moments import Codes, codes, joined

SIMULATIONS = 6_000
"""Over all comparisons; a share of 0.8 of them has a standard error of 0.005 at most."""
CHUNK = 1_000_000
"""Votes held at a time, which bounds memory."""
MOST, FEWEST = 10_000_000, 100
"""Votes drawn altogether, which bounds time; but so many simulations of each comparison."""


class Compared(NamedTuple):
    """The votes that one comparison of two systems rests on, without their ratings.

    Attributes:
        raters: shape (n,), numbers of the raters.
        items: shape (n,), numbers of the items.
        sides: shape (n,), 0 or 1: the system that was rated, or of a pair the order shown.
        pair: whether each vote compares the two systems itself. It then is an advantage (turned to
            one sign), and the estimate is the mean of the two orders' means.
    """

    raters: Codes
    items: Codes
    sides: Codes
    pair: bool


class Draws(NamedTuple):
    """Simulated tests of equal systems.

    Attributes:
        errors: shape (s,), of the estimated difference.
        standard_errors: shape (s,), as the test would estimate them.
        free: shape (s,), degrees of freedom.
    """

    errors: Array
    standard_errors: Array
    free: Array


def draw(
    compared: Sequence[Compared], components: Components, *, simulations: int = SIMULATIONS,
    seed: int = 0,
) -> Draws:  # fmt: skip
    """Simulate tests; the comparisons are pooled, so that figures are those of the average pair.

    Args:
        compared: at least one comparison.
        components: standard deviations. Of pairs they are those of a vote's advantage.
        simulations: of all comparisons together, which share them evenly; fewer of large designs.
        seed: of the draws.

    Raises:
        ValueError: for none, or one that has no interval: fewer than two raters or items, or a
            system without votes.
    """
    if not compared:
        raise ValueError("no comparison to simulate")
    total = sum(len(one.raters) for one in compared)
    count = min(math.ceil(simulations / len(compared)), max(FEWEST, MOST // total))
    rng = np.random.default_rng(seed)
    parts = [part for one in compared for part in _simulated(one, components, count, rng)]
    return Draws(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def without_end(
    components: Components, raters: int, items: int, *, pair: bool = False,
    simulations: int = SIMULATIONS, seed: int = 0,
) -> Draws:  # fmt: skip
    """As ``draw``, with votes without end: every rater hears every item by both systems, for ever.

    Args:
        components: as of ``draw``; only what raters and items do with systems is left.
        raters: at least two.
        items: at least two.
        pair: whether votes compare two systems.
        simulations: number of tests.
        seed: of the draws.

    Raises:
        ValueError: for fewer than two raters or items.
    """
    _require(raters, items)
    rng = np.random.default_rng(seed)
    errors, variance = np.zeros(simulations), np.zeros(simulations)
    for own, count in ((components.rater_system, raters), (components.item_system, items)):
        spread = own * (1.0 if pair else math.sqrt(2)) / math.sqrt(count)
        errors += spread * rng.normal(size=simulations)
        variance += spread**2 * rng.chisquare(count - 1, size=simulations) / (count - 1)
    free = np.full(simulations, float(min(raters, items) - 1))
    return Draws(errors, np.sqrt(variance), free)


def simulated_power(
    draws: Draws, difference: float, *, level: float = 0.95, comparisons: int = 1
) -> float:
    """Share of the tests whose interval excludes zero where the systems differ by this much.

    Args:
        draws: of ``draw``.
        difference: true one, in points.
        level: of the two-sided interval of a single pair.
        comparisons: m, over which Bonferroni corrects; 1 for a single pair by itself.
    """
    found = np.abs(draws.errors + difference) > _reach(draws, level, comparisons)
    return float(found.mean())


def smallest_found(
    draws: Draws, *, power: float = 0.8, level: float = 0.95, comparisons: int = 1
) -> float:
    """The smallest true difference, points, that this share of the tests finds.

    Findings of the wrong sign don't count. Arguments as of ``simulated_power``.
    """
    return float(np.quantile(_reach(draws, level, comparisons) - draws.errors, power))


def _reach(draws: Draws, level: float, comparisons: int) -> Array:
    """Half of each interval's width."""
    if comparisons < 1:
        raise ValueError(f"{comparisons} comparisons: need 1")
    tail = (1 - level) / 2 / comparisons
    return np.asarray(stdtrit(draws.free, 1 - tail) * draws.standard_errors)


def _simulated(
    one: Compared, components: Components, simulations: int, rng: np.random.Generator
) -> Iterator[tuple[Array, Array, Array]]:
    """Errors, standard errors and degrees of freedom, chunk by chunk."""
    (rater_count, rater), (item_count, item) = codes(one.raters), codes(one.items)
    _require(rater_count, item_count)
    n = len(rater)
    side = np.asarray(one.sides)
    votes = np.bincount(side, minlength=2)
    if not one.pair and votes.min() == 0:
        raise ValueError("a system of the comparison has no votes")
    # Of pairs half of each order's mean (all of it, where one order alone was shown).
    weights = np.array([1.0, -1.0]) if not one.pair else np.where(votes == n, 1.0, 0.5)
    share = weights[side] / votes[side]
    heard = np.zeros_like(side) if one.pair else side
    cell_count, cell = codes(joined(rater, item))
    effects = [
        (components.rater, rater_count, rater),
        (components.item, item_count, item),
        (components.rater_system, 2 * rater_count, 2 * rater + heard),
        (components.item_system, 2 * item_count, 2 * item + heard),
    ]
    sides = _indicator(side, 2)
    by_rater, by_item, by_cell = (
        _indicator(*label)
        for label in ((rater, rater_count), (item, item_count), (cell, cell_count))
    )
    step = max(1, CHUNK // n)
    for start in range(0, simulations, step):
        size = min(step, simulations - start)
        y = components.residual * rng.normal(size=(size, n))
        for spread, count, label in effects:
            if spread:
                y += (spread * rng.normal(size=(size, count)))[:, label]
        means = (y @ sides) / np.maximum(votes, 1)
        influence = (y - means[:, side]) * share
        over_raters = rater_count / (rater_count - 1) * _squares(influence, by_rater)
        over_items = item_count / (item_count - 1) * _squares(influence, by_item)
        both = over_raters + over_items - n / (n - 1) * _squares(influence, by_cell)
        variance = np.maximum(both, np.maximum(over_raters, over_items))
        free = np.full(size, float(min(rater_count, item_count) - 1))
        yield means @ np.where(votes > 0, weights, 0.0), np.sqrt(variance), free


def _indicator(label: Codes, count: int) -> csr_array:
    """(n, count), one where a vote has the label."""
    n = len(label)
    return csr_array((np.ones(n), (np.arange(n), label)), shape=(n, count))


def _squares(influence: Array, labels: csr_array) -> Array:
    return np.asarray(np.sum(np.square(influence @ labels), axis=1))


def _require(raters: int, items: int) -> None:
    if min(raters, items) < 2:
        raise ValueError(f"{raters} raters, {items} items: no interval below two of each")
