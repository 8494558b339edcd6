"""Intervals without resampling: Student's t for means and ratios, Wilson's for shares.

A ratio of sums is linearised (Taylor series, Cochran 1977, section 6.4; Woodruff 1971): around its
value R it moves with the utterances' residuals (above - R · below) / Σ below, whose sum has the
variance n / (n - 1) · Σ residuals². Where ``below`` is ones this is a mean's s² / n, exactly. The
residuals of two ratios over the same utterances are subtracted before they are squared, which is
what makes a difference paired.

With clusters (speakers) the residuals are summed in each first, and clusters are counted in place
of utterances (cluster-robust variance, Liang & Zeger 1986): the same numbers as
``bootstrap.clustered`` and then the interval. Linearising takes Σ below for well known; many
utterances, or clusters that are much alike in size, are what it needs.

The t interval is symmetric, which skewed error rates are not: few utterances make it cover too
little, as they do the percentile interval (``bca`` is for those).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

from mamtra_eval.statistics.bootstrap import Array, Estimate, clustered


def mean(
    values: npt.ArrayLike, level: float = 0.95, clusters: npt.ArrayLike | None = None
) -> Estimate:
    """Mean with Student's t interval (1908).

    Args:
        values: shape (n,), one an utterance.
        level: probability that the interval shall cover.
        clusters: shape (n,): which utterances belong together, any labels.

    Returns:
        no ends below two utterances, or two clusters.

    Raises:
        ValueError: for no value, values that are not finite, or shapes that don't fit.
    """
    ones = np.ones_like(np.asarray(values, dtype=np.float64))
    return ratio(values, ones, level, clusters)


def ratio(
    above: npt.ArrayLike, below: npt.ArrayLike, level: float = 0.95,
    clusters: npt.ArrayLike | None = None,
) -> Estimate:  # fmt: skip
    """Σ above / Σ below, with the t interval of its linearisation.

    Args:
        above: shape (n,), such as an utterance's errors.
        below: shape (n,), at least 0, such as its words. Rows of zeros only are utterances that the
            system lacks, and count nowhere.
        level: probability that the interval shall cover.
        clusters: shape (n,): which utterances belong together, any labels.

    Returns:
        NaN without ends where Σ below is 0; no ends below two utterances, or two clusters.

    Raises:
        ValueError: as of ``mean``, or for a negative ``below``.
    """
    rows = _rows([above, below], clusters)
    value, residuals = _linearised(rows[:, 0], rows[:, 1])
    return _estimate(value, residuals, level)


def difference(
    above: npt.ArrayLike, below: npt.ArrayLike, other_above: npt.ArrayLike,
    other_below: npt.ArrayLike, level: float = 0.95, clusters: npt.ArrayLike | None = None,
) -> Estimate:  # fmt: skip
    """Paired difference of two ratios over the same utterances: the first minus the other.

    Args:
        above: shape (n,), of the first system.
        below: shape (n,), of the first system.
        other_above: shape (n,), of the other, over the same utterances.
        other_below: shape (n,), of the other.
        level: probability that the interval shall cover.
        clusters: shape (n,): which utterances belong together, any labels.

    Returns:
        as of ``ratio``; where both have ones below, the interval of the paired t test.

    Raises:
        ValueError: as of ``ratio``.
    """
    rows = _rows([above, below, other_above, other_below], clusters)
    value, residuals = _linearised(rows[:, 0], rows[:, 1])
    other, others = _linearised(rows[:, 2], rows[:, 3])
    return _estimate(value - other, residuals - others, level)


def share(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Share of n utterances, with Wilson's score interval (1927).

    It has a width also for shares of 0 and 1, which every resample repeats and no t interval sees.

    Args:
        successes: utterances that are so, 0 to n.
        n: utterances, at least one.
        level: probability that the interval shall cover.

    Raises:
        ValueError: for a count that is not of 0 to n, or no utterance.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    z2 = float(ndtri((1.0 + level) / 2)) ** 2
    p = successes / n
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # Of none and of all the formula ends at 0 and 1, but for rounding.
    return Estimate(
        p,
        middle - half if successes > 0 else 0.0,
        middle + half if successes < n else 1.0,
    )


def _rows(columns: list[npt.ArrayLike], clusters: npt.ArrayLike | None) -> Array:
    """Numerators and denominators by turns, (n, k) or (G, k), without rows of zeros."""
    sides = [np.asarray(column, dtype=np.float64) for column in columns]
    if sides[0].ndim != 1 or len({side.shape for side in sides}) > 1 or len(sides[0]) == 0:
        shapes = ", ".join(str(side.shape) for side in sides)
        raise ValueError(f"need arrays of one shape (n,) with n > 0, not {shapes}")
    rows = np.stack(sides, axis=1)
    if not np.isfinite(rows).all():
        raise ValueError("values must be finite: leave failed readings out, or count them")
    if (rows[:, 1::2] < 0).any():
        raise ValueError("denominators must not be negative")
    if clusters is not None:
        rows = clustered(rows, clusters)
    return rows[rows.any(axis=1)]


def _linearised(above: Array, below: Array) -> tuple[float, Array]:
    """Σ above / Σ below, and what each row moves it by: (n,), which sum to 0."""
    total = float(below.sum())
    if total == 0:
        return math.nan, np.full_like(above, np.nan)
    value = float(above.sum()) / total
    return value, (above - value * below) / total


def _estimate(value: float, residuals: Array, level: float) -> Estimate:
    n = len(residuals)
    if n < 2 or math.isnan(value):
        return Estimate(value, None, None)
    error = math.sqrt(n / (n - 1) * float(np.sum(residuals**2)))
    reach = float(stdtrit(n - 1, (1.0 + level) / 2)) * error
    return Estimate(value, value - reach, value + reach)
