"""Ratings with crossed raters and items, by resampling: a check of ``crossed``'s closed forms.

``pigeonhole`` draws raters and, independently of them, items, and weighs a vote by how often its
rater times how often its item was drawn (Owen, The pigeonhole bootstrap, 2007). It errs to wide
intervals: the noise of single votes is counted about three times. ``swap_p`` deals the systems'
names out anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics import bootstrap, paired
from mamtra_eval.statistics.bootstrap import Array, Estimate
from mamtra_eval.statistics.crossed import Votes, two_way
from mamtra_eval.statistics.moments import Codes, codes, joined

MOST = 0.5
"""Share of the votes that must have a partner before only those with one are compared."""


class Pigeonhole(NamedTuple):
    """Percentile intervals.

    Attributes:
        systems: mean of each system.
        differences: by pair, mean of the first minus mean of the second.
    """

    systems: dict[str, Estimate]
    differences: dict[tuple[str, str], Estimate]


def pigeonhole(
    votes_by_system: Mapping[str, Votes], pairs: Iterable[tuple[str, str]] = (), *,
    level: float = 0.95, resamples: int = 2_000, seed: int = 0,
) -> Pigeonhole:  # fmt: skip
    """Intervals of means and differences; all systems share the draws of raters and items.

    Args:
        votes_by_system: at least one system, with votes each.
        pairs: whose differences are wanted.
        level: probability that the intervals shall cover.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        no ends where a system has fewer than two raters or items.

    Raises:
        ValueError: as of ``crossed.two_way``.
    """
    groups = list(votes_by_system.values())
    for votes in groups:
        two_way(*votes)  # refuses what is no set of votes
    (g_r, rater), (g_i, item) = (
        codes(np.concatenate([np.asarray(labels) for labels in side]))
        for side in ([one.raters for one in groups], [one.items for one in groups])
    )
    rng = np.random.default_rng(seed)
    by_rater, by_item = _drawn(rng, resamples, g_r), _drawn(rng, resamples, g_i)
    ends = np.cumsum([0] + [np.size(one.ratings) for one in groups])
    draws, units = {}, {}
    for number, (system, votes) in enumerate(votes_by_system.items()):
        own = slice(ends[number], ends[number + 1])
        cells = rater[own] * g_i + item[own]
        sums, counts = (
            by_rater @ np.bincount(cells, weights, g_r * g_i).reshape(g_r, g_i)
            for weights in (np.asarray(votes.ratings, dtype=np.float64), np.ones(len(cells)))
        )
        draws[system] = bootstrap.divide(
            np.sum(sums * by_item, axis=1), np.sum(counts * by_item, axis=1)
        )
        units[system] = min(len(np.unique(rater[own])), len(np.unique(item[own])))
    return Pigeonhole(
        {one: bootstrap.interval(draws[one], units[one], level) for one in draws},
        {
            (one, other): bootstrap.interval(
                draws[one] - draws[other], min(units[one], units[other]), level
            )
            for one, other in pairs
        },
    )


def swap_p(a: Votes, b: Votes, *, blocks: bool = True, flips: int = 10_000, seed: int = 0) -> float:
    """Two-sided p of no difference between two systems, by randomisation.

    Where most votes have a partner (``shared`` ≥ ``MOST``: the same rater heard the same item by
    both systems), the systems' names are swapped within each such block of a rater and an item, and
    votes without a partner are left out. What is refuted then is that these raters hear any
    difference on these items: of systems that are equal on average, but not to each rater and at
    each item, it refutes 18 to 30 % at p ≤ 0.05 (12 x 10 and 20 x 20, of
    ``test_crossed_coverage.py``). For raters and items that others would draw take
    ``crossed.two_way_p``, or no blocks.

    Otherwise (a rater hears an item by one system), or without ``blocks``, the signs of raters'
    differences are flipped, then those of items' differences, and the larger p is returned.

    Args:
        a: votes of one system.
        b: votes of another.
        blocks: whether to swap within blocks where votes allow it.
        flips: random patterns, as of ``paired.sign_flip_p``.
        seed: of them.

    Returns:
        NaN where no rater, or no item, has votes of both.

    Raises:
        ValueError: as of ``crossed.two_way``.
    """
    votes = _pooled(a, b)
    if blocks and shared(a, b) >= MOST:
        cells = joined(votes.raters, votes.items)
        return paired.sign_flip_p(_differences(votes, cells), flips=flips, seed=seed)
    sides = [_differences(votes, labels) for labels in (votes.raters, votes.items)]
    if any(len(one) == 0 for one in sides):
        return math.nan
    return max(paired.sign_flip_p(one, flips=flips, seed=seed) for one in sides)


def shared(a: Votes, b: Votes) -> float:
    """Share of the votes whose rater heard the item by both systems."""
    votes = _pooled(a, b)
    blocks = joined(votes.raters, votes.items)
    first, second = _counts(blocks, votes.first), _counts(blocks, ~votes.first)
    return float(np.mean(((first > 0) & (second > 0))[blocks]))


class _Pooled(NamedTuple):
    """Votes of two systems; labels are numbers from 0."""

    ratings: Array
    raters: Codes
    items: Codes
    first: npt.NDArray[np.bool_]


def _pooled(a: Votes, b: Votes) -> _Pooled:
    for votes in (a, b):
        two_way(*votes)  # refuses what is no set of votes
    ratings = np.concatenate([np.asarray(one.ratings, dtype=np.float64) for one in (a, b)])
    raters = codes(np.concatenate([np.asarray(one.raters) for one in (a, b)]))[1]
    items = codes(np.concatenate([np.asarray(one.items) for one in (a, b)]))[1]
    return _Pooled(ratings, raters, items, np.arange(len(ratings)) < np.size(a.ratings))


def _differences(votes: _Pooled, labels: Codes) -> Array:
    """Mean of the first system minus that of the second, of each label that has both: (m,)."""
    first, second = _counts(labels, votes.first), _counts(labels, ~votes.first)
    both = (first > 0) & (second > 0)
    sums = [
        np.bincount(labels, np.where(side, votes.ratings, 0.0))[both]
        for side in (votes.first, ~votes.first)
    ]
    return np.asarray(sums[0] / first[both] - sums[1] / second[both])


def _counts(labels: Codes, chosen: npt.NDArray[np.bool_]) -> Array:
    return np.bincount(labels, chosen).astype(np.float64)


def _drawn(rng: np.random.Generator, resamples: int, count: int) -> Array:
    """Weights of the labels: ones for the sample itself, then those of each draw, (B + 1, G)."""
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples)
    return np.concatenate([np.ones((1, count)), drawn.astype(np.float64)])
