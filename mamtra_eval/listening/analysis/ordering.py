"""Votes on pairs with the order of the two clips taken out.

A rating is positive where the second clip, as shown, was better. With d the advantage of a system
over another and b the bias towards the second place, it is b + d where the system is second and
b - d where it is first. So half the difference of the two orders' means is d, whichever order was
shown more often, and half their sum is b::

    d = (mean(second) - mean(first)) / 2        b = (mean(second) + mean(first)) / 2

Both are differences of two means over votes that share raters and items, so both have the two-way
clustered interval of such. Where one order alone was shown, d and b can't be told apart: then d
takes b for zero, and says so.

All else that is said of d comes from its ``contributions``: a vote of rating y gives (y - b) / 2n2
where the system was second, and (b - y) / 2n1 where it was first, n2 and n1 votes each. They add up
to d, and to each rater, or item, belongs the sum of its own. Flipping the signs of those sums is
the randomisation; plain means of raters would take a bias b for an advantage wherever one order was
shown more often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mamtra_eval.listening.analysis.values import signed_ranks, with_width
from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.statistics import crossed as figures
from mamtra_eval.statistics import paired
from mamtra_eval.statistics.bootstrap import Array, Estimate
from mamtra_eval.statistics.crossed import Votes


@dataclass(frozen=True)
class Randomised:
    """Tests of no advantage that need no variance.

    Attributes:
        p_swap: by flipping the signs of raters' contributions, and of items'; the larger.
        p_wilcoxon: signed ranks of items' contributions; it takes raters for fixed.
    """

    p_swap: float
    p_wilcoxon: float | None


def signed(vote: Vote, system: str) -> float:
    """The rating as an advantage of ``system``: its sign turned where that was shown first."""
    return vote.rating if vote.other == system else -vote.rating


def advantage(votes: Sequence[Vote], system: str, level: float) -> Estimate | None:
    """Mean advantage of ``system`` over the other of its pair, by the formula of the header."""
    if not votes:
        return None
    sides = _sides(votes, system)
    if sides is None:
        return with_width(figures.two_way(*_turned(votes, system), level=level))
    return with_width(figures.two_way_difference(*sides, level))


def advantage_p(votes: Sequence[Vote], system: str) -> float | None:
    """Two-sided p of no advantage, from the variance of ``advantage``."""
    turned = _turned(votes, system)
    zero = Votes(np.zeros_like(turned.ratings), turned.raters, turned.items)
    return figures.two_way_p(*(_sides(votes, system) or (turned, zero)))


def bias(votes: Sequence[Vote], system: str, level: float) -> Estimate | None:
    """Bias towards the second place; ``None`` where one order alone was shown."""
    sides = _sides(votes, system)
    if sides is None:
        return None
    second, first = sides
    return with_width(figures.two_way_difference(second, _scaled(first, -1.0), level))


def naive(votes: Sequence[Vote], system: str, level: float) -> Estimate:
    """The advantage with an interval as if votes were independent."""
    own = contributions(votes, system)
    found, n = float(own.sum()), len(votes)
    share = own - found * _weights(votes, system)
    return with_width(figures.naive(found + n * share, level))


def randomised(votes: Sequence[Vote], system: str, seed: int) -> Randomised:
    """The tests by flipped signs and by signed ranks."""
    own = contributions(votes, system)
    by_rater, by_item = (
        _sums(votes, own, label) for label in (lambda vote: vote.rater, lambda vote: vote.item)
    )
    return Randomised(
        max(paired.sign_flip_p(sums, seed=seed) for sums in (by_rater, by_item)),
        signed_ranks(by_item),
    )


def win_rate(votes: Sequence[Vote], system: str) -> float:
    """Share of votes for ``system``, ties half: the mean of both orders' shares, where both are."""
    won = [(float(np.sign(signed(vote, system))) + 1) / 2 for vote in votes]
    return float(np.sum(np.array(won) * _weights(votes, system)))


def contributions(votes: Sequence[Vote], system: str) -> Array:
    """What each vote adds to the advantage, (n,), by the header; with one order, y / n."""
    own = np.array([signed(vote, system) for vote in votes])
    second = _second(votes, system)
    if second.all() or not second.any():
        return own / len(votes)
    found = (own[second].mean() - own[~second].mean()) / 2  # the bias: the first order's is turned
    return np.asarray((own - np.where(second, found, -found)) * _weights(votes, system))


def _weights(votes: Sequence[Vote], system: str) -> Array:
    """One over twice the votes of the vote's order, so that both orders weigh one half; (n,)."""
    second = _second(votes, system)
    if second.all() or not second.any():
        return np.full(len(votes), 1 / len(votes))
    return np.asarray(np.where(second, 0.5 / second.sum(), 0.5 / (~second).sum()))


def _second(votes: Sequence[Vote], system: str) -> npt.NDArray[np.bool_]:
    return np.array([vote.other == system for vote in votes])


def _sums(votes: Sequence[Vote], own: Array, label: Callable[[Vote], str]) -> Array:
    _, index = np.unique(np.array([label(vote) for vote in votes]), return_inverse=True)
    return np.asarray(np.bincount(index, own))


def _turned(votes: Sequence[Vote], system: str) -> Votes:
    return crossed([replace(vote, rating=signed(vote, system)) for vote in votes])


def _sides(votes: Sequence[Vote], system: str) -> tuple[Votes, Votes] | None:
    """Halved ratings where the system was second and where it was first; None without both."""
    second = [vote for vote in votes if vote.other == system]
    first = [vote for vote in votes if vote.other != system]
    if not second or not first:
        return None
    return _scaled(crossed(second), 0.5), _scaled(crossed(first), 0.5)


def _scaled(votes: Votes, by: float) -> Votes:
    return Votes(by * np.asarray(votes.ratings, dtype=np.float64), votes.raters, votes.items)
