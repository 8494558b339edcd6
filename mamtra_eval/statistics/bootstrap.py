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

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

Array = npt.NDArray[np.float64]

CHUNK = 1_000_000
"""Weights held at a time, which bounds memory whatever the number of utterances."""
FEWEST_DRAWS = 64
"""Draws at a time of however many utterances: the columns are read once for all of them."""
SCARCE, WHOLE, OTHER = range(3)
DENSE = 16
"""A column of whole numbers is kept as a sparse one where fewer than one of so many is not zero:
those of a histogram, of which there may be hundreds, take no more together than one."""
LONG = 4096
"""So many rows are worth counting each draw, and summing each kind of column, on its own."""


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
    return resample_blocks([np.asarray(columns, dtype=np.float64)], resamples, seed)[0]


def resample_blocks(blocks: Sequence[npt.NDArray[Any]], resamples: int, seed: int) -> list[Array]:
    """The same of several blocks of columns, (n, k) each, that share each draw.

    Of many rows, columns that are alike are summed once, and whole numbers (counts, flags,
    histograms) in single precision, which is exact for them up to 2^24 and takes half the time and
    memory. Of few rows all are summed together: sums depend in their last digit on what is beside
    them, and those of published runs stay as they are.

    Returns:
        shape (B + 1, k) of each block.
    """
    n = _rows(blocks)
    if n < LONG:
        table = np.concatenate(blocks, axis=1, dtype=np.float64)
        ends = np.cumsum([block.shape[1] for block in blocks])[:-1]
        return np.split(_sums(n, table[:, :0], table, resamples, seed), ends, axis=1)
    kinds: tuple[list[npt.NDArray[Any]], ...] = ([], [], [])  # few values, whole, others
    places: dict[bytes, tuple[int, int]] = {}  # kind and place, by a column's content
    where = []
    for block in blocks:
        own = []
        for column in block.T:
            values = np.ascontiguousarray(column, dtype=np.float64)
            name = blake2b(values.tobytes()).digest()
            if name not in places:
                kind = _kind(values)
                places[name] = kind, len(kinds[kind])
                kinds[kind].append(values if kind == OTHER else values.astype(np.float32))
            own.append(places[name])
        where.append(own)
    starts = np.cumsum([0, *map(len, kinds)])
    scarce = sparse.csr_matrix(np.stack(kinds[SCARCE])) if kinds[SCARCE] else None
    sums = _sums(n, _table(kinds[WHOLE], n), _table(kinds[OTHER], n), resamples, seed, scarce)
    return [sums[:, [starts[kind] + place for kind, place in own]] for own in where]


def _rows(blocks: Sequence[npt.NDArray[Any]]) -> int:
    """The number of rows, after a look at the values."""
    for block in blocks:
        if block.ndim != 2 or len(block) == 0:
            raise ValueError(f"need an array (n, k) with n > 0, not {block.shape}")
        if not np.isfinite(block).all():
            raise ValueError("values must be finite: leave failed readings out, or count them")
    return len(blocks[0])


def _kind(values: Array) -> int:
    """How a column is summed; whole is what single precision is exact for in any resample."""
    whole = len(values) * np.abs(values).max() < 2**24 and (values == np.floor(values)).all()
    if not whole:
        return OTHER
    return SCARCE if DENSE * np.count_nonzero(values) < len(values) else WHOLE


def _table(columns: list[npt.NDArray[Any]], n: int) -> npt.NDArray[Any]:
    """Columns side by side, (n, k)."""
    return np.stack(columns, axis=1) if columns else np.empty((n, 0))


def _sums(
    n: int, whole: npt.NDArray[Any], real: Array, resamples: int, seed: int,
    scarce: sparse.csr_matrix | None = None,
) -> Array:  # fmt: skip
    """Sums of the sample and of each draw: of the columns of few values (k, n), whole, others."""
    rng = np.random.default_rng(seed)
    step = max(FEWEST_DRAWS, CHUNK // n)
    first = 0 if scarce is None else scarce.shape[0]
    second = first + whole.shape[1]
    sums = np.empty((resamples + 1, second + real.shape[1]))
    sums[0, first:second], sums[0, second:] = whole.sum(axis=0, dtype=np.float64), real.sum(axis=0)
    if scarce is not None:
        sums[0, :first] = scarce @ np.ones(n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        weights = _weights(rng, size, n)
        rows = slice(start + 1, start + 1 + size)
        if scarce is not None:
            sums[rows, :first] = (scarce @ np.ascontiguousarray(weights.T)).T
        if second > first:
            sums[rows, first:second] = weights @ whole
        if real.shape[1]:
            sums[rows, second:] = weights.astype(np.float64) @ real
    return sums


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


def _weights(rng: np.random.Generator, size: int, n: int) -> npt.NDArray[np.float32]:
    """How often each of n rows is drawn in each of ``size`` draws of n: (size, n)."""
    drawn = rng.integers(n, size=(size, n))
    if n < LONG:
        drawn += n * np.arange(size)[:, None]
        return np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float32)
    weights = np.empty((size, n), np.float32)
    for row, own in zip(weights, drawn, strict=True):  # each has room in a processor's cache
        row[:] = np.bincount(own, minlength=n)
    return weights


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
