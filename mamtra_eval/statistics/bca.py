"""Bias-corrected and accelerated bootstrap intervals (Efron, 1987).

The percentile interval takes the draws as they lie. BCa moves its ends by how far the draws lie
from the value (bias) and by how the spread grows with the value (acceleration, from leaving out one
utterance at a time), which skewed error rates need: few utterances carry most errors.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics.bootstrap import Array, Estimate

NORMAL = NormalDist()


def interval(
    columns: npt.ArrayLike, reduce: Callable[[Array], Array], draws: Array, level: float = 0.95
) -> Estimate:
    """Value and BCa interval of a statistic of sums over rows.

    Args:
        columns: shape (n, k), one row an utterance (or a cluster of them).
        reduce: from sums (m, k) to the statistic (m,).
        draws: shape (B + 1,): the statistic of the sample, then of each resample; NaN where a
            resample does not define it.
        level: probability that the interval shall cover.
    """
    rows = np.asarray(columns, dtype=np.float64)
    value, resampled = float(draws[0]), draws[1:][np.isfinite(draws[1:])]
    if len(rows) < 2 or len(resampled) == 0:
        return Estimate(value, None, None)
    if np.ptp(resampled) == 0:
        return Estimate(value, float(resampled[0]), float(resampled[0]))
    bias = _bias(resampled, value)
    acceleration = _acceleration(reduce(rows.sum(axis=0) - rows))
    tail = (1.0 - level) / 2
    ends = [_moved(p, bias, acceleration) for p in (tail, 1.0 - tail)]
    low, high = np.quantile(resampled, ends)
    return Estimate(value, float(low), float(high))


def _bias(draws: Array, value: float) -> float:
    """How many standard deviations the value lies above the draws' median; ties count half."""
    below = (np.mean(draws < value) + np.mean(draws <= value)) / 2
    edge = 1.0 / (2 * len(draws))
    return NORMAL.inv_cdf(float(np.clip(below, edge, 1.0 - edge)))


def _acceleration(left_out: Array) -> float:
    """A sixth of the skewness of the jackknife values, with the sign of Efron's formula."""
    spread = left_out[np.isfinite(left_out)]
    centred = spread.mean() - spread if len(spread) else spread
    below = float(np.sum(centred**2)) ** 1.5
    return float(np.sum(centred**3)) / (6.0 * below) if below > 0 else 0.0


def _moved(p: float, bias: float, acceleration: float) -> float:
    """The quantile of the draws that stands for the end p."""
    shifted = bias + NORMAL.inv_cdf(p)
    return NORMAL.cdf(bias + shifted / max(1e-9, 1.0 - acceleration * shifted))
