"""A difference against the margin, the same whichever system is named first.

Read from the interval of level 2 · level - 1, by which two one-sided tests at 1 - level decide
(Schuirmann, 1987). Whether a difference is told from zero is another question: a system can be
higher than another, and by less than the margin. (``statistics.equivalence`` has one word for both,
as a leaderboard's column wants it, and that word depends on who is compared with whom.)
"""

from __future__ import annotations

from enum import StrEnum

from mamtra_eval.statistics.bootstrap import Estimate


class Against(StrEnum):
    """Where the interval of a difference lies; swapping the systems swaps above and below."""

    EQUIVALENT = "equivalent"
    """Within the margin on both sides."""
    ABOVE = "above"
    """Beyond the margin: higher by more than it."""
    BELOW = "below"
    """Beyond the margin on the other side: lower by more than it."""
    NOT_BELOW = "not below"
    """Lower by more than the margin is excluded, higher by more is not."""
    NOT_ABOVE = "not above"
    """Higher by more than the margin is excluded, lower by more is not."""
    OPEN = "open"
    """Neither is excluded."""


def narrow(level: float) -> float:
    """Level of the interval that two one-sided tests at 1 - level read."""
    return max(0.0, 2 * level - 1)


def against(tested: Estimate | None, margin: float | None) -> Against | None:
    """Where a difference lies; ``None`` without a margin or an interval.

    Args:
        tested: with its interval of level ``narrow(level)``.
        margin: positive, in the figure's unit.
    """
    if margin is None or tested is None or tested.low is None or tested.high is None:
        return None
    if tested.low > margin:
        return Against.ABOVE
    if tested.high < -margin:
        return Against.BELOW
    not_below, not_above = tested.low > -margin, tested.high < margin
    if not_below and not_above:
        return Against.EQUIVALENT
    if not_below:
        return Against.NOT_BELOW
    return Against.NOT_ABOVE if not_above else Against.OPEN


def excludes_zero(estimate: Estimate | None) -> bool:
    """Whether the interval lies on one side of zero."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return False
    return estimate.low > 0 or estimate.high < 0
