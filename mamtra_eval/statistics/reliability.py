"""How far raters agree, and with themselves: is a listening test's table one of the systems?

A unit is what was rated: a clip, that is an item spoken by a system. Raters need not have rated all
units; each function says what it does with what is missing. ``None`` stands where a figure is not
defined, such as a correlation with a rater who always gave the same rating.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from mamtra_eval.statistics import moments
from mamtra_eval.statistics.bootstrap import Array, divide
from mamtra_eval.statistics.moments import Codes, codes, joined

Scale = Literal["nominal", "ordinal", "interval", "ratio"]
FEWEST = 3
"""Points below which a correlation says nothing: through two there is always a line."""


class Icc(NamedTuple):
    """Intraclass correlations of absolute agreement, two-way random (Shrout & Fleiss, 1979).

    Attributes:
        single: ICC(2,1), of one rating.
        mean: ICC(2,k), of the mean of a unit's ratings.
        k: ratings of a unit: their harmonic mean where units have more or fewer.
    """

    single: float
    mean: float
    k: float


class Retest(NamedTuple):
    """Two ratings of the same clip by the same rater.

    Attributes:
        n: pairs.
        difference: mean absolute difference, points.
        equal: share of exactly equal pairs.
        within_one: share of pairs at most one point apart.
        pearson, spearman: correlations; ``None`` below three pairs or without spread.
    """

    n: int
    difference: float
    equal: float
    within_one: float
    pearson: float | None
    spearman: float | None


class SplitHalf(NamedTuple):
    """Do two halves of the raters rank the systems alike?

    Attributes:
        half: Spearman's correlation of systems' means, mean over splits: of half the raters.
        whole: the same stepped up to all raters, 2 r / (1 + r) (Spearman, 1910; Brown, 1910).
        splits: that defined a correlation.
    """

    half: float
    whole: float
    splits: int


def alpha(
    ratings: npt.ArrayLike, raters: npt.ArrayLike, units: npt.ArrayLike, scale: Scale = "ordinal"
) -> float | None:
    """Krippendorff's alpha: 1 for perfect agreement, 0 for chance; by the package krippendorff.

    Args:
        ratings: shape (n,).
        raters: shape (n,), any labels.
        units: shape (n,), any labels; units with one rating count nowhere.
        scale: how far apart two ratings are.

    Returns:
        ``None`` where no unit has two ratings, or all that are compared are equal.

    Raises:
        ValueError: for shapes that don't fit, ratings that are not finite, or two ratings of a unit
            by one rater.
    """
    import krippendorff

    table = _table(*_arrays(ratings, raters, units))
    compared = table[:, np.sum(~np.isnan(table), axis=0) > 1]
    there = compared[~np.isnan(compared)]
    if len(there) == 0 or np.ptp(there) == 0:
        return None
    return float(krippendorff.alpha(reliability_data=compared, level_of_measurement=scale))


def icc(ratings: npt.ArrayLike, raters: npt.ArrayLike, units: npt.ArrayLike) -> Icc | None:
    """ICC(2,1) and ICC(2,k) from variance components of units, raters and the rest.

    On complete tables these are the mean squares' formulas. With cells missing (by design, or
    dropped votes) nothing is filled in: the components come from the ratings that are there
    (``moments``), which presumes that it does not depend on the rating whether it is there.

    Args:
        ratings: shape (n,).
        raters: shape (n,), any labels.
        units: shape (n,), any labels.

    Returns:
        ``None`` where the components add up to nothing positive.

    Raises:
        ValueError: as of ``moments.variances``: fewer than two raters or units, or raters who
            share no unit.
    """
    y, rater, unit = _arrays(ratings, raters, units)
    found = moments.variances(y, np.zeros_like(rater), {"unit": unit, "rater": rater})
    signal, noise = found["unit"], found["rater"] + found[moments.RESIDUAL]
    k = float(1.0 / np.mean(1.0 / np.bincount(unit)))
    if signal + noise <= 0 or signal + noise / k <= 0:
        return None
    return Icc(signal / (signal + noise), signal / (signal + noise / k), k)


def retest(first: npt.ArrayLike, second: npt.ArrayLike) -> Retest:
    """Agreement of raters with themselves over repeated clips.

    Args:
        first: shape (n,), the earlier rating of each pair.
        second: shape (n,), the later one.

    Raises:
        ValueError: for shapes that don't fit, no pair, or ratings that are not finite.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape or len(one) == 0:
        raise ValueError(f"need two arrays (n,) with n > 0, not {one.shape} and {other.shape}")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError("ratings must be finite: leave pairs with a missing one out")
    apart = np.abs(one - other)
    return Retest(
        len(one),
        float(apart.mean()),
        float(np.mean(apart == 0)),
        float(np.mean(apart <= 1)),
        _correlation(one, other),
        _correlation(rankdata(one), rankdata(other)),
    )


def split_half(
    ratings: npt.ArrayLike, raters: npt.ArrayLike, systems: npt.ArrayLike, *,
    splits: int = 500, seed: int = 0,
) -> SplitHalf | None:  # fmt: skip
    """Spearman's correlation of the systems' means between random halves of the raters.

    Args:
        ratings: shape (n,).
        raters: shape (n,), any labels; of an odd number one half has one more.
        systems: shape (n,), any labels, at least three.
        splits: random halvings; one in which a half lacks a system, or rates all alike, is left
            out.
        seed: of the halvings.

    Returns:
        ``None`` below two raters or three systems, or where no halving is left.

    Raises:
        ValueError: for shapes that don't fit, or ratings that are not finite.
    """
    y, rater, system = _arrays(ratings, raters, systems)
    people, count = int(rater.max()) + 1, int(system.max()) + 1
    if people < 2 or count < FEWEST:
        return None
    cells, shape = rater * count + system, (people, count)
    sums, votes = (
        _sums(cells, values, people * count).reshape(shape)
        for values in (y - y.mean(), np.ones_like(y))
    )
    rng = np.random.default_rng(seed)
    half = (np.arange(people) < people // 2).astype(np.float64)
    chosen = rng.permuted(np.tile(half, (splits, 1)), axis=1)
    means = [divide(side @ sums, side @ votes) for side in (chosen, 1.0 - chosen)]
    whole = np.isfinite(means[0]).all(axis=1) & np.isfinite(means[1]).all(axis=1)
    # Means that are equal but for the last digits share a rank.
    ranks = [rankdata(np.round(one[whole], 9), axis=1) - (count + 1) / 2 for one in means]
    spread = np.sqrt(np.sum(ranks[0] ** 2, axis=1) * np.sum(ranks[1] ** 2, axis=1))
    found = divide(np.sum(ranks[0] * ranks[1], axis=1), spread)
    found = found[np.isfinite(found)]
    if len(found) == 0:
        return None
    mean = float(found.mean())
    return SplitHalf(mean, 2 * mean / (1 + mean) if mean > -1 else -1.0, len(found))


def _correlation(x: Array, y: Array) -> float | None:
    """Pearson's r; ``None`` with fewer than three points or without spread."""
    one, other = x - x.mean(), y - y.mean()
    spread = float(np.sum(one**2)), float(np.sum(other**2))
    if len(x) < FEWEST or min(spread) < 1e-12 * len(x):
        return None
    return float(np.clip(np.sum(one * other) / math.sqrt(spread[0] * spread[1]), -1.0, 1.0))


def _sums(labels: Codes, values: Array, count: int = 0) -> Array:
    """Sum of the values of each label, (G,), of at least ``count`` labels."""
    return np.bincount(labels, values, count).astype(np.float64)


def _table(y: Array, rater: Codes, unit: Codes) -> Array:
    """Ratings by rater and unit, NaN where there is none."""
    if len(np.unique(joined(rater, unit))) < len(y):
        raise ValueError("a rater has two ratings of one unit: take the first")
    table = np.full((rater.max() + 1, unit.max() + 1), np.nan)
    table[rater, unit] = y
    return table


def _arrays(
    ratings: npt.ArrayLike, raters: npt.ArrayLike, units: npt.ArrayLike
) -> tuple[Array, Codes, Codes]:
    """Ratings, and numbers from 0 for the labels."""
    y = np.asarray(ratings, dtype=np.float64)
    if y.ndim != 1 or len(y) == 0 or np.shape(raters) != y.shape or np.shape(units) != y.shape:
        raise ValueError(
            f"need arrays of one shape (n,) with n > 0, not {y.shape}, "
            f"{np.shape(raters)} and {np.shape(units)}"
        )
    if not np.isfinite(y).all():
        raise ValueError("ratings must be finite: leave missing ones out")
    return y, codes(raters)[1], codes(units)[1]
