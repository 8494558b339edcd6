"""From a run to a bundle: settle, prepare the audio, write.

The bundle is written beside its place and moved there whole, so that a killed export leaves no
half of one. Everything in it follows from the run, the options and the seed; only ``created``
is the clock's, and it can be given.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.listening import bundle
from mamtra_eval.listening.building import (
    balance,
    documents,
    manifest,
    planning,
    preregistration,
    sitedata,
)
from mamtra_eval.listening.building.clips import Heard, Prepared, headphones, prepare
from mamtra_eval.listening.building.settling import Options, Settled, settle
from mamtra_eval.listening.building.spreads import Pilot
from mamtra_eval.listening.building.stimuli import Stimulus, check_language
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.site import write_offline, write_site
from mamtra_eval.listening.trials import Trial
from mamtra_eval.rundata import RunData

OFFLINE = "offline"
OFFLINE_BYTES = 40_000_000
"""Audio that still goes into one file."""


@dataclass(frozen=True)
class _Sound:
    """Everything that is heard: clips, headphone check, practice, and seconds of each trial."""

    clips: Prepared
    heard: Heard
    practice: list[Trial]
    volume: str
    seconds: list[float]

    @property
    def facts(self) -> dict[str, dict[str, Any]]:
        """By token what the manifest says of it, in the order of tokens."""
        return dict(sorted({**self.clips.facts, **self.heard.facts}.items()))


def export(data: RunData, folder: Path, options: Options) -> Bundle:
    """Write a bundle; UserError where the run or the options don't allow it.

    Args:
        data: of the run.
        folder: of the bundle, which must not be there, or be empty.
        options: of the export.
    """
    _check(folder, options)
    words = documents.consent(options.consent)
    settled = settle(data, options)
    part = folder.absolute().with_name(f".{folder.absolute().name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for name in ("site/audio", "design", "key"):
            (part / name).mkdir(parents=True)
        (part / "key").chmod(0o700)
        sound = _sound(part / "site/audio", settled, options)
        _write(part, data, settled, options, sound, words)
        if folder.is_dir():
            folder.rmdir()
        part.replace(folder)
    except OSError as error:
        raise UserError(
            f"the bundle can't be written ({error.strerror or error})",
            where=str(folder),
            fix="Make room and the folder writable, or choose another one.",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return bundle.open_bundle(folder)


def plan(
    settled: Settled, options: Options, seconds: Sequence[float], pilot: Pilot | None = None
) -> planning.Plan:
    """What the settled test is worth; ``seconds`` of audio of each trial of a session."""
    return planning.plan(
        options.kind, settled.design, raters=options.raters, items=len(settled.material.items),
        trial_s=seconds, hourly=options.hourly, difference=options.difference, pilot=pilot,
    )  # fmt: skip


def foresee(data: RunData, options: Options, pilot: Pilot | None = None) -> planning.Plan:
    """What a test is worth, by the run's clips as they are: nothing is prepared.

    Args:
        data: of the run.
        options: of the export.
        pilot: spreads of an earlier test.
    """
    settled = settle(data, options)
    durations = [clip.duration_s for clip in data.clips if clip.duration_s]
    mean_s = sum(durations) / len(durations)
    trials = [*settled.questions.practice(), *max(settled.lists.values(), key=len)]
    seconds = [mean_s * len(_played(trial)) for trial in trials]
    return plan(settled, options, seconds, pilot)


def _check(folder: Path, options: Options) -> None:
    check_language(options.language)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            "there is something already",
            where=str(folder),
            fix="Choose a new folder: a bundle is never overwritten, ratings may belong to it.",
        )
    if options.container not in ("wav", "flac"):
        raise UserError(f"no audio format {options.container!r}", fix="Take wav or flac.")
    if foreign := _foreign(options):
        from mamtra_eval.listening import exports

        exports.check(foreign, options.kind.name)


def _sound(folder: Path, settled: Settled, options: Options) -> _Sound:
    """Prepare every clip that some trial plays; lists may have fewer checks than there could be."""
    questions, level = settled.questions, options.level
    practice, volume = questions.practice(), questions.volume()
    every = [*practice, *(trial for trials in settled.lists.values() for trial in trials)]
    asked = {volume} | {token for trial in every for token in _played(trial)}
    used: dict[str, Stimulus] = {
        token: stimulus for token, stimulus in sorted(questions.stimuli.items()) if token in asked
    }
    questions.stimuli = used
    clips = prepare(
        used, folder, level, salt=questions.salt, container=options.container,
        language=options.language, together=options.kind.name == "mushra",
    )  # fmt: skip
    heard = headphones(folder, options.headphones, level, questions.salt, options.container)
    seconds = [
        [sum(clips.facts[token]["duration_s"] for token in _played(trial))
         for trial in (*practice, *trials)]
        for trials in settled.lists.values()
    ]  # fmt: skip
    return _Sound(clips, heard, practice, volume, max(seconds, key=sum))


def _played(trial: Trial) -> tuple[str, ...]:
    return (*trial.tokens, trial.reference) if trial.reference else trial.tokens


def _write(
    folder: Path,
    data: RunData,
    settled: Settled,
    options: Options,
    sound: _Sound,
    words: tuple[list[str], bool],
) -> None:
    """Everything beside the audio."""
    told = documents.instructions(options.kind, settled.checks)
    consent_sha256 = _sha256("\n\n".join(words[0]))
    page = _page(options, sound, words[0], told, consent_sha256)
    lists = {
        name: [sitedata.told(trial) for trial in trials] for name, trials in settled.lists.items()
    }
    content = _sha256(_json({"page": page, "lists": lists}))
    public = manifest.public(data, settled, options, sound.clips.target_lufs) | {
        "bundle_id": f"b_{content[:16]}",
        "content_sha256": content,
        "tokens": sound.facts,
        "consent": {"sha256": consent_sha256, "template": words[1]},
        "instructions_sha256": _sha256("\n\n".join(told)),
    }
    bundle.check(public, folder / bundle.MANIFEST)
    named = {"bundle_id": public["bundle_id"], "content_sha256": content}
    write_site(folder / "site", {**named, **page}, lists)
    key = manifest.key(settled, public["bundle_id"], sound.heard.answers, options.seed)
    systems = [*settled.material.systems, *settled.anchors]
    for path, text in {
        bundle.MANIFEST: _json(public),
        bundle.LISTS: _json(lists),
        bundle.KEY: _json(key),
        "design/assignments.csv": manifest.assignments(settled.lists),
        "design/design_report.json": _json(balance.report(settled.design, options.raters)),
        "design/power.json": _json(plan(settled, options, sound.seconds).to_dict()),
        "PREREG.md": preregistration.render(public, systems, options.raters),
    }.items():
        (folder / path).write_text(text, encoding="utf-8")
    (folder / bundle.KEY).chmod(0o600)
    _add_forms(folder, options)
    parts = [path.name for path in folder.iterdir()]
    (folder / "README.md").write_text(documents.readme(public, parts), encoding="utf-8")
    (folder / bundle.SUMS).write_text(bundle.sums(folder), encoding="utf-8")


def _page(
    options: Options, sound: _Sound, consent: list[str], told: list[str], consent_sha256: str
) -> dict[str, Any]:
    words = sitedata.Words(
        options.title, consent, told, options.contact, options.completion, options.redirect
    )
    return sitedata.page(
        options.kind, words, suffix=f".{options.container}", audio=sound.facts,
        practice=sound.practice, volume=sound.volume, headphones=list(sound.heard.answers),
        minutes=planning.minutes(sound.seconds), consent_sha256=consent_sha256,
        language=options.language,
    )  # fmt: skip


def _foreign(options: Options) -> list[str]:
    """Formats that belong to other programs."""
    return [name for name in options.formats if name != OFFLINE]


def _add_forms(folder: Path, options: Options) -> None:
    """The single file, where it stays small, and the forms of other programs."""
    size = sum(path.stat().st_size for path in (folder / "site/audio").iterdir())
    if OFFLINE in options.formats and size <= OFFLINE_BYTES:
        (folder / "offline").mkdir()
        write_offline(folder / "site", folder / "offline/test.html")
    if foreign := _foreign(options):
        from mamtra_eval.listening import exports

        exports.write(
            Bundle(folder), foreign,
            base_url=options.base_url or exports.BASE_URL,
            study_url=options.study_url or exports.STUDY_URL,
        )  # fmt: skip


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
