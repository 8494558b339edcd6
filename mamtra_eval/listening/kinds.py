"""Kinds of listening tests: what is asked, on which scale, and what a rating says.

mos     absolute category rating of one clip (ITU-T P.800, P.808): the mean opinion score
smos    the same for the likeness of two voices: a reference recording stands beside the clip
cmos    the second clip compared with the first, -3 to +3 (P.800 annex E, comparison category)
ab      which of two clips is preferred, or neither
mushra  several clips beside a reference, 0 to 100 (ITU-R BS.1534)

The word that is asked for and the step of the scale change what comes out (Kirkland et al., SSW
2023), so both stand in every bundle and every report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mamtra_eval.errors import UserError, unknown_name

Name = Literal["mos", "smos", "cmos", "ab", "mushra"]
STEPS = (1.0, 0.5)
"""Of the scales of mos and smos; others have one of their own."""


@dataclass(frozen=True)
class Scale:
    """Admissible ratings, ``low`` to ``high`` by ``step``, and what some of them are called."""

    low: float
    high: float
    step: float
    labels: dict[float, str]

    @property
    def values(self) -> list[float]:
        """Every admissible rating, from the lowest."""
        return [
            self.low + place * self.step
            for place in range(round((self.high - self.low) / self.step) + 1)
        ]

    def admits(self, rating: float) -> bool:
        """Whether a rating is one of the scale's."""
        return rating in self.values


@dataclass(frozen=True)
class Kind:
    """One kind of test.

    Attributes:
        attribute: what is judged, one word.
        question: as raters read it.
        clips: of a trial; 0 for as many as there are systems.
        reference: whether a recording that is known as such stands beside them.
        figure: what the mean is called on a leaderboard; ``None`` for comparisons.
    """

    name: Name
    attribute: str
    question: str
    scale: Scale
    clips: int
    reference: bool
    figure: str | None

    @property
    def is_pair(self) -> bool:
        """Whether one rating compares two clips; positive is for the second, as shown."""
        return self.clips == 2


def _scale(words: dict[float, str], step: float = 1.0) -> Scale:
    return Scale(min(words), max(words), step, words)


_ACR: dict[float, str] = {1: "Bad", 2: "Poor", 3: "Fair", 4: "Good", 5: "Excellent"}
_LIKE: dict[float, str] = {
    1: "Certainly another person", 2: "Probably another person", 3: "Can't tell",
    4: "Probably the same person", 5: "Certainly the same person",
}  # fmt: skip
_CCR: dict[float, str] = {
    -3: "Much worse", -2: "Worse", -1: "Slightly worse", 0: "About the same",
    1: "Slightly better", 2: "Better", 3: "Much better",
}  # fmt: skip
_AB: dict[float, str] = {-1: "The first", 0: "No preference", 1: "The second"}
_MUSHRA: dict[float, str] = {0: "Bad", 20: "Poor", 40: "Fair", 60: "Good", 80: "Excellent"}

KINDS = {
    kind.name: kind
    for kind in (
        Kind("mos", "naturalness", "How natural does this speech sound?", _scale(_ACR), 1,
             reference=False, figure="nmos"),
        Kind("smos", "speaker similarity",
             "Is this the same person as in the reference? Judge the voice only, not what is said "
             "or how good it sounds.", _scale(_LIKE), 1, reference=True, figure="smos"),
        Kind("cmos", "naturalness", "Compared with the first, how natural does the second sound?",
             _scale(_CCR), 2, reference=False, figure=None),
        Kind("ab", "naturalness", "Which of the two sounds more natural?", _scale(_AB), 2,
             reference=False, figure=None),
        Kind("mushra", "naturalness",
             "How natural does each clip sound, compared with the reference?",
             Scale(0, 100, 1, _MUSHRA), 0, reference=True, figure="mushra"),
    )
}  # fmt: skip


def find(name: str, step: float | None = None) -> Kind:
    """The kind of this name, its scale by ``step``; UserError where there is no such thing."""
    try:
        kind = KINDS[name]  # type: ignore[index]
    except KeyError:
        raise unknown_name("kind of listening test", name, KINDS) from None
    if step is None or step == kind.scale.step:
        return kind
    if name not in ("mos", "smos") or step not in STEPS:
        raise UserError(
            f"{name} has no scale by steps of {step:g}", fix="mos and smos take --step 1 or 0.5."
        )
    return replace(kind, scale=replace(kind.scale, step=step))
