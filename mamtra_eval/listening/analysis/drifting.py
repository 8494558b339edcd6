"""Do ratings drift along a session, and do lists differ?

A position is told from what was heard there only where sentences come at different positions: so
the position is fitted jointly with all else, by least squares::

    rating ~ rater + item + system (of pairs: both, in their order) + slope · position

The drift is the slope times the way from the first position to the last. Its interval is two-way
clustered by raters and items, as elsewhere: raters tire differently, and a system's luck with an
item is heard by all raters of a list at one position. Where lists share their order of sentences,
or nearly, so little of the positions is left that the slope would be noise or a sentence's doing:
then none is given.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import numpy.typing as npt

from mamtra_eval.listening.analysis.values import why_no_interval, with_width
from mamtra_eval.listening.analysis.votes import Vote
from mamtra_eval.statistics.bootstrap import Array, Estimate
from mamtra_eval.statistics.crossed import two_way

LEAST = 0.05
"""Share of the positions' sum of squares that raters, items and systems must leave unexplained."""


@dataclass(frozen=True)
class Place:
    """Mean residual at a position, or in a list."""

    name: str
    residual: float
    votes: int


@dataclass(frozen=True)
class Places:
    """Where in a session votes were given.

    Attributes:
        positions: by position in the session, raters, items and systems taken out by the fit, the
            drift left in; none where positions can't be told from sentences.
        drift: from the first position to the last, along a straight line, points.
        lists: by list; systems and items taken out.
        reasons: why something is undefined.
    """

    positions: tuple[Place, ...]
    drift: Estimate | None
    lists: tuple[Place, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Fit:
    """Slope in points a position, and what each vote has left.

    Attributes:
        pseudo: one a vote, (n,); their mean is the slope, what they are off it is the votes' shares
            in its error.
        rest: residuals with the slope left in, (n,).
    """

    pseudo: Array
    rest: Array


def places(votes: Sequence[Vote], level: float) -> Places:
    """Mean residuals by position and by list, and whether ratings drift within a session."""
    lists = _lists(votes)
    if not votes:
        return Places((), None, lists, ("not defined: no votes",))
    fit = _fit(votes)
    if isinstance(fit, str):
        return Places((), None, lists, (fit,))
    at = np.array([vote.position for vote in votes])
    way = float(np.ptp(at))
    raters, items = [vote.rater for vote in votes], [vote.item for vote in votes]
    drift = with_width(two_way(way * fit.pseudo, raters, items, level))
    reasons: tuple[str, ...] = ()
    if drift.low is None:
        reasons = (why_no_interval(votes) or "no interval of the drift: residuals don't vary",)
    found = tuple(
        Place(str(one), float(fit.rest[at == one].mean()), int(np.sum(at == one)))
        for one in np.unique(at)
    )
    return Places(found, drift, lists, reasons)


def _fit(votes: Sequence[Vote]) -> _Fit | str:
    """The joint fit, or why there is none; raters are taken out by their means, which is exact."""
    n = len(votes)
    position = np.array([float(vote.position) for vote in votes])
    spread = float(np.sum((position - position.mean()) ** 2))
    if spread == 0:
        return "drift is not defined: all votes have one position"
    rater = _dummies([vote.rater for vote in votes])
    others = np.hstack([
        _dummies([vote.item for vote in votes]),
        _dummies([f"{vote.system}\t{vote.other}" for vote in votes]),
    ])  # fmt: skip
    rated = np.array([vote.rating for vote in votes])
    centred = _less_means(np.column_stack([position, rated, others]), rater)
    taken, _, rank, _ = np.linalg.lstsq(centred[:, 2:], centred[:, :2], rcond=None)
    x, y = (centred[:, :2] - centred[:, 2:] @ taken).T
    left = float(x @ x)
    if left < LEAST * spread:
        return (
            "drift can't be told apart from sentences: lists have them in the same order, or nearly"
            f" ({100 * left / spread:.0f} % of the positions' spread is left once raters, "
            f"sentences and systems are taken out; {100 * LEAST:.0f} % are needed)"
        )
    free = n - rater.shape[1] - int(rank) - 1
    if free < 1:
        return "drift is not defined: too few votes for raters, sentences, systems and positions"
    slope = float(x @ y) / left
    rest = y - slope * x
    share = math.sqrt((n - 1) / free) * x * rest / left
    return _Fit(slope + n * share, rest + slope * (position - position.mean()))


def _dummies(labels: Sequence[str]) -> Array:
    """A column each label, (n, labels)."""
    names, index = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    return np.asarray(index[:, None] == np.arange(len(names)), dtype=np.float64)


def _less_means(values: Array, groups: npt.NDArray[np.float64]) -> Array:
    """Values less the mean of their group, column by column."""
    means = (groups.T @ values) / groups.sum(axis=0)[:, None]
    return np.asarray(values - groups @ means)


def _lists(votes: Sequence[Vote]) -> tuple[Place, ...]:
    """Mean residuals by list: ratings less the mean of the system (pair), then less the item's."""
    rest = _centred(votes, lambda vote: (vote.system, vote.other))
    by_list: dict[str, list[float]] = defaultdict(list)
    for vote in _centred(rest, lambda vote: vote.item):
        by_list[vote.list_id or "unknown"].append(vote.rating)
    return tuple(Place(one, fmean(own), len(own)) for one, own in sorted(by_list.items()))


def _centred(votes: Sequence[Vote], label: Callable[[Vote], object]) -> list[Vote]:
    grouped: dict[object, list[float]] = defaultdict(list)
    for vote in votes:
        grouped[label(vote)].append(vote.rating)
    means = {name: fmean(values) for name, values in grouped.items()}
    return [replace(vote, rating=vote.rating - means[label(vote)]) for vote in votes]
