"""Bootstrap intervals over utterances, for means, ratios of sums and paired differences.

Every figure of a report is a ratio of sums over utterances: a mean has the utterances' values
above and ones below, a pooled rate its errors above and its words below. So one resampling serves
all: utterances are drawn with replacement, and all columns over the same utterances (numerators
and denominators, of any number of figures and systems) share each draw, which is what makes
differences paired. Repeats of an utterance are summed or averaged before, so they stay together;
so are the utterances of a speaker where speakers are what is drawn (``clustered``).

The interval is the percentile interval. Draws come from ``numpy.random.default_rng(seed)``: the
same seed and number of utterances, the same draws.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CHUNK = 1_000_000
"""Weights held at a time, which bounds memory whatever the number of utterances."""


class Estimate(NamedTuple):
    """A value with its interval; the ends are ``None`` where fewer than two utterances speak."""

    value: float
    low: float | None
    high: float | None


def resample(columns: npt.ArrayLike, *, resamples: int = 10_000, seed: int = 0) -> Array:
    """Column sums of each resample of the rows.

    Args:
        columns: shape (n, k): one row an utterance, any number of columns.
        resamples: number of draws B.
        seed: of the draws.

    Returns:
        shape (B + 1, k): the sums of the sample itself, then those of the draws.

    Raises:
        ValueError: for no row, or values that are not finite.
    """
    rows = np.asarray(columns, dtype=np.float64)
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"need an array (n, k) with n > 0, not {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("values must be finite: leave failed readings out, or count them")
    rng = np.random.default_rng(seed)
    n = len(rows)
    step = max(1, CHUNK // n)
    sums = [rows.sum(axis=0, keepdims=True)]
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        sums.append(_weights(rng, size, n) @ rows)
    return np.concatenate(sums)


def clustered(columns: npt.ArrayLike, clusters: npt.ArrayLike) -> Array:
    """Column sums of each cluster of rows, so that ``resample`` draws whole clusters.

    Utterances of one speaker are alike (a voice that is cloned badly is so in all of them); drawn
    one by one, as if each told something new, they make intervals too narrow. Where other speakers
    could as well have been chosen, a speaker is drawn whole, with all utterances. Since figures are
    functions of sums, their values stay as they are: a ratio is still the ratio of all sums, and
    larger clusters weigh more.

    Args:
        columns: shape (n, k), one row an utterance.
        clusters: shape (n,): which cluster each row belongs to, any labels.

    Returns:
        shape (G, k), one row a cluster, in the order of their labels.

    Raises:
        ValueError: for shapes that don't fit.
    """
    rows, labels = np.asarray(columns, dtype=np.float64), np.asarray(clusters)
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise ValueError(f"need arrays (n, k) and (n,), not {rows.shape} and {labels.shape}")
    names, index = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, index, rows)
    return sums


def _weights(rng: np.random.Generator, size: int, n: int) -> Array:
    """How often each of n rows is drawn in each of ``size`` draws of n: (size, n)."""
    drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def interval(draws: npt.NDArray[np.float64], n: int, level: float = 0.95) -> Estimate:
    """Value and percentile interval of a statistic.

    Args:
        draws: shape (B + 1,): the statistic of the sample, then of each resample; NaN where a
            resample does not define it.
        n: utterances that were resampled; below two there is no interval.
        level: probability that the interval shall cover.
    """
    value = float(draws[0])
    if n < 2 or not np.isfinite(draws[1:]).any():
        return Estimate(value, None, None)
    tail = (1.0 - level) / 2
    low, high = np.nanquantile(draws[1:], [tail, 1.0 - tail])
    return Estimate(value, float(low), float(high))


def divide(above: Array, below: Array) -> Array:
    """Element by element; NaN where a resample drew nothing to divide by."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
