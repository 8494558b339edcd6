"""Strengths of all systems together from preferences (ab): Bradley and Terry, Davidson's ties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mamtra_eval.listening.analysis.values import Settings, attempt
from mamtra_eval.listening.analysis.votes import Vote
from mamtra_eval.statistics import bradley_terry
from mamtra_eval.statistics.bootstrap import Estimate

DRAWS = 400
"""Of raters for the strengths' intervals, at most."""


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


def strengths(
    votes: Sequence[Vote], settings: Settings
) -> tuple[Preferences | None, tuple[str, ...]]:
    """The model fitted, and what is to be said of it; ``None`` where it can't be fitted."""
    asked = bradley_terry.Preferences(
        np.array([vote.system for vote in votes]),
        np.array([vote.other for vote in votes]),
        np.array([(1 - np.sign(vote.rating)) / 2 for vote in votes]),
        np.array([vote.rater for vote in votes]),
        np.array([vote.item for vote in votes]),
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
    found = tuple(Strength(name, fit.strengths[name], fit.elo[name]) for name in names)
    reasons = () if fit.finite else (
        "strengths are bounded by a weak prior alone: a system never won, or never lost",
    )  # fmt: skip
    return Preferences(found, fit.order, fit.tie, fit.finite), reasons
