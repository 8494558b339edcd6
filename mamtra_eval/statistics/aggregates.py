"""What is made of the utterances' values: columns to be resampled, and what their sums mean.

Every aggregate is a function of sums over utterances, so that all of them come from one resampling
(``bootstrap.resample``) and differences stay paired draw by draw. Means and pooled rates are ratios
of two sums. An order statistic is read off a histogram: one column for each distinct value, whose
sums say how often a resample has it. Rates of words take few values, so these are few columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics.bootstrap import Array, divide

ROUNDING = 1e-14
"""Share of a sum of squares that is only what subtraction leaves of equal numbers."""


class Aggregate(NamedTuple):
    """A statistic of utterances.

    Attributes:
        columns: shape (n, k), one row an utterance; zeros where a system lacks it.
        reduce: from sums (B, k) of the columns to the statistic (B,); NaN where undefined.
        resamples: whether resampling tells how sure it is: not so for a maximum, which no resample
            exceeds.
        linear: whether it is Σ first column / Σ second column, which has a closed form.
    """

    columns: npt.NDArray[Any]
    reduce: Callable[[Array], Array]
    resamples: bool = True
    linear: bool = False


def ratio(above: Array, below: Array) -> Aggregate:
    """Σ above / Σ below: a mean where ``below`` is ones, a pooled rate where it counts words."""
    columns = np.stack([above, below], axis=1)
    return Aggregate(columns, lambda sums: divide(sums[:, 0], sums[:, 1]), linear=True)


def deviation(values: Array, present: Array) -> Aggregate:
    """Standard deviation with n - 1 below.

    Args:
        values: shape (n,).
        present: shape (n,): 1 where there is a value, else 0.
    """
    centred = np.where(present > 0, values - _mean(values, present), 0.0)  # squares stay exact

    def reduce(sums: Array) -> Array:
        n, total, squares = sums.T
        spread = squares - divide(total * total, n)
        spread[spread < ROUNDING * squares] = 0.0  # all alike, but for the last digits
        return np.sqrt(divide(spread, n - 1))

    return Aggregate(np.stack([present, centred, centred * centred], axis=1), reduce)


def quantile(values: Array, present: Array, q: float) -> Aggregate:
    """The q-quantile as NumPy's ``linear`` has it: 0.5 is the median, 1 the maximum."""
    levels, columns = _histogram(values, present)

    def reduce(sums: Array) -> Array:
        reached = np.cumsum(sums, axis=1)
        place = q * (reached[:, -1] - 1)
        below = np.floor(place)
        picked = [
            levels[np.minimum((reached <= rank[:, None]).sum(axis=1), len(levels) - 1)]
            for rank in (below, np.ceil(place))
        ]
        found = picked[0] + (place - below) * (picked[1] - picked[0])
        return np.where(reached[:, -1] > 0, found, np.nan)

    return Aggregate(columns, reduce, resamples=0 < q < 1)


def _histogram(values: Array, present: Array) -> tuple[Array, npt.NDArray[np.uint8]]:
    """Distinct values in order, (u,), and which of them each utterance has, (n, u)."""
    there = present > 0
    levels, index = np.unique(values[there], return_inverse=True)
    columns = np.zeros((len(values), len(levels)), np.uint8)  # an eighth of the room
    columns[np.flatnonzero(there), index] = 1
    return levels, columns


def _mean(values: Array, present: Array) -> float:
    return float(np.sum(values * present) / max(np.sum(present), 1.0))
