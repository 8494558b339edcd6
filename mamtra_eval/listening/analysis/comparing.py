"""Pairs of systems heard side by side (cmos, ab): who is better, and does the order matter?

A rating is positive where the second clip, as shown, was better. With d the advantage of a system
over another and b the bias towards the second place, it is b + d where the system is second and
b - d where it is first. So half the difference of the two orders' means is d, whichever order was
shown more often, and half their sum is b::

    d = (mean(second) - mean(first)) / 2        b = (mean(second) + mean(first)) / 2

Both are differences of two means over votes that share raters and items, so both have the two-way
clustered interval of such. Where one order alone was shown, d and b can't be told apart: then d
takes b for zero, and says so.

ab has ratings of -1, 0 and 1, of which d is the net preference; its strengths come from
``statistics.bradley_terry`` with Davidson's ties.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mamtra_eval.listening.analysis.values import (
    Settings,
    attempt,
    holm,
    signed_ranks,
    why_no_interval,
    with_width,
)
from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.statistics import bradley_terry, equivalence, paired
from mamtra_eval.statistics import crossed as figures
from mamtra_eval.statistics.bootstrap import Array, Estimate
from mamtra_eval.statistics.crossed import Votes

DRAWS = 400
"""Of raters for the strengths' intervals, at most."""


@dataclass(frozen=True)
class Comparison:
    """One pair of systems; positive is for ``system``.

    Attributes:
        against_baseline: whether ``other`` is the baseline.
        estimate: mean advantage of ``system``, corrected for order; ``None`` without votes.
        naive: the plain mean as if votes were independent, order not corrected.
        order: bias towards the second place; ``None`` where one order alone was shown.
        wins, ties, losses: votes for ``system``, for neither, for ``other``.
        win_rate: (wins + ties / 2) / votes.
        p, p_holm: of no advantage; corrected for all pairs.
        p_swap: by flipping the signs of raters' means, and of items'; the larger.
        p_wilcoxon: signed ranks of item means, the conventional test; it takes raters for fixed.
        distribution: votes by advantage, from the lowest.
        verdict: as of ``systems.Difference``.
    """

    system: str
    other: str
    against_baseline: bool
    estimate: Estimate | None
    naive: Estimate | None
    order: Estimate | None
    wins: int
    ties: int
    losses: int
    win_rate: float | None
    p: float | None
    p_holm: float | None
    p_swap: float | None
    p_wilcoxon: float | None
    distribution: dict[str, int]
    votes: int
    raters: int
    items: int
    told_apart: bool
    verdict: str | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Strength:
    """A system's strength: logits about zero, and the same as Elo about 1000."""

    system: str
    logits: Estimate
    elo: Estimate


@dataclass(frozen=True)
class Preferences:
    """What all pairs say together (ab).

    Attributes:
        strengths: the strongest first.
        order: bias towards the first place, logits.
        tie: ν of Davidson's model; ``None`` where nothing was tied.
        finite: whether votes alone bound every strength; else a weak prior does.
    """

    strengths: tuple[Strength, ...]
    order: Estimate
    tie: float | None
    finite: bool


@dataclass(frozen=True)
class Comparisons:
    """All pairs.

    Attributes:
        order: bias towards the second place over all pairs, points; each pair's own advantage is
            taken out.
        preferences: of ab only; ``None`` where they can't be fitted.
    """

    pairs: tuple[Comparison, ...]
    order: Estimate | None
    preferences: Preferences | None
    reasons: tuple[str, ...]


def compare(
    votes: Sequence[Vote], names: Mapping[str, str], values: Sequence[float], settings: Settings,
    *, strengths: bool,
) -> Comparisons:  # fmt: skip
    """Every pair of systems that was compared.

    Args:
        votes: of pairs.
        names: systems of the key.
        values: the scale's ratings.
        settings: of the manifest.
        strengths: whether to fit Bradley and Terry's model (ab).
    """
    grouped: dict[frozenset[str], list[Vote]] = {}
    for vote in votes:
        grouped.setdefault(frozenset((vote.system, vote.other or "")), []).append(vote)
    pairs = [
        _comparison(one, other, grouped[frozenset((one, other))], values, settings)
        for one, other in combinations(_ordered(names, settings.baseline), 2)
        if frozenset((one, other)) in grouped
    ]
    found, reasons = _strengths(votes, settings) if strengths and votes else (None, ())
    if not votes:
        reasons = ("not defined: no votes",)
    corrected = tuple(
        replace(one, p_holm=p, told_apart=p is not None and p < 1 - settings.level)
        for one, p in zip(pairs, holm([one.p for one in pairs]), strict=True)
    )
    return Comparisons(corrected, _order(votes, pairs, settings), found, reasons)


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


def _comparison(
    system: str, other: str, votes: list[Vote], values: Sequence[float], settings: Settings
) -> Comparison:
    turned = _turned(votes, system)
    y = np.asarray(turned.ratings, dtype=np.float64)
    sides = _sides(votes, system)
    estimate = advantage(votes, system, settings.level)
    defined = estimate is not None and estimate.low is not None
    reasons = [why_no_interval(votes) or "no interval: ratings don't vary"] if not defined else []
    if sides is None:
        reasons.append("order not corrected: one order alone was shown")
    wins, losses = int(np.sum(y > 0)), int(np.sum(y < 0))
    return Comparison(
        system,
        other,
        other == settings.baseline,
        estimate,
        with_width(figures.naive(y, settings.level)),
        _bias(sides, settings.level),
        wins,
        len(y) - wins - losses,
        losses,
        float(np.mean(np.sign(y) + 1) / 2),
        (figures.two_way_p(*(sides or (turned, _zero(turned))))) if defined else None,
        None,
        _flipped(votes, y, settings.seed),
        signed_ranks(_means(np.array([vote.item for vote in votes]), y)),
        {f"{value:g}": int(np.sum(y == value)) for value in values},
        len(y),
        len({vote.rater for vote in votes}),
        len({vote.item for vote in votes}),
        False,
        _verdict(votes, system, estimate, settings),
        tuple(reasons),
    )


def _turned(votes: Sequence[Vote], system: str) -> Votes:
    return crossed([replace(vote, rating=signed(vote, system)) for vote in votes])


def _zero(votes: Votes) -> Votes:
    """The same votes, all zero: what a mean is tested against."""
    return Votes(np.zeros_like(votes.ratings), votes.raters, votes.items)


def _sides(votes: Sequence[Vote], system: str) -> tuple[Votes, Votes] | None:
    """Halved ratings where the system was second and where it was first; None without both."""
    second = [vote for vote in votes if vote.other == system]
    first = [vote for vote in votes if vote.other != system]
    if not second or not first:
        return None
    return _scaled(crossed(second), 0.5), _scaled(crossed(first), 0.5)


def _scaled(votes: Votes, by: float) -> Votes:
    return Votes(by * np.asarray(votes.ratings, dtype=np.float64), votes.raters, votes.items)


def _bias(sides: tuple[Votes, Votes] | None, level: float) -> Estimate | None:
    if sides is None:
        return None
    second, first = sides
    return with_width(figures.two_way_difference(second, _scaled(first, -1.0), level))


def _order(
    votes: Sequence[Vote], pairs: Sequence[Comparison], settings: Settings
) -> Estimate | None:
    """Mean of the ratings as shown, less each pair's own advantage."""
    if not votes or any(one.order is None for one in pairs):
        return None
    known = {frozenset((one.system, one.other)): one for one in pairs}
    rest = []
    for vote in votes:
        pair = known[frozenset((vote.system, vote.other or ""))]
        gain = pair.estimate.value if pair.estimate else 0.0
        rest.append(replace(vote, rating=vote.rating - gain * (1 if vote.other == pair.system
                                                               else -1)))  # fmt: skip
    return with_width(figures.two_way(*crossed(rest), level=settings.level))


def _flipped(votes: Sequence[Vote], y: Array, seed: int) -> float:
    """Larger p of two randomisations: signs of raters' mean advantages, and of items'."""
    labels: tuple[Callable[[Vote], str], ...] = (lambda vote: vote.rater, lambda vote: vote.item)
    return max(
        paired.sign_flip_p(_means(np.array([label(vote) for vote in votes]), y), seed=seed)
        for label in labels
    )


def _means(labels: npt.NDArray[np.str_], y: Array) -> Array:
    _, index = np.unique(labels, return_inverse=True)
    return np.asarray(np.bincount(index, y) / np.bincount(index))


def _verdict(
    votes: Sequence[Vote], system: str, shown: Estimate | None, settings: Settings
) -> str | None:
    if settings.margin is None or shown is None:
        return None
    tested = advantage(votes, system, max(0.0, 2 * settings.level - 1)) or shown
    return str(equivalence.verdict(tested, settings.margin, higher_is_better=True, shown=shown))


def _strengths(
    votes: Sequence[Vote], settings: Settings
) -> tuple[Preferences | None, tuple[str, ...]]:
    """Bradley and Terry's model; None with the reason where it can't be fitted."""
    asked = bradley_terry.Preferences(
        np.array([vote.system for vote in votes]),
        np.array([vote.other for vote in votes]),
        np.array([(1 - np.sign(vote.rating)) / 2 for vote in votes]),
        np.array([vote.rater for vote in votes]),
    )
    fit, why = attempt(
        lambda: bradley_terry.fit(
            asked, level=settings.level, resamples=min(settings.resamples, DRAWS),
            seed=settings.seed,
        )
    )  # fmt: skip
    if fit is None:
        return None, (f"strengths {why}",)
    names = sorted(fit.strengths, key=lambda name: (-fit.strengths[name].value, name))
    strengths = tuple(Strength(name, fit.strengths[name], fit.elo[name]) for name in names)
    reasons = () if fit.finite else (
        "strengths are bounded by a weak prior alone: a system never won, or never lost",
    )  # fmt: skip
    return Preferences(strengths, fit.order, fit.tie, fit.finite), reasons


def _ordered(names: Mapping[str, str], baseline: str | None) -> list[str]:
    """Systems in the key's order, the baseline last, so that it is the other of its pairs."""
    return sorted(names, key=lambda name: name == baseline)
