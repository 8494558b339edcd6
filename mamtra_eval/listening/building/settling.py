"""What an export settles before any audio is made: systems, sentences, lists.

Nothing is written here; the same run, options and seed settle the same.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from mamtra_eval.errors import UserError
from mamtra_eval.listening.building import balance, material
from mamtra_eval.listening.building.design import Checks, Design, conditions_of, draw
from mamtra_eval.listening.building.loudness import Level
from mamtra_eval.listening.building.material import Material
from mamtra_eval.listening.building.questions import RESERVE, Questions, anchors_of
from mamtra_eval.listening.building.stimuli import salt
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.listening.trials import Trial
from mamtra_eval.rundata import RunData

DEFAULT_ITEMS = 40
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and " " not in text


@dataclass(frozen=True)
class Options:
    """What an export settles.

    Attributes:
        kind: with its question and scale.
        systems: names; ``None`` for all of the run.
        items: sentences; ``None`` for 40, or as many as there are.
        per_session: most sentences of a session.
        raters: who are planned.
        replicates: how often every cell is there in all lists together.
        checks: of each list, at most; the material may allow fewer.
        headphones: trials of the headphone check.
        reference, anchor: whether recordings and a low anchor are rated among the others.
        pairs: of cmos and ab: ``all``, or with the ``baseline``.
        margin: of equivalence, in points.
        consent: file with the study's words.
        container: ``wav`` or ``flac``.
        formats: beside the site: ``offline``, and those of ``exports``.
        base_url, study_url: where audio and site will lie, for formats that need to know.
        completion, redirect: code and address that a recruiting service gives.
        seed: secret of the bundle: the same one gives the same bytes.
        created: time of the export, UTC; ``None`` for now.
        hourly: pay, for the plan.
        difference: that is to be seen, in points, for the plan.
    """

    kind: Kind
    systems: tuple[str, ...] | None = None
    items: int | None = None
    per_session: int = 24
    raters: int = 24
    replicates: int = 1
    checks: Checks = field(default_factory=lambda: Checks(2, 2, 2, 1))
    headphones: int = 6
    reference: bool = True
    anchor: bool = True
    pairs: str = "baseline"
    baseline: str | None = None
    margin: float | None = None
    seed: int = field(default_factory=lambda: secrets.randbits(63))
    level: Level = field(default_factory=Level)
    container: str = "wav"
    formats: tuple[str, ...] = ("offline",)
    base_url: str | None = None
    study_url: str | None = None
    language: str = "en"
    title: str = "Listening test"
    consent: Path | None = None
    contact: str = ""
    payment: str = ""
    retention: str = ""
    completion: str | None = None
    redirect: str | None = None
    created: str | None = None
    hourly: float | None = None
    difference: float | None = None

    def __post_init__(self) -> None:
        for name in ("per_session", "raters", "replicates"):
            if getattr(self, name) < 1:
                flag = f"--{name.replace('_', '-')}"
                raise UserError(f"{flag} must be at least 1", fix=f"Give {flag} 24, say.")
        if not self.title.strip():
            raise UserError("--title is empty", fix="Say what raters shall read at the top.")
        if self.created is not None and not _CREATED.fullmatch(self.created):
            raise UserError(
                f"--created {self.created!r} is no time", fix="Write 2026-11-27T00:00:00Z."
            )
        if self.redirect is not None and not _is_address(self.redirect):
            raise UserError(
                f"--redirect {self.redirect!r} is no https address",
                fix="Give the whole address, https:// first, that raters go back to.",
            )


@dataclass(frozen=True)
class Settled:
    """What is known before any audio is made."""

    material: Material
    anchors: dict[str, str]
    baseline: str
    questions: Questions
    design: Design
    lists: dict[str, tuple[Trial, ...]]
    checks: Checks


def settle(data: RunData, options: Options) -> Settled:
    """Draw sentences and lists; nothing is written."""
    kind = options.kind
    systems = material.systems_of(data, options.systems, options.reference)
    baseline = options.baseline or (data.baseline if data.baseline in systems else "")
    baseline = baseline or next(iter(systems))
    anchors = anchors_of(kind, options.anchor, {row.name for row in data.systems} | systems.keys())
    _check_systems(systems, baseline, options)
    reserve = 1 if kind.name == "mushra" else RESERVE
    items = options.items or min(DEFAULT_ITEMS, max(1, len(data.utterances) - reserve))
    found = material.gather(
        data, systems, items=items, reserve=reserve, level=options.level, seed=str(options.seed),
        prompts=kind.name == "smos",
    )  # fmt: skip
    used = [*found.items, *found.reserve]
    sources = [path for key, path in found.sources.items() if key[1] in used]
    secret = salt(options.seed, sources, kind.name, *systems, *found.items, repr(options.level))
    questions = Questions(kind, found, baseline, anchors, secret)
    most, asked = questions.available(), options.checks
    checks = Checks(
        min(asked.gold, most.gold), min(asked.traps, most.traps),
        min(asked.repeats, most.repeats), min(asked.null, most.null),
    )  # fmt: skip
    conditions = conditions_of(kind.name, [*systems, *anchors], options.pairs, baseline)
    design = draw(
        found.items, conditions, per_session=options.per_session, replicates=options.replicates,
        checks=checks, seed=secret,
    )  # fmt: skip
    balance.check(design, options.raters)
    return Settled(found, anchors, baseline, questions, design, questions.lists(design), checks)


def _check_systems(systems: Mapping[str, str], baseline: str, options: Options) -> None:
    if baseline not in systems:
        raise UserError(
            f"the baseline {baseline!r} is not among the systems of the test",
            fix=f"Name it in --systems, or another --baseline: {', '.join(systems)}.",
        )
    if len(systems) < 2:
        raise UserError(
            "a listening test needs two systems at least, recordings among them",
            fix="Name more --systems, or leave --no-reference away.",
        )
    if options.kind.name == "mushra" and "reference" not in systems.values():
        raise UserError(
            "mushra needs recordings of the sentences as its reference",
            fix="Take a test set with ground truth, or --kind mos.",
        )
