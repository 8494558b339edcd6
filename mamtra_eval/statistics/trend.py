"""Trend over an ordered set of systems, such as the share of layers that were replaced.

All systems speak the same utterances, so a trend is worked out for each utterance or each resample
and its interval comes from utterances, paired. ``linear`` is the slope of the least-squares line.
``isotonic`` fits means that never fall (or never rise) with the order and says how far they go in
all: it assumes no line, only a direction, and is zero where nothing points that way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics import bootstrap, closed_form
from mamtra_eval.statistics.bootstrap import Array, Estimate


def linear(
    values: npt.ArrayLike, positions: npt.ArrayLike, *, level: float = 0.95,
    resamples: int = 10_000, seed: int = 0, clusters: npt.ArrayLike | None = None,
) -> Estimate:  # fmt: skip
    """Slope per unit of position, with its interval.

    Args:
        values: shape (n, s), one row an utterance, one column a system; nothing missing.
        positions: shape (s,), not all alike.
        level: probability that the interval shall cover.
        resamples: draws of utterances.
        seed: of the draws.
        clusters: shape (n,): number of each utterance's speaker, where speakers are what is drawn.
    """
    table, x = _checked(values, positions)
    centred = x - x.mean()
    slopes = table @ centred / np.sum(centred**2)
    columns = _units(np.stack([slopes, np.ones_like(slopes)], axis=1), clusters)
    sums = bootstrap.resample(columns, resamples=resamples, seed=seed)
    return bootstrap.interval(bootstrap.divide(sums[:, 0], sums[:, 1]), len(columns), level)


def fitted(
    values: npt.ArrayLike, positions: npt.ArrayLike, at: npt.ArrayLike, *, level: float = 0.95,
    clusters: npt.ArrayLike | None = None,
) -> list[Estimate]:  # fmt: skip
    """The straight line of the means with a band around it, in closed form.

    Each utterance has a least-squares line of its own; at any place the line of the means is the
    mean of theirs.

    Args:
        values: shape (n, s), as of ``linear``.
        positions: shape (s,).
        at: places, shape (m,).
        level: probability that the interval at one place shall cover.
        clusters: shape (n,): number of each utterance's speaker, where speakers are what is drawn.
    """
    table, x = _checked(values, positions)
    centred = x - x.mean()
    slopes, middles = table @ centred / np.sum(centred**2), table.mean(axis=1)
    places = np.asarray(at, dtype=np.float64) - x.mean()
    return [closed_form.mean(middles + slopes * place, level, clusters) for place in places]


def isotonic(
    values: npt.ArrayLike, positions: npt.ArrayLike, *, rising: bool = True, level: float = 0.95,
    resamples: int = 10_000, seed: int = 0, clusters: npt.ArrayLike | None = None,
) -> Estimate:  # fmt: skip
    """How far the monotone fit goes from the first position to the last, with its interval.

    Args:
        values: shape (n, s), as of ``linear``.
        positions: shape (s,); systems at one position count together.
        rising: the direction that is fitted.
        level: probability that the interval shall cover.
        resamples: draws of utterances.
        seed: of the draws.
        clusters: shape (n,), as of ``linear``.

    Returns:
        at least 0 for ``rising``, at most 0 otherwise.
    """
    table, x = _checked(values, positions)
    places = np.unique(x)
    grouped = np.stack([table[:, x == place].mean(axis=1) for place in places], axis=1)
    columns = _units(np.concatenate([grouped, np.ones((len(table), 1))], axis=1), clusters)
    sums = bootstrap.resample(columns, resamples=resamples, seed=seed)
    means = sums[:, :-1] / sums[:, -1:]
    fitted = monotone(means if rising else -means)
    reach = fitted[:, -1] - fitted[:, 0]
    return bootstrap.interval(reach if rising else -reach, len(columns), level)


def isotonic_p(
    values: npt.ArrayLike, positions: npt.ArrayLike, *, rising: bool = True, flips: int = 2_000,
    seed: int = 0, clusters: npt.ArrayLike | None = None,
) -> float:  # fmt: skip
    """One-sided p of a monotone fit that goes as far, if the systems were all alike.

    A monotone fit finds some rise in noise, too, so that its interval alone proves nothing. Here
    each utterance's values (each speaker's utterances together) are dealt out anew among the
    systems; systems at one position are exchanged like the others.

    Args:
        values: shape (n, s), as of ``linear``.
        positions: shape (s,).
        rising: the direction that is fitted.
        flips: random dealings.
        seed: of them.
        clusters: shape (n,), as of ``linear``.
    """
    table, x = _checked(values, positions)
    table = table if clusters is None else bootstrap.clustered(table, clusters)
    table = table if rising else -table
    reached = _reach(table.sum(axis=0)[None, :], x)[0]
    rng = np.random.default_rng(seed)
    sums = np.stack([rng.permuted(table, axis=1).sum(axis=0) for _ in range(flips)])
    beyond = int(np.sum(_reach(sums, x) >= reached - 1e-12 * max(1.0, abs(reached))))
    return (beyond + 1) / (flips + 1)


def _reach(means: Array, positions: Array) -> Array:
    """How far the monotone fit of each row goes, (m,) for (m, s)."""
    places = np.unique(positions)
    grouped = np.stack([means[:, positions == place].mean(axis=1) for place in places], axis=1)
    fitted = monotone(grouped)
    return np.asarray(fitted[:, -1] - fitted[:, 0])


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


def _units(columns: Array, clusters: npt.ArrayLike | None) -> Array:
    """What is drawn: a row an utterance, or a row a speaker."""
    return columns if clusters is None else bootstrap.clustered(columns, clusters)


def _checked(values: npt.ArrayLike, positions: npt.ArrayLike) -> tuple[Array, Array]:
    table, x = np.asarray(values, dtype=np.float64), np.asarray(positions, dtype=np.float64)
    if table.ndim != 2 or table.shape[1:] != x.shape or len(table) == 0:
        raise ValueError(f"need values (n, s) and positions (s,), not {table.shape} and {x.shape}")
    if not np.isfinite(table).all():
        raise ValueError("values must be finite: take the utterances that all systems have")
    if np.ptp(x) == 0:
        raise ValueError("a trend needs at least two positions")
    return table, x
