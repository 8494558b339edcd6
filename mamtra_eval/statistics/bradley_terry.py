"""Strengths of systems from preferences between two clips: Bradley-Terry with order and ties.

The clip that is heard first wins with the odds exp(β_first - β_second + γ), where γ is the bias
towards the first place (Bradley & Terry, 1952; order as of Davidson & Beaver, 1977). Ties count as
half a win to each side, or as an outcome of their own with the weight ν √(odds) (Davidson, 1970),
which makes the three outcomes' scores η/2, -η/2 and ln ν, with η the logarithm of the odds. Both
likelihoods are concave.

Strengths sum to zero. A system that never wins, or never loses, has no finite one; a normal prior
with precision ``RIDGE`` on every parameter keeps it finite (as do ties counted as half a win). With
tens of votes a system it moves others by less than 0.001; ``Fit.finite`` says where it decides.

Elo is 1000 + 400 / ln 10 · β, a mere change of scale: unlike sequential Elo it does not depend on
the order in which votes came. Intervals are percentile intervals over raters drawn with
replacement, each with all votes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse.csgraph import connected_components

from mamtra_eval.statistics import bootstrap
from mamtra_eval.statistics.bootstrap import Array, Estimate
from mamtra_eval.statistics.moments import codes

RIDGE = 1e-3
ELO = 400 / math.log(10)
Ties: TypeAlias = Literal["davidson", "half"]


class Preferences(NamedTuple):
    """One row a vote.

    Attributes:
        first: shape (n,), system of the clip that was heard (or stood) first.
        second: shape (n,), the other system.
        outcomes: shape (n,): 1 where the first was preferred, 0 the second, 0.5 a tie.
        raters: shape (n,), any labels.
    """

    first: npt.ArrayLike
    second: npt.ArrayLike
    outcomes: npt.ArrayLike
    raters: npt.ArrayLike


@dataclass(frozen=True)
class Fit:
    """What preferences say.

    Attributes:
        strengths: β by system, logits, summing to 0.
        elo: the same as 1000 + 400 / ln 10 · β.
        win_rates: by ordered pair, probability that the one wins a decided vote in no order.
        order: γ, logits; above 0 where the first place is preferred.
        tie: ν of Davidson's model; ``None`` without one, or where nothing was tied.
        finite: whether wins lead from every system to every other, which bounds all strengths; else
            the prior alone bounds some. (It may also be alone in bounding the order or the tie, of
            votes that all went to the first place, or were all ties.)
        votes: that were counted.
        raters: who gave them.
    """

    strengths: dict[str, Estimate]
    elo: dict[str, Estimate]
    win_rates: dict[tuple[str, str], Estimate]
    order: Estimate
    tie: float | None
    finite: bool
    votes: int
    raters: int


def fit(
    preferences: Preferences, *, ties: Ties = "davidson", level: float = 0.95,
    resamples: int = 400, seed: int = 0,
) -> Fit:  # fmt: skip
    """Strengths with intervals.

    Args:
        preferences: votes; of a system against itself none.
        ties: Davidson's model, or half a win to each.
        level: probability that the intervals shall cover.
        resamples: draws of raters; 0 for none, and no ends. No ends below two raters, either.
        seed: of the draws.

    Raises:
        ValueError: for shapes or outcomes that don't fit, a system against itself, or systems that
            no chain of comparisons connects.
    """
    if ties not in ("davidson", "half"):
        raise ValueError(f"ties are counted as 'davidson' or 'half', not {ties!r}")
    names, first, second, outcomes, rater_count, rater = _checked(preferences)
    size = len(names)
    _require_connection(names, first, second)
    # Votes counted by rater, then by (first wins, second wins, tie), first and second system.
    kind = np.select([outcomes == 1.0, outcomes == 0.0], [0, 1], default=2)
    place = (kind * size + first) * size + second
    table = np.zeros((rater_count, 3 * size * size))
    np.add.at(table, (rater, place), 1.0)
    davidson = ties == "davidson" and bool((kind == 2).any())
    sums = bootstrap.resample(table, resamples=resamples, seed=seed)
    whole = _maximum(sums[0], size, davidson, None)
    draws = np.stack([whole, *(_resampled(one, size, davidson, whole) for one in sums[1:])])

    def interval(values: Array) -> Estimate:
        return bootstrap.interval(values, rater_count, level)

    return Fit(
        {name: interval(draws[:, k]) for k, name in enumerate(names)},
        {name: interval(1000 + ELO * draws[:, k]) for k, name in enumerate(names)},
        {
            (names[j], names[k]): interval(1 / (1 + np.exp(draws[:, k] - draws[:, j])))
            for j, k in permutations(range(size), 2)
        },
        interval(draws[:, size]),
        math.exp(whole[size + 1]) if davidson else None,
        _reached(sums[0], size, "strong") == 1,
        len(outcomes),
        rater_count,
    )


def _maximum(counts: Array, size: int, davidson: bool, start: Array | None) -> Array:
    """Strengths, order and, for Davidson's model, ln ν at the maximum: (size + 1 or size + 2,)."""
    wins, losses, tied = counts.reshape(3, size, size)
    if not davidson:
        wins, losses, tied = wins + tied / 2, losses + tied / 2, np.zeros_like(tied)
    first, second = np.nonzero(wins + losses + tied)
    seen = np.stack([wins[first, second], losses[first, second], tied[first, second]], axis=1)
    width = size + 1 + davidson
    rows = np.arange(len(first))
    design = np.zeros((len(first), 3, width))  # of the outcomes' scores
    for outcome, half in ((0, 0.5), (1, -0.5)):
        design[rows, outcome, first] = half
        design[rows, outcome, second] = -half
        design[:, outcome, size] = half
    if davidson:
        design[:, 2, size + 1] = 1.0
    absent = np.array([0.0, 0.0, 0.0 if davidson else -np.inf])
    total = seen.sum(axis=1)

    def loss(at: Array) -> tuple[float, Array]:
        scores = design @ at + absent
        norm = np.logaddexp.reduce(scores, axis=1)
        expected = np.exp(scores - norm[:, None]) * total[:, None]
        likelihood = np.sum(seen * (design @ at)) - np.sum(total * norm)
        slope = np.einsum("po,pok->k", seen - expected, design) - RIDGE * at
        return float(RIDGE / 2 * at @ at - likelihood), -slope

    def curvature(at: Array) -> Array:
        scores = design @ at + absent
        p = np.exp(scores - np.logaddexp.reduce(scores, axis=1)[:, None])
        mean = np.einsum("po,pok->pk", p, design)
        spread = np.einsum("p,po,pok,pol->kl", total, p, design, design, optimize=True)
        return np.asarray(spread - (mean.T * total) @ mean + RIDGE * np.eye(width))

    begin = np.zeros(width) if start is None else start
    found = minimize(loss, begin, jac=True, hess=curvature, method="trust-exact",
                     options={"gtol": 1e-6})  # fmt: skip
    best = np.asarray(found.x, dtype=np.float64)
    best[:size] -= best[:size].mean()
    return best


def _resampled(counts: Array, size: int, davidson: bool, whole: Array) -> Array:
    """As ``_maximum``; NaN where the raters drawn left systems without a comparison."""
    if _reached(counts, size, "weak") > 1:
        return np.full_like(whole, np.nan)
    return _maximum(counts, size, davidson, whole)


def _reached(counts: Array, size: int, connection: str) -> int:
    """Number of parts in the graph of who beats whom; a tie beats both ways."""
    wins, losses, tied = counts.reshape(3, size, size)
    beats = wins + losses.T + tied + tied.T
    return int(connected_components(beats > 0, connection=connection, return_labels=False))


def _require_connection(
    names: list[str], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> None:
    met = np.zeros((len(names), len(names)))
    met[first, second] = 1.0
    count, part = connected_components(met, directed=False)
    if count > 1:
        groups = [[name for name, own in zip(names, part, strict=True) if own == k]
                  for k in range(count)]  # fmt: skip
        listed = "; ".join(", ".join(group) for group in groups)
        raise ValueError(f"no comparison connects these groups of systems: {listed}")


def _checked(
    preferences: Preferences,
) -> tuple[
    list[str], npt.NDArray[np.int64], npt.NDArray[np.int64], Array, int, npt.NDArray[np.int64]
]:
    """Systems' names, numbers of first and second, outcomes, number of raters and their numbers."""
    first, second, raters = map(np.asarray, (preferences[0], preferences[1], preferences[3]))
    outcomes = np.asarray(preferences.outcomes, dtype=np.float64)
    shapes = {one.shape for one in (first, second, outcomes, raters)}
    if outcomes.ndim != 1 or len(shapes) > 1 or len(outcomes) == 0:
        raise ValueError(f"need four arrays of one shape (n,) with n > 0, not {sorted(shapes)}")
    if not np.isin(outcomes, (0.0, 0.5, 1.0)).all():
        raise ValueError("outcomes are 1 (the first preferred), 0 (the second) or 0.5 (a tie)")
    names, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = index[: len(first)], index[len(first) :]
    if (one == other).any():
        raise ValueError(f"{names[one[one == other][0]]} was compared with itself")
    return [str(name) for name in names], one, other, outcomes, *codes(raters)
