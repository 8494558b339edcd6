"""Raters and items of a test: who agrees with whom, who was dropped and why, what was hard?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median, stdev

import numpy as np

from mamtra_eval.listening.analysis.values import attempt
from mamtra_eval.listening.analysis.votes import Joined, Vote, crossed, first_of_unit
from mamtra_eval.listening.screening.applying import Screened
from mamtra_eval.listening.trials import Session
from mamtra_eval.statistics import reliability
from mamtra_eval.statistics.reliability import Icc, Retest, SplitHalf


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
        r: Pearson's, with the mean of the other raters who count on the same clips, as screening
            has it (``screening.checks.agreement``): of the first session that counts, or of the
            first where none does.
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
    sessions: Sequence[Session], joined: Joined, screened: Screened
) -> tuple[RaterFigures, ...]:
    """Every rater of all sessions received, also of those that don't count.

    Args:
        sessions: all that were received.
        joined: what they hold.
        screened: what was found out about the sessions.
    """
    ratings: dict[str, list[float]] = defaultdict(list)
    for vote in joined.votes:
        ratings[vote.rater].append(vote.rating)
    own: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        own[session.rater].append(session)
    return tuple(_rater(name, theirs, ratings[name], screened) for name, theirs in own.items())


def _rater(
    name: str, sessions: Sequence[Session], ratings: Sequence[float], screened: Screened
) -> RaterFigures:
    checks = [screened.checks[one.session] for one in sessions]
    counting = [one for one in sessions if one.session not in screened.dropped]
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
        len(counting),
        len(ratings),
        fmean(ratings) if ratings else None,
        stdev(ratings) if len(ratings) > 1 else None,
        screened.checks[(counting or sessions)[0].session].r,
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


def one_order(vote: Vote) -> Vote:
    """The vote with the systems of a pair in alphabetical order, its sign turned with them."""
    if vote.other is None or vote.system <= vote.other:
        return vote
    return replace(vote, system=vote.other, other=vote.system, rating=-vote.rating)
