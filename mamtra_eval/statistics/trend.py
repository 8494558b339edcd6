"""Trend over an ordered set of systems, such as the share of layers that were replaced.

All systems speak the same utterances, so a trend is worked out for each utterance or each resample
and its interval comes from utterances, paired. ``linear`` is the slope of the least-squares line.
``isotonic`` fits means that never fall (or never rise) with the order and says how far they go in
all: it assumes no line, only a direction, and is zero where nothing points that way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics import bootstrap
from mamtra_eval.statistics.bootstrap import Array, Estimate


def linear(
    values: npt.ArrayLike, positions: npt.ArrayLike, *, level: float = 0.95,
    resamples: int = 10_000, seed: int = 0,
) -> Estimate:  # fmt: skip
    """Slope per unit of position, with its interval.

    Args:
        values: shape (n, s), one row an utterance, one column a system; nothing missing.
        positions: shape (s,), not all alike.
        level: probability that the interval shall cover.
        resamples: draws of utterances.
        seed: of the draws.
    """
    table, x = _checked(values, positions)
    centred = x - x.mean()
    slopes = table @ centred / np.sum(centred**2)
    columns = np.stack([slopes, np.ones_like(slopes)], axis=1)
    sums = bootstrap.resample(columns, resamples=resamples, seed=seed)
    return bootstrap.interval(bootstrap.divide(sums[:, 0], sums[:, 1]), len(table), level)


def isotonic(
    values: npt.ArrayLike, positions: npt.ArrayLike, *, rising: bool = True, level: float = 0.95,
    resamples: int = 10_000, seed: int = 0,
) -> Estimate:  # fmt: skip
    """How far the monotone fit goes from the first position to the last, with its interval.

    Args:
        values: shape (n, s), as of ``linear``.
        positions: shape (s,); systems at one position count together.
        rising: the direction that is fitted.
        level: probability that the interval shall cover.
        resamples: draws of utterances.
        seed: of the draws.

    Returns:
        at least 0 for ``rising``, at most 0 otherwise.
    """
    table, x = _checked(values, positions)
    places = np.unique(x)
    grouped = np.stack([table[:, x == place].mean(axis=1) for place in places], axis=1)
    columns = np.concatenate([grouped, np.ones((len(table), 1))], axis=1)
    sums = bootstrap.resample(columns, resamples=resamples, seed=seed)
    means = sums[:, :-1] / sums[:, -1:]
    fitted = monotone(means if rising else -means)
    reach = fitted[:, -1] - fitted[:, 0]
    return bootstrap.interval(reach if rising else -reach, len(table), level)


def monotone(means: Array) -> Array:
    """The closest rows that never fall, (m, s) for (m, s): isotonic regression, equal weights.

    By the max-min formula: the j-th is the largest over beginnings i ≤ j of the smallest over ends
    k ≥ j of the means of i … k (Robertson, Wright & Dykstra, 1988, theorem 1.4.4).
    """
    m, s = means.shape
    sums = np.concatenate([np.zeros((m, 1)), np.cumsum(means, axis=1)], axis=1)
    fitted = np.full((m, s), -np.inf)
    for begin in range(s):
        lengths = np.arange(1, s - begin + 1)
        averages = (sums[:, begin + 1 :] - sums[:, begin : begin + 1]) / lengths
        smallest = np.minimum.accumulate(averages[:, ::-1], axis=1)[:, ::-1]
        fitted[:, begin:] = np.maximum(fitted[:, begin:], smallest)
    return fitted


def _checked(values: npt.ArrayLike, positions: npt.ArrayLike) -> tuple[Array, Array]:
    table, x = np.asarray(values, dtype=np.float64), np.asarray(positions, dtype=np.float64)
    if table.ndim != 2 or table.shape[1:] != x.shape or len(table) == 0:
        raise ValueError(f"need values (n, s) and positions (s,), not {table.shape} and {x.shape}")
    if not np.isfinite(table).all():
        raise ValueError("values must be finite: take the utterances that all systems have")
    if np.ptp(x) == 0:
        raise ValueError("a trend needs at least two positions")
    return table, x
