"""A bundle as the P.808 toolkit sees it: conditions, questions, rows of its batch."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.exports import shared
from mamtra_eval.listening.trials import Trial

ASSETS = "https://audiosamplesp808.blob.core.windows.net/p808-assets/clips/"
"""The toolkit's own clips of its listening environment test, where its authors keep them."""
VOICES = ("female1", "female2", "male1", "male2")


@dataclass(frozen=True)
class Question:
    """One rated trial as the toolkit asks it.

    Attributes:
        trial: of the bundle.
        clip: file name of what is rated.
        reference: file name of what it is compared with; ``None`` in ACR.
        sign: of our rating, to have the toolkit's: -1 where its reference was shown second.
    """

    trial: str
    clip: str
    reference: str | None = None
    sign: int = 1


@dataclass(frozen=True)
class Sheet:
    """One list as the toolkit asks it; of ``trap`` and ``gold`` the answers that are right."""

    questions: tuple[Question, ...]
    trap: Question | None
    trap_answer: str
    gold: Question | None
    gold_answer: str


@dataclass(frozen=True)
class Plan:
    """A bundle as the toolkit sees it."""

    bundle: Bundle

    @property
    def method(self) -> str:
        """Of the toolkit's test methods."""
        return "acr" if self.bundle.kind.name == "mos" else "ccr"

    @cached_property
    def codes(self) -> dict[tuple[str, ...], str]:
        """The code of each condition: ``(system,)``, ``(reference, other)``, ``(check:..)``."""
        systems = list(self.bundle.key.systems)
        found: list[tuple[str, ...]] = [("check:trap",), ("check:gold",), ("check:practice",)]
        if self.method == "acr":
            found += [(system,) for system in systems]
        else:
            found += [self._turned(one, other) for one in systems for other in systems
                      if one < other]  # fmt: skip
        salt = bytes.fromhex(self.bundle.key.salt)
        drawn = sorted(found, key=lambda one: hmac.digest(salt, _name(one), hashlib.sha256))
        return {one: f"c{number:02d}" for number, one in enumerate(drawn, 1)}

    def _turned(self, one: str, other: str) -> tuple[str, str]:
        """Two systems, the toolkit's reference first."""
        return (
            (other, one) if other == self.bundle.manifest["analysis"]["baseline"] else (one, other)
        )

    @cached_property
    def sheets(self) -> dict[str, Sheet]:
        """Every list; UserError where one lacks a check that the toolkit can't do without."""
        return {name: self._sheet(name, trials) for name, trials in self.bundle.lists.items()}

    @property
    def longest(self) -> int:
        """Rated trials of the longest list."""
        return max(len(sheet.questions) for sheet in self.sheets.values())

    @property
    def has_trap(self) -> bool:
        """Whether lists have a question that only attentive raters get right."""
        return all(sheet.trap for sheet in self.sheets.values())

    def file(self, code: str, token: str) -> str:
        """What a clip is called."""
        return f"{code}_{token}{shared.suffix(self.bundle)}"

    @property
    def pattern(self) -> str:
        """The regular expression that finds the code in a URL."""
        return r".*/(?P<condition_num>c\d+)_s_[0-9a-f]+\." + shared.suffix(self.bundle)[1:]

    def _sheet(self, name: str, trials: tuple[Trial, ...]) -> Sheet:
        keys = self.bundle.key.trials
        role = {trial.id: keys[trial.id].role for trial in trials}
        rated = tuple(self._question(one) for one in trials if role[one.id] == "rated")
        traps = [one for one in trials if role[one.id] == self._trap_role]
        golds = [one for one in trials if role[one.id] == "gold"] if self.method == "acr" else []
        if self.method == "acr" and not (traps and golds):
            missing = "trap" if not traps else "gold trial"
            raise UserError(
                f"list {name} has no {missing}, which the P.808 toolkit needs in ACR",
                where=str(self.bundle.folder),
                fix="Export the bundle with at least one of each, or without --formats p808.",
            )
        return Sheet(
            rated,
            self._check(traps[0], "trap") if traps else None,
            _number(keys[traps[0].id].expected) if traps else "",
            self._check(golds[0], "gold") if golds else None,
            _number(keys[golds[0].id].expected) if golds else "",
        )

    @property
    def _trap_role(self) -> str:
        return "trap" if self.method == "acr" else "null"

    def _question(self, trial: Trial) -> Question:
        system = [str(self.bundle.key.tokens[token].system) for token in trial.tokens]
        if self.method == "acr":
            return Question(trial.id, self.file(self.codes[(system[0],)], trial.tokens[0]))
        pair = self._turned(*sorted(system))
        code = self.codes[pair]
        names = {of: self.file(code, token) for of, token in zip(system, trial.tokens, strict=True)}
        return Question(trial.id, names[pair[1]], names[pair[0]], 1 if system[1] == pair[1] else -1)

    def _check(self, trial: Trial, name: str) -> Question:
        file = self.file(self.codes[(f"check:{name}",)], trial.tokens[0])
        return Question(trial.id, file, None if self.method == "acr" else file)


def input_row(plan: Plan, name: str, url: str) -> dict[str, str]:
    """A list as a row of ``publish_batch.csv``."""
    sheet, place = plan.sheets[name], list(plan.sheets).index(name)
    row: dict[str, str] = {}
    for number, question in enumerate(padded(plan, sheet)):
        if plan.method == "acr":
            row[f"Q{number}"] = url + question.clip
        else:
            row[f"Q{number}_P"] = url + question.clip
            row[f"Q{number}_R"] = url + str(question.reference)
    row["math"] = f"{ASSETS}math/math{place % 3 + 1}.wav"
    for number in range(1, 5):
        voice = VOICES[(place + number) % 4]
        better_first = (place + number) % 2 == 0
        files = [f"{ASSETS}sample_jnd/{ratio}S_{voice}.wav" for ratio in (40, 50)]
        row[f"CMP{number}_A"], row[f"CMP{number}_B"] = files[::-1] if better_first else files
    row["TP"] = url + (sheet.trap.clip if sheet.trap else str(sheet.questions[0].reference))
    if plan.method == "acr":
        row["TP_ANS"] = sheet.trap_answer
        row["gold_clips"] = url + sheet.gold.clip if sheet.gold else ""
        row["gold_clips_ans"] = sheet.gold_answer
    return row


def padded(plan: Plan, sheet: Sheet) -> tuple[Question, ...]:
    """The questions of a list, with its trap in the places that longer lists have more."""
    missing = plan.longest - len(sheet.questions)
    if missing and sheet.trap is None:
        raise UserError(
            "lists have unequal numbers of rated trials and no null pairs to fill them",
            where=str(plan.bundle.folder),
            fix="Export the bundle with null pairs, or without --formats p808.",
        )
    return sheet.questions + (sheet.trap,) * missing if sheet.trap else sheet.questions


def _name(condition: tuple[str, ...]) -> bytes:
    return "\n".join(("p808", *condition)).encode()


def _number(answer: float | None) -> str:
    return "" if answer is None else f"{answer:g}"
