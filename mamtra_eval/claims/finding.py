"""What a check found, and the verdict that follows from it.

A verdict is never written down, it is derived here. With a comparison for every claimed number:

- all agree: ``holds``, or the best that the check can establish (``best``);
- some agree: ``holds in part``; none: ``does not hold``;
- all agree, but the architecture explains less than the share that the claim's settings ask for:
  ``not explained by the architecture``;
- nothing to compare: ``best``, which is then ``not checkable here``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mamtra_eval.claims.claim import Claim, Comparison
from mamtra_eval.claims.profiles import Profiles

HOLDS = "holds"
IN_PART = "holds in part"
FAILS = "does not hold"
NOT_EXPLAINED = "not explained by the architecture"
NOT_CHECKABLE = "not checkable here"
VERDICTS = (HOLDS, IN_PART, FAILS, NOT_EXPLAINED, NOT_CHECKABLE)

CLOSED_FORM = "closed form"
MEASURED = "measured here"
PROFILED = "measured in a run"
PROFILED_ELSEWHERE = "measured in a run, on a CPU"
QUOTED = "quoted numbers"
NEEDS_RUN = "needs a profiled run"
NEEDS_WEIGHTS = "not checkable without weights"
HOWS = (
    CLOSED_FORM, MEASURED, PROFILED, PROFILED_ELSEWHERE, QUOTED, NEEDS_RUN, NEEDS_WEIGHTS,
)  # fmt: skip
"""How a claim was checked. ``measured here``: real tensors, modules or operations were made and
counted when the command ran. ``measured in a run, on a CPU``: figures that decide nothing of a GPU.
``quoted numbers``: the source's own, against each other."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        how: one of ``HOWS``.
        figure: our figure, short, with its unit.
        told: what was computed, as sentences.
        comparisons: the claimed numbers beside ours.
        setup: what would give the claimed number, where that can be computed.
        explained: the share of a claimed difference that the architecture explains, and the share
            from which on it counts as explained; ``None`` where that is not the question.
        best: the verdict if all comparisons agree.
    """

    how: str
    figure: str
    told: str
    comparisons: Sequence[Comparison] = ()
    setup: str = ""
    explained: tuple[float, float] | None = None
    best: str = HOLDS

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``, derived."""
        agreed = [comparison.agrees for comparison in self.comparisons]
        if not all(agreed):
            return IN_PART if any(agreed) else FAILS
        if self.explained is not None and self.explained[0] < self.explained[1]:
            return NOT_EXPLAINED
        return self.best


Check = Callable[[Claim, Profiles | None], Finding]

CHECKS: dict[str, Check] = {}
"""Every check by its name, filled by the modules of ``checks``."""


def register(check: Check) -> Check:
    """Make a function a check under its own name."""
    name = check.__name__
    assert name not in CHECKS, name
    CHECKS[name] = check
    return check
