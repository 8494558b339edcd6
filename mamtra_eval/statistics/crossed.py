"""Means of ratings whose raters and items are both drawn: votes are not independent.

A rater's votes share the rater's habits, an item's votes share the item, so that n votes tell less
than n independent ones; intervals that treat them as independent hold the truth of a usual test
about half of the time instead of 95 %. With e a vote's share in the figure's deviation (for a mean
(y - mean) / n), summed over a rater's votes, an item's votes and the votes of both, G_R raters,
G_I items and N votes, the two-way variance is (Cameron, Gelbach & Miller, 2011)::

    V = G_R/(G_R-1) Σ_r (Σe)² + G_I/(G_I-1) Σ_i (Σe)² - N/(N-1) Σ_ri (Σe)²

It is not allowed below the larger of its first two terms, and the interval takes Student's t with
min(G_R, G_I) - 1 degrees of freedom. In a difference the votes of the second system have the
opposite sign, so that what both systems share of a rater or an item cancels.

``naive`` and ``rater_clustered`` are what others print, to be set beside it. ``pigeonhole`` is the
check by resampling, ``swap_p`` the test by randomisation, both in ``crossed_resampling``; where the
noise comes from is told by ``components``. What each covers is measured in
``tests/statistics/test_crossed_coverage.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr, stdtrit

from mamtra_eval.statistics import moments
from mamtra_eval.statistics.bootstrap import Array, Estimate
from mamtra_eval.statistics.moments import codes, joined


class Votes(NamedTuple):
    """Ratings with who gave them to what.

    Attributes:
        ratings: shape (n,), on one scale.
        raters: shape (n,), any labels.
        items: shape (n,), any labels: the text that was spoken, whichever system spoke it.
    """

    ratings: npt.ArrayLike
    raters: npt.ArrayLike
    items: npt.ArrayLike


@dataclass(frozen=True)
class Components:
    """Standard deviations of a vote's parts, in points of the scale.

    Attributes:
        rater: between raters, whatever they hear: severe or mild.
        item: between items, whoever speaks them.
        rater_system: a rater's own liking of a system.
        item_system: how well a system does at an item.
        residual: the rest; with one vote of a rater on an item of a system it holds the rater's
            liking of the item, too.
    """

    rater: float
    item: float
    rater_system: float
    item_system: float
    residual: float


class _Error(NamedTuple):
    """Standard error with its degrees of freedom."""

    error: float
    free: int


def naive(ratings: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Mean ± z·sd/√n, with z = 1.96 for 95 %: as if all votes were independent.

    Args:
        ratings: shape (n,).
        level: probability that the interval would cover if they were.

    Raises:
        ValueError: for no vote, or ratings that are not finite.
    """
    y = _finite(ratings)
    value = float(y.mean())
    if len(y) < 2:
        return Estimate(value, None, None)
    reach = float(ndtri((1 + level) / 2)) * float(y.std(ddof=1)) / math.sqrt(len(y))
    return Estimate(value, value - reach, value + reach)


def rater_clustered(ratings: npt.ArrayLike, raters: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Mean with a variance over raters alone (one way), t with G_R - 1 degrees of freedom.

    It takes the items for all there are. No ends below two raters.
    """
    y, rater, _ = _arrays(Votes(ratings, raters, raters))
    value = float(y.mean())
    count, index = codes(rater)
    if count < 2:
        return Estimate(value, None, None)
    error = math.sqrt(_one_way((y - value) / len(y), count, index))
    return _around(value, _Error(error, count - 1), level)


def two_way(
    ratings: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike, level: float = 0.95
) -> Estimate:
    """Mean with the interval of this module's header: raters and items are both drawn.

    Args:
        ratings: shape (n,).
        raters: shape (n,), any labels.
        items: shape (n,), any labels.
        level: probability that the interval shall cover.

    Returns:
        no ends below two raters or two items.

    Raises:
        ValueError: for no vote, shapes that don't fit, or ratings that are not finite.
    """
    y, rater, item = _arrays(Votes(ratings, raters, items))
    value = float(y.mean())
    return _around(value, _two_way_error((y - value) / len(y), rater, item), level)


def item_mean(ratings: npt.ArrayLike, items: npt.ArrayLike) -> float:
    """Mean over items of the items' means: an item with more votes does not weigh more.

    Equal to the plain mean where all items have as many votes.
    """
    y, item, _ = _arrays(Votes(ratings, items, items))
    _, index = codes(item)
    return float(np.mean(np.bincount(index, y) / np.bincount(index)))


def two_way_difference(a: Votes, b: Votes, level: float = 0.95) -> Estimate:
    """Mean of ``a`` minus mean of ``b``, paired through the raters and items that they share.

    Args:
        a: votes of one system.
        b: votes of another; the same label is the same rater, or item, in both.
        level: probability that the interval shall cover.

    Returns:
        no ends below two raters or two items in both together.

    Raises:
        ValueError: as of ``two_way``.
    """
    value, error = _difference(a, b)
    return _around(value, error, level)


def two_way_p(a: Votes, b: Votes) -> float | None:
    """Two-sided p of a difference of zero: the t test that belongs to ``two_way_difference``.

    Returns:
        ``None`` where the difference has no interval.
    """
    value, error = _difference(a, b)
    if error is None:
        return None
    if error.error == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * float(stdtr(error.free, -abs(value) / error.error))


def standardised(votes: Votes) -> Array:
    """Ratings without the raters' severity: less the rater's mean, plus the mean of all.

    For a secondary table only. It changes what is estimated (the scale is no longer that which the
    raters used) and presumes that every rater heard about the same: where one rater had the better
    systems, that rater's higher mean is taken for mildness. So give the votes of all systems.

    Returns:
        shape (n,), in the order given.
    """
    y, rater, _ = _arrays(votes)
    _, index = codes(rater)
    means = np.bincount(index, y) / np.bincount(index)
    return np.asarray(y - means[index] + y.mean())


def components(
    ratings: npt.ArrayLike, systems: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike
) -> Components:
    """Where the noise of votes comes from: y ~ system + rater + item + both with the system + rest.

    System means are fixed, all else is random; unbalanced data are allowed, such as designs in
    which a rater hears an item by one system only. By the method of moments (``moments``); a
    variance that comes out negative is taken for zero, which lifts small ones on average;
    ``component_variances`` has them before.

    Args:
        ratings: shape (n,).
        systems: shape (n,), any labels, at least two.
        raters: shape (n,), any labels.
        items: shape (n,), any labels.

    Raises:
        ValueError: as of ``moments.variances``; such as raters who hear one system each.
    """
    found = component_variances(ratings, systems, raters, items)
    return Components(**{name: math.sqrt(max(0.0, one)) for name, one in found.items()})


def component_variances(
    ratings: npt.ArrayLike, systems: npt.ArrayLike, raters: npt.ArrayLike, items: npt.ArrayLike
) -> dict[str, float]:
    """Unbiased variances, perhaps negative, by the names of ``Components``; arguments as there."""
    effects = {
        "rater": raters,
        "item": items,
        "rater_system": joined(raters, systems),
        "item_system": joined(items, systems),
    }
    return moments.variances(ratings, systems, effects)


def _difference(a: Votes, b: Votes) -> tuple[float, _Error | None]:
    (one, one_raters, one_items), (other, other_raters, other_items) = _arrays(a), _arrays(b)
    influence = np.concatenate([
        (one - one.mean()) / len(one),
        (other.mean() - other) / len(other),
    ])  # fmt: skip
    raters = np.concatenate([one_raters, other_raters])
    items = np.concatenate([one_items, other_items])
    return float(one.mean() - other.mean()), _two_way_error(influence, raters, items)


def _two_way_error(
    influence: Array, raters: npt.NDArray[np.generic], items: npt.NDArray[np.generic]
) -> _Error | None:
    """By the formula of the header; ``None`` below two raters or two items."""
    (rater_count, rater), (item_count, item) = codes(raters), codes(items)
    if min(rater_count, item_count) < 2:
        return None
    n = len(influence)
    by_rater = _one_way(influence, rater_count, rater)
    by_item = _one_way(influence, item_count, item)
    cells = np.bincount(joined(rater, item), influence)
    both = by_rater + by_item - n / (n - 1) * float(np.sum(cells**2))
    variance = max(both, by_rater, by_item)
    return _Error(math.sqrt(variance), min(rater_count, item_count) - 1)


def _one_way(influence: Array, count: int, index: moments.Codes) -> float:
    sums = np.bincount(index, influence, minlength=count)
    return count / (count - 1) * float(np.sum(sums**2))


def _around(value: float, error: _Error | None, level: float) -> Estimate:
    if error is None:
        return Estimate(value, None, None)
    reach = float(stdtrit(error.free, (1 + level) / 2)) * error.error
    return Estimate(value, value - reach, value + reach)


def _finite(ratings: npt.ArrayLike) -> Array:
    y = np.asarray(ratings, dtype=np.float64)
    if y.ndim != 1 or len(y) == 0:
        raise ValueError(f"need ratings (n,) with n > 0, not {y.shape}")
    if not np.isfinite(y).all():
        raise ValueError("ratings must be finite: leave missing ones out")
    return y


def _arrays(votes: Votes) -> tuple[Array, npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    y = _finite(votes.ratings)
    raters, items = np.asarray(votes.raters), np.asarray(votes.items)
    if raters.shape != y.shape or items.shape != y.shape:
        raise ValueError(
            f"need a rater and an item for each of {len(y)} ratings, "
            f"not {raters.shape} and {items.shape}"
        )
    return y, raters, items
