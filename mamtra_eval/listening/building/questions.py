"""From slots of a design to trials with tokens, and what each of them was.

Checks by kind: gold trials have an answer that is obvious (a clip ruined by noise, a recording, the
same or another person, a clip against its ruin), traps say their answer aloud, null pairs are
one clip twice. Every list has files and tokens of its own: a token that several lists share would
show what they share, such as a check or the baseline. What needs recordings, prompts or declared
speakers is left away where the run has none. mushra has its checks in every trial: the hidden
reference and two anchors.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mamtra_eval import audio
from mamtra_eval.errors import UserError
from mamtra_eval.listening.building.design import Checks, Design, Slot
from mamtra_eval.listening.building.material import ANCHOR, Material, free_name
from mamtra_eval.listening.building.stimuli import Stimulus, shuffled
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.listening.trials import TokenKey, Trial, TrialKey

MUSHRA_ANCHORS = {"anchor 7 kHz": "low-pass:7000", "anchor 3.5 kHz": "low-pass:3500"}
"""By name the effect: the mid and the low anchor of BS.1534."""
RESERVE = 4
"""Sentences that are kept for practice and checks."""
MILD = 2.0
"""Tolerance where the answer is only likely: a strict rater may find a recording fair."""


@dataclass
class Questions:
    """Makes trials; collects every clip they need.

    Attributes:
        kind: of the test.
        material: sentences and their audio.
        baseline: the system whose clips stand in for recordings where there are none.
        anchors: by name the effect that makes them.
        salt: of the bundle.
        stimuli: by token, every clip asked for so far.
    """

    kind: Kind
    material: Material
    baseline: str
    anchors: Mapping[str, str]
    salt: str
    stimuli: dict[str, Stimulus] = field(default_factory=dict)
    keys: dict[str, TrialKey] = field(default_factory=dict)

    def lists(self, design: Design) -> dict[str, tuple[Trial, ...]]:
        """Every list with its tokens; the keys of their trials stand in ``keys`` then."""
        return {
            name: tuple(
                self._trial(name, place, slot, slots) for place, slot in enumerate(slots, start=1)
            )
            for name, slots in design.lists.items()
        }

    def practice(self) -> list[Trial]:
        """Trials that are not counted, from the worst to the best there is."""
        one, other = self._reserve(2), self._reserve(3)
        if self.kind.name == "mushra":
            shown = [[self._clip(system, one, "", "practice") for system in self._all()]]
        elif self.kind.is_pair:
            shown = [
                [self._check("practice", one, ""), self._check("practice", one, "", "bad")],
                [self._check("practice", other, "", "mild"), self._check("practice", other, "")],
            ]
        elif self.kind.name == "smos":
            shown = [[self._check("practice", utterance, "")] for utterance in (one, other)]
        else:
            shown = [[self._check("practice", one, "", "anchor")],
                     [self._check("practice", other, "", "mild")],
                     [self._clip(self.baseline, one, "", "practice")],
                     [self._check("practice", other, "")]]  # fmt: skip
        trials = []
        for number, tokens in enumerate(shown, start=1):
            utterance = self.stimuli[tokens[0]].utterance
            reference = self._reference(utterance, "")
            trials.append(Trial(f"practice_{number}", tuple(tokens), reference))
        return trials

    def volume(self) -> str:
        """A clip to set the volume by."""
        return self._check("volume", self._reserve(3), "")

    def token_keys(self) -> dict[str, TokenKey]:
        """What every token is."""
        return {
            token: TokenKey(one.system, one.utterance, 0, one.made, audio.sha256(one.source))
            for token, one in sorted(self.stimuli.items())
        }

    def gold(self, where: str = "") -> list[tuple[list[str], str | None, float, float]]:
        """Gold trials that the material allows: tokens, reference, expected, tolerance."""
        low, high = self.kind.scale.low, self.kind.scale.high
        one, other = self._reserve(0), self._reserve(1)
        if self.kind.name == "mushra":
            return []
        if self.kind.is_pair:
            near = 1.0 if self.kind.name == "cmos" else 0.0
            good, bad = (self._check("gold", one, where, effect) for effect in ("", "bad"))
            best, worst = (self._check("gold", other, where, effect) for effect in ("", "bad"))
            return [([good, bad], None, low, near), ([worst, best], None, high, near)]
        if self.kind.name == "smos":
            return self._gold_voices(one, other, where)
        found: list[tuple[list[str], str | None, float, float]] = [
            ([self._check("gold", one, where, "bad")], None, low, 1.0)
        ]
        if self._recordings is not None:
            found.append(([self._check("gold", other, where)], None, high, MILD))
        return found

    def traps(self, where: str = "") -> list[tuple[list[str], str | None, float, float]]:
        """As many traps as there are answers to ask for, none at an end of the scale if it can."""
        if self.kind.name == "mushra":
            return []
        inner = [value for value in sorted(self.kind.scale.labels) if value]
        inner = inner[1:-1] if len(inner) > 3 else inner
        answers = shuffled([f"{value:g}" for value in (inner[0], inner[-1])], self.salt, "traps")
        found = []
        for number, answer in enumerate(answers):
            label = self.kind.scale.labels[float(answer)]
            utterance = self._reserve(2 + number)
            tokens = [self._check("trap", utterance, where, f"trap:{label}")]
            if self.kind.is_pair:
                tokens.insert(0, self._check("trap", utterance, where))
            found.append((tokens, self._reference(utterance, where), float(answer), 0.0))
        return found

    def null(self, where: str = "") -> list[tuple[list[str], str | None, float, float]]:
        """Pairs of two equal clips."""
        if not self.kind.is_pair:
            return []
        tokens = [self._check("null", self._reserve(1), f"{where}{one}") for one in (" a", " b")]
        return [(tokens, None, 0.0, 1.0)]

    def available(self) -> Checks:
        """The most checks of each sort that there can be."""
        half = len(self.material.items) // 2
        return Checks(len(self.gold()), len(self.traps()), half, len(self.null()))

    def _trial(self, name: str, place: int, slot: Slot, slots: Sequence[Slot]) -> Trial:
        trial = f"{name}_{place:02d}"
        if slot.check is not None:
            made = {"gold": self.gold, "trap": self.traps, "null": self.null}[slot.role](name)
            tokens, reference, expected, tolerance = made[slot.check % len(made)]
            self.keys[trial] = TrialKey(slot.role, tuple(tokens), expected, tolerance)
            return Trial(trial, tuple(tokens), reference)
        again = "repeat" if slot.role == "repeat" else ""
        item = slot.item or ""
        tokens = [self._clip(system, item, name, again) for system in slot.systems]
        of = None if slot.of is None else f"{name}_{slot.of + 1:02d}"
        self.keys[trial] = TrialKey(slot.role, tuple(tokens), of=of)
        return Trial(trial, tuple(tokens), self._reference(item, trial))

    def _clip(self, system: str, utterance: str, where: str, made: str = "") -> str:
        """A clip of a system, or of an anchor, for one list."""
        effect = self.anchors.get(system, "")
        source = self._best(utterance) if effect else self.material.sources[system, utterance]
        what = made or ("anchor" if effect else "clip")
        return self._keep(Stimulus(what, system, utterance, source, effect, where))

    def _check(self, made: str, utterance: str, where: str, effect: str = "") -> str:
        return self._keep(Stimulus(made, None, utterance, self._best(utterance), effect, where))

    def _keep(self, stimulus: Stimulus) -> str:
        token = stimulus.token(self.salt)
        self.stimuli[token] = stimulus
        return token

    def _reference(self, utterance: str, where: str) -> str | None:
        """What is shown as the reference: the prompt's voice, or the recording of this sentence."""
        if not self.kind.reference:
            return None
        source = self._best(utterance)
        if self.kind.name == "smos":
            source = self._prompt(utterance)
        return self._keep(Stimulus("reference", None, utterance, source, variety=where))

    def _gold_voices(
        self, one: str, other: str, where: str
    ) -> list[tuple[list[str], str | None, float, float]]:
        """The same person, and another one where the run says who speaks."""
        scale, speakers = self.kind.scale, self.material.speakers
        found: list[tuple[list[str], str | None, float, float]] = []
        if self._recordings is not None:
            reference = self._reference(one, f"{where} gold")
            found.append(([self._check("gold", one, where)], reference, scale.high, MILD))
        strangers = [
            utterance
            for utterance in self.material.reserve
            if speakers.get(utterance) not in (None, speakers.get(other))
        ]
        if strangers and speakers.get(other) is not None:
            stranger = self._check("gold", strangers[-1], f"{where} stranger")
            found.append(([stranger], self._reference(other, f"{where} stranger"), scale.low, MILD))
        return found

    def _all(self) -> list[str]:
        return [*self.material.systems, *self.anchors]

    def _reserve(self, number: int) -> str:
        return self.material.reserve[number % len(self.material.reserve)]

    def _best(self, utterance: str) -> Path:
        """The recording of a sentence, or the baseline's clip where there is none."""
        return self.material.sources[self._recordings or self.baseline, utterance]

    def _prompt(self, utterance: str) -> Path:
        try:
            return self.material.prompts[utterance]
        except KeyError:
            raise UserError(
                f"{utterance} has no prompt whose voice could be the reference",
                fix="smos needs a test set with prompts; take --kind mos.",
            ) from None

    @cached_property
    def _recordings(self) -> str | None:
        roles = self.material.systems.items()
        return next((name for name, role in roles if role == "reference"), None)


def anchors_of(kind: Kind, wanted: bool, systems: Container[str]) -> dict[str, str]:
    """The anchors of a kind, by a name that no system has the effect that makes them."""
    if not wanted or kind.is_pair or kind.name == "smos":
        return {}
    anchors = MUSHRA_ANCHORS if kind.name == "mushra" else {ANCHOR: "anchor"}
    return {free_name(name, systems): effect for name, effect in anchors.items()}
