"""Verdicts against a margin: better, non-inferior, inferior, or undecided.

That a difference is "not significant" never says that there is none. What can be shown is that it
is smaller than a margin, declared before the numbers: the two one-sided tests (Schuirmann, 1987)
at level α hold when the 1 - 2 α interval of the difference lies within the margin. ``verdict``
reads an interval; how it was made (bootstrap, closed form) is its caller's choice.
"""

from __future__ import annotations

from enum import StrEnum

from mamtra_eval.statistics.bootstrap import Estimate


class Verdict(StrEnum):
    """What an interval of a difference allows to say."""

    BETTER = "better"
    """The whole interval lies on the better side of zero."""
    EQUIVALENT = "equivalent"
    """The whole interval lies within the margin on both sides."""
    NON_INFERIOR = "non-inferior"
    """Worse by more than the margin is excluded; better by more than it is not."""
    INFERIOR = "inferior"
    """The whole interval lies beyond the margin on the worse side."""
    UNDECIDED = "undecided"
    """More utterances or repeats are needed."""


def verdict(
    difference: Estimate,
    margin: float,
    *,
    higher_is_better: bool,
    shown: Estimate | None = None,
) -> Verdict:
    """The verdict on a system whose difference to the reference has this interval.

    An interval that excludes zero on the worse side but reaches into the margin is no verdict: the
    loss is real, and whether it is more than the margin is open. It counts as undecided here; the
    interval beside it shows the loss.

    Args:
        difference: system minus reference.
        margin: positive, in the figure's unit.
        higher_is_better: direction of the figure.
        shown: the same difference with the (wider) interval that readers see, which decides on
            ``BETTER``, so that the two never contradict each other; by default ``difference``.

    Raises:
        ValueError: for a margin that is not positive.
    """
    if not margin > 0:
        raise ValueError(f"a margin must be positive, not {margin}")
    if difference.low is None or difference.high is None:
        return Verdict.UNDECIDED
    low, high = _as_gain(difference.low, difference.high, higher_is_better)
    if high < -margin:
        return Verdict.INFERIOR
    if _excludes_zero(shown or difference, higher_is_better):
        return Verdict.BETTER
    if low > -margin:
        return Verdict.EQUIVALENT if high < margin else Verdict.NON_INFERIOR
    return Verdict.UNDECIDED


def _as_gain(low: float, high: float, higher_is_better: bool) -> tuple[float, float]:
    """The interval with positive for better."""
    return (low, high) if higher_is_better else (-high, -low)


def _excludes_zero(difference: Estimate, higher_is_better: bool) -> bool:
    """Whether the whole interval lies on the better side."""
    if difference.low is None or difference.high is None:
        return False
    return _as_gain(difference.low, difference.high, higher_is_better)[0] > 0
