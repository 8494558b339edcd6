"""Pairs of systems heard side by side (cmos, ab): who is better, and does the order matter?

``ordering`` takes out which clip came first; ``preferring`` has the strengths of all systems
together. ab has ratings of -1, 0 and 1, of which the advantage is the net preference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from mamtra_eval.listening.analysis import ordering, preferring
from mamtra_eval.listening.analysis.margins import Against, against, excludes_zero, narrow
from mamtra_eval.listening.analysis.preferring import Preferences
from mamtra_eval.listening.analysis.values import Settings, holm, why_no_interval, with_width
from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.statistics import crossed as figures
from mamtra_eval.statistics.bootstrap import Estimate


@dataclass(frozen=True)
class Comparison:
    """One pair of systems; positive is for ``system``. Corrected for order but for the counts.

    Attributes:
        against_baseline: whether ``other`` is the baseline.
        estimate: mean advantage of ``system``; ``None`` without votes.
        tested: with the narrower interval of two one-sided tests against the margin.
        naive: the same as if votes were independent.
        order: bias towards the second place; ``None`` where one order alone was shown, and nothing
            is corrected.
        wins, ties, losses: votes for ``system``, for neither, for ``other``, as they were given.
        win_rate: (wins + ties / 2) / votes, mean of the two orders.
        p, p_holm: of no advantage; corrected for all pairs.
        p_swap, p_wilcoxon: as of ``ordering.Randomised``.
        distribution: votes by advantage, from the lowest, as they were given.
        told_apart: whether ``p_holm`` is below 1 - level.
        told_apart_alone, equivalent, against_margin: of the pair by itself, as of
            ``systems.Difference``.
    """

    system: str
    other: str
    against_baseline: bool
    estimate: Estimate | None
    tested: Estimate | None
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
    told_apart_alone: bool
    equivalent: bool | None
    against_margin: Against | None
    reasons: tuple[str, ...]


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
    found, reasons = preferring.strengths(votes, settings) if strengths and votes else (None, ())
    if not votes:
        reasons = ("not defined: no votes",)
    corrected = tuple(
        replace(one, p_holm=p, told_apart=p is not None and p < 1 - settings.level)
        for one, p in zip(pairs, holm([one.p for one in pairs]), strict=True)
    )
    return Comparisons(corrected, _order(votes, pairs, settings), found, reasons)


def _comparison(
    system: str, other: str, votes: list[Vote], values: Sequence[float], settings: Settings
) -> Comparison:
    y = np.array([ordering.signed(vote, system) for vote in votes])
    estimate = ordering.advantage(votes, system, settings.level)
    tested = ordering.advantage(votes, system, narrow(settings.level))
    order = ordering.bias(votes, system, settings.level)
    defined = estimate is not None and estimate.low is not None
    reasons = [why_no_interval(votes) or "no interval: ratings don't vary"] if not defined else []
    if order is None:
        reasons.append("order not corrected: one order alone was shown")
    wins, losses = int(np.sum(y > 0)), int(np.sum(y < 0))
    randomised = ordering.randomised(votes, system, settings.seed)
    place = against(tested, settings.margin)
    return Comparison(
        system,
        other,
        other == settings.baseline,
        estimate,
        tested,
        ordering.naive(votes, system, settings.level),
        order,
        wins,
        len(y) - wins - losses,
        losses,
        ordering.win_rate(votes, system),
        ordering.advantage_p(votes, system) if defined else None,
        None,
        randomised.p_swap,
        randomised.p_wilcoxon,
        {f"{value:g}": int(np.sum(y == value)) for value in values},
        len(y),
        len({vote.rater for vote in votes}),
        len({vote.item for vote in votes}),
        False,
        excludes_zero(estimate),
        None if place is None else place is Against.EQUIVALENT,
        place,
        tuple(reasons),
    )


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


def _ordered(names: Mapping[str, str], baseline: str | None) -> list[str]:
    """Systems in the key's order, the baseline last, so that it is the other of its pairs."""
    return sorted(names, key=lambda name: name == baseline)
