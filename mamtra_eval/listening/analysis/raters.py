"""Raters, items and places of a test: who agrees with whom, what was hard, did people tire?

Residuals are ratings less the mean of what was rated (a system, or a pair in its order) and less
what the item has left on average; they hold what raters and places do, not systems and items.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev

import numpy as np

from mamtra_eval.listening.analysis.values import attempt, with_width
from mamtra_eval.listening.analysis.votes import Joined, Vote, crossed, first_of_unit
from mamtra_eval.listening.screening.applying import Screened
from mamtra_eval.listening.trials import Session
from mamtra_eval.statistics import reliability
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed import two_way_difference
from mamtra_eval.statistics.reliability import Icc, Retest, SplitHalf

THIRD = 3


@dataclass(frozen=True)
class Reliability:
    """How far raters agree, and with themselves.

    Attributes:
        alpha: Krippendorff's, of first ratings of each clip (pair) by each rater.
        scale: ``ordinal`` or ``interval``, of alpha.
        retest: of repeated trials.
        split_half: of systems' ranks between halves of the raters.
        null: mean rating of pairs of two equal clips; ``None`` without such.
        reasons: why something is undefined, by its name.
    """

    alpha: float | None
    scale: str
    icc: Icc | None
    retest: Retest | None
    split_half: SplitHalf | None
    null: float | None
    reasons: dict[str, str]


@dataclass(frozen=True)
class RaterFigures:
    """One rater.

    Attributes:
        kept: sessions that count.
        votes, mean, sd: of all sessions, as given (of pairs as shown).
        r: Pearson's, with the mean of the others on the same clips; of those who don't count with
            those who do.
        gold, traps: passed and asked.
        repeat: mean absolute difference of repeats, in steps of a five-point scale.
        seconds: median time from trial to answer.
        dropped: why sessions of this rater don't count; empty where all do.
        flags: what is odd and drops nothing.
    """

    rater: str
    sessions: int
    kept: int
    votes: int
    mean: float | None
    sd: float | None
    r: float | None
    gold: tuple[int, int]
    traps: tuple[int, int]
    repeat: float | None
    seconds: float | None
    dropped: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """Mean of a system's votes at an item."""

    item: str
    system: str
    mean: float
    votes: int


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
        positions: by position in the session; none where each position had one item, so that the
            two can't be told apart.
        drift: mean residual of the last third of the positions less that of the first.
        lists: by list.
        reasons: why something is undefined.
    """

    positions: tuple[Place, ...]
    drift: Estimate | None
    lists: tuple[Place, ...]
    reasons: tuple[str, ...]


def agreement(joined: Joined, *, ordinal: bool, seed: int) -> Reliability:
    """Agreement of the kept sessions; pairs are turned to one order of their systems."""
    scale: reliability.Scale = "ordinal" if ordinal else "interval"
    null = fmean(joined.null) if joined.null else None
    votes = [one_order(vote) for vote in first_of_unit(joined.votes)]
    if not votes:
        names = ("alpha", "icc", "split_half", "retest")
        why = dict.fromkeys(names, "not defined: no votes")
        return Reliability(None, scale, None, None, None, null, why)
    ratings, raters, _ = crossed(votes)
    units = np.array([vote.unit for vote in votes])
    systems = np.array([vote.system for vote in votes])
    alpha, no_alpha = attempt(lambda: reliability.alpha(ratings, raters, units, scale))
    icc, no_icc = attempt(lambda: reliability.icc(ratings, raters, units))
    if votes[0].other is None:
        half, no_half = attempt(lambda: reliability.split_half(ratings, raters, systems, seed=seed))
    else:
        half, no_half = None, "not defined for pairs"
    retest, no_retest = None, "not defined: no repeated trial was answered twice"
    if joined.again:
        retest = reliability.retest(
            [one.first for one in joined.again], [one.second for one in joined.again]
        )
        no_retest = ""
    reasons = {"alpha": no_alpha, "icc": no_icc, "split_half": no_half, "retest": no_retest}
    return Reliability(
        alpha, scale, icc, retest, half, null, {name: why for name, why in reasons.items() if why}
    )


def raters(
    sessions: Sequence[Session], joined: Joined, kept: Sequence[Vote], screened: Screened
) -> tuple[RaterFigures, ...]:
    """Every rater of all sessions received, also of those that don't count.

    Args:
        sessions: all that were received.
        joined: what they hold.
        kept: votes that count.
        screened: what was found out about the sessions.
    """
    agreeing = _agreeing(kept)
    ratings: dict[str, list[float]] = defaultdict(list)
    for vote in joined.votes:
        ratings[vote.rater].append(vote.rating)
    own: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        own[session.rater].append(session)
    return tuple(
        _rater(name, theirs, ratings[name], agreeing.get(name), screened)
        for name, theirs in own.items()
    )


def _rater(
    name: str, sessions: Sequence[Session], ratings: Sequence[float], r: float | None,
    screened: Screened,
) -> RaterFigures:  # fmt: skip
    checks = [screened.checks[one.session] for one in sessions]
    repeats = [apart for one in checks for apart in one.repeats]
    times = [one.rt_median_ms for one in checks if one.rt_median_ms is not None]
    dropped, flags = (
        tuple(dict.fromkeys(
            f"{reason.rule}: {reason.found}"
            for one in sessions for reason in reasons.get(one.session, ())
        ))
        for reasons in (screened.dropped, screened.flags)
    )  # fmt: skip
    return RaterFigures(
        name,
        len(sessions),
        sum(one.session not in screened.dropped for one in sessions),
        len(ratings),
        fmean(ratings) if ratings else None,
        stdev(ratings) if len(ratings) > 1 else None,
        checks[0].r if r is None else r,
        (sum(one.gold_right for one in checks), sum(one.gold for one in checks)),
        (sum(one.traps_right for one in checks), sum(one.traps for one in checks)),
        fmean(repeats) if repeats else None,
        median(times) / 1000 if times else None,
        dropped,
        flags,
    )


def cells(votes: Iterable[Vote], pairs: Iterable[tuple[str, str]]) -> tuple[Cell, ...]:
    """Means by item and system; by item and pair, as ``system − other``, where ``pairs`` are."""
    turned = set(pairs)
    grouped: dict[tuple[str, str], list[float]] = defaultdict(list)
    for vote in votes:
        name, rating = vote.system, vote.rating
        if vote.other is not None:
            second = (vote.other, vote.system) in turned
            one, other = (vote.other, vote.system) if second else (vote.system, vote.other)
            name, rating = f"{one} − {other}", rating if second else -rating
        grouped[vote.item, name].append(rating)
    return tuple(
        Cell(item, name, fmean(ratings), len(ratings))
        for (item, name), ratings in sorted(grouped.items())
    )


def places(votes: Sequence[Vote], level: float) -> Places:
    """Mean residuals by position and by list, and whether ratings drift within a session."""
    rest = _residuals(votes)
    by_position: dict[int, list[float]] = defaultdict(list)
    by_list: dict[str, list[float]] = defaultdict(list)
    for vote in rest:
        by_position[vote.position].append(vote.rating)
        by_list[vote.list_id or "unknown"].append(vote.rating)
    lists = tuple(Place(one, fmean(own), len(own)) for one, own in sorted(by_list.items()))
    if len({(vote.position, vote.item) for vote in votes}) == len(by_position):
        return Places((), None, lists, ("not defined: each position had one item only",))
    positions = sorted(by_position)
    drift = None
    reasons: tuple[str, ...] = ("drift is not defined: fewer than three positions",)
    if len(positions) >= THIRD:
        third = len(positions) // THIRD
        early = [vote for vote in rest if vote.position <= positions[third - 1]]
        late = [vote for vote in rest if vote.position >= positions[-third]]
        drift = with_width(two_way_difference(crossed(late), crossed(early), level))
        reasons = ()
    found = (Place(str(one), fmean(by_position[one]), len(by_position[one])) for one in positions)
    return Places(tuple(found), drift, lists, reasons)


def one_order(vote: Vote) -> Vote:
    """The vote with the systems of a pair in alphabetical order, its sign turned with them."""
    if vote.other is None or vote.system <= vote.other:
        return vote
    return replace(vote, system=vote.other, other=vote.system, rating=-vote.rating)


def _residuals(votes: Sequence[Vote]) -> list[Vote]:
    """Ratings less the mean of the system (pair), then less what the item has left on average."""
    return _centred(_centred(votes, lambda vote: (vote.system, vote.other)), lambda vote: vote.item)


def _centred(votes: Sequence[Vote], label: Callable[[Vote], object]) -> list[Vote]:
    grouped: dict[object, list[float]] = defaultdict(list)
    for vote in votes:
        grouped[label(vote)].append(vote.rating)
    means = {name: fmean(values) for name, values in grouped.items()}
    return [replace(vote, rating=vote.rating - means[label(vote)]) for vote in votes]


def _agreeing(votes: Sequence[Vote]) -> dict[str, float | None]:
    if not votes:
        return {}
    turned = [one_order(vote) for vote in first_of_unit(votes)]
    ratings, raters, _ = crossed(turned)
    return reliability.leave_one_out(ratings, raters, [vote.unit for vote in turned])
