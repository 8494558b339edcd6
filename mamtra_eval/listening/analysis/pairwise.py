"""Differences between the means of systems, tested over all pairs of a test at once.

What the bundle's report says of a pair and what a run's leaderboard is given come both from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mamtra_eval.listening.analysis.margins import narrow
from mamtra_eval.listening.analysis.values import holm, with_width
from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed import two_way_difference, two_way_p

Pair = tuple[str, str]


class Tested(NamedTuple):
    """Mean of the first minus mean of the second.

    Attributes:
        estimate: with its two-way clustered interval; without ends where it has no width.
        tested: the same with the narrower interval of two one-sided tests.
        p: of no difference, from the same variance; ``None`` without an interval.
        p_holm: corrected over all pairs that have a p.
        told_apart: whether ``p_holm`` is below 1 - level.
    """

    estimate: Estimate
    tested: Estimate
    p: float | None
    p_holm: float | None
    told_apart: bool


def differences(
    grouped: Mapping[str, Sequence[Vote]], pairs: Sequence[Pair], level: float
) -> dict[Pair, Tested]:
    """Every pair tested; the pairs are the family that Holm's method corrects over.

    Args:
        grouped: votes by system, some of each that a pair names.
        pairs: each once, in either order.
        level: of the intervals.
    """
    found = [_difference(grouped[one], grouped[other], level) for one, other in pairs]
    corrected = holm([p for _, _, p in found])
    return {
        pair: Tested(estimate, tested, p, p_holm, p_holm is not None and p_holm < 1 - level)
        for pair, (estimate, tested, p), p_holm in zip(pairs, found, corrected, strict=True)
    }


def _difference(
    one: Sequence[Vote], other: Sequence[Vote], level: float
) -> tuple[Estimate, Estimate, float | None]:
    a, b = crossed(one), crossed(other)
    estimate, tested = (with_width(two_way_difference(a, b, at)) for at in (level, narrow(level)))
    return estimate, tested, None if estimate.low is None else two_way_p(a, b)
