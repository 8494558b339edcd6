"""Configurations of webMUSHRA, one a list.

``configs/<bundle>_<list>.yaml`` is one line of JSON: its reader of YAML takes that as it is meant,
and fails at or changes what most writers of YAML give. Every page has one stimulus and our trial's
id, because webMUSHRA shuffles the stimuli of a page; the first page that is stored is a Likert
page, because its ``write.php`` fails in PHP 8 where that is another. Ids that begin with
``practice_`` are not part of the test. ``start.html`` sends raters to their list.

In mushra, webMUSHRA adds the hidden reference itself and calls it ``reference``: the token of the
bundle's recordings is left out, and a rating of ``reference`` is that token's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.exports import shared
from mamtra_eval.listening.exports.webmushra_text import FINISH_SCRIPT, README, START
from mamtra_eval.listening.trials import Trial

KINDS = ("mos", "smos", "mushra")
HIDDEN = "reference"
"""What webMUSHRA calls the hidden reference."""
SOUND_CHECK = "practice_sound"

Page = dict[str, Any]


def write(bundle: Bundle, folder: Path) -> None:
    """Write configurations, audio, ``start.html`` and ``README.md``.

    Raises:
        UserError: for a mushra trial that webMUSHRA can't show: clips of unequal lengths, one
            twice, or no reference.
    """
    words = shared.words(bundle)
    practice = [
        Trial(f"practice_{number:02d}", tuple(trial["tokens"]), trial.get("reference"))
        for number, trial in enumerate(words.get("practice") or (), 1)
    ]
    if bundle.kind.name == "mushra":
        _check_mushra(bundle, practice)
    names = []
    for list_id, trials in bundle.lists.items():
        names.append(f"{bundle.id}_{list_id}.yaml")
        config = configuration(bundle, words, practice, trials)
        text = json.dumps(config, ensure_ascii=False)
        shared.text_file(folder / "configs" / names[-1], text)
    for token in _tokens(bundle, words, practice):
        shared.place(shared.clip(bundle, token), folder / _path(bundle, token))
    start = START.replace("CONFIGS", json.dumps(names))
    shared.text_file(folder / "start.html", start.replace("TITLE", _html(words["title"])))
    shared.text_file(folder / "README.md", README.replace("BUNDLE", bundle.id))


def configuration(
    bundle: Bundle, words: dict[str, Any], practice: list[Trial], trials: tuple[Trial, ...]
) -> dict[str, Any]:
    """What one list's file says."""
    return {
        "testname": _line(words["title"]),
        "testId": bundle.id,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": False,
        "remoteService": "service/write.php",
        "pages": [
            _generic("instructions", "Instructions", words["instructions"]),
            _consent(words),
            *_volume(bundle, words),
            *_sound_check(bundle, trials),
            *_rated(bundle, words, practice, "Practice"),
            *_with_breaks(list(_rated(bundle, words, trials, "Clip")), words.get("break_every")),
            _finish(words),
        ],
    }


def _check_mushra(bundle: Bundle, practice: list[Trial]) -> None:
    import soundfile

    for trial in (*practice, *(one for trials in bundle.lists.values() for one in trials)):
        if trial.reference is None or len(set(trial.tokens)) < len(trial.tokens):
            why = "has no reference" if trial.reference is None else "shows a clip twice"
            raise UserError(
                f"trial {trial.id} {why}, which webMUSHRA can't show",
                where=str(bundle.folder),
                fix="Use the bundle's own site, or export without --formats webmushra.",
            )
        frames = {
            token: soundfile.info(shared.clip(bundle, token)).frames
            for token in (trial.reference, *trial.tokens)
        }
        if len(set(frames.values())) > 1:
            told = ", ".join(f"{token} ({count} samples)" for token, count in frames.items())
            raise UserError(
                f"the clips of trial {trial.id} have unequal lengths: {told}",
                where=str(bundle.folder),
                fix="webMUSHRA would stop or cut all to the shortest; use the bundle's own site.",
            )


def _tokens(bundle: Bundle, words: dict[str, Any], practice: list[Trial]) -> list[str]:
    trials = (*practice, *(one for trials in bundle.lists.values() for one in trials))
    found = {token for trial in trials for token in _stimuli(bundle, trial)}
    found |= {trial.reference for trial in trials if trial.reference}
    return sorted(found | {words["volume"]} if words.get("volume") else found)


def _stimuli(bundle: Bundle, trial: Trial) -> list[str]:
    """A trial's tokens but for the one that webMUSHRA brings as the hidden reference."""
    if bundle.kind.name != "mushra":
        return list(trial.tokens)
    systems, tokens = bundle.key.systems, bundle.key.tokens
    return [token for token in trial.tokens if systems.get(tokens[token].system or "") != HIDDEN]


def _path(bundle: Bundle, token: str) -> str:
    return f"configs/{bundle.id}/{token}{shared.suffix(bundle)}"


def _rated(
    bundle: Bundle, words: dict[str, Any], trials: list[Trial] | tuple[Trial, ...], name: str
) -> Iterator[Page]:
    for number, trial in enumerate(trials, 1):
        content = f"<p>{_html(words['question'])}</p>"
        if bundle.kind.name == "smos":
            content += _player(bundle, trial)
        page = {
            "type": "likert_single_stimulus",
            "id": trial.id,
            "name": f"{name} {number} of {len(trials)}",
            "content": content,
        }
        stimuli = {token: _path(bundle, token) for token in _stimuli(bundle, trial)}
        if bundle.kind.name == "mushra":
            yield {**page, "type": "mushra", **_mushra(bundle, trial), "stimuli": stimuli}
        else:
            yield {**page, **_likert(), "stimuli": stimuli, "response": _responses(bundle)}


def _likert() -> Page:
    return {"mustRate": True, "mustPlayback": "ended", "showWaveform": False}


def _mushra(bundle: Bundle, trial: Trial) -> Page:
    return {
        "showWaveform": False,
        "enableLooping": False,
        "showConditionNames": False,
        "strict": False,  # else clips of more than 12 s are refused
        "randomize": True,  # else the hidden reference is always the last
        "createAnchor35": False,
        "createAnchor70": False,
        "reference": _path(bundle, str(trial.reference)),
    }


def _responses(bundle: Bundle) -> list[Page]:
    labels = bundle.kind.scale.labels
    return [
        {"value": f"{value:g}", "label": f"{value:g} {_html(labels.get(value, ''))}".strip()}
        for value in bundle.kind.scale.values
    ]


def _player(bundle: Bundle, trial: Trial) -> str:
    """The known reference as a player of the browser: a Likert page has one stimulus."""
    path = _path(bundle, str(trial.reference))
    return f'<p>Reference: <audio controls preload="auto" src="{path}"></audio></p>'


def _sound_check(bundle: Bundle, trials: tuple[Trial, ...]) -> list[Page]:
    if bundle.kind.name != "mushra":
        return []
    token = str(trials[0].reference)
    page = {
        "type": "likert_single_stimulus",
        "id": SOUND_CHECK,
        "name": "Sound",
        "content": "<p>Play this clip. Do you hear it well?</p>",
    }
    response = [{"value": "1", "label": "Yes"}, {"value": "0", "label": "No"}]
    stimuli = {token: _path(bundle, token)}
    return [{**page, **_likert(), "stimuli": stimuli, "response": response}]


def _with_breaks(pages: list[Page], every: int | None) -> Iterator[Page]:
    for number, page in enumerate(pages):
        if every and number and number % every == 0:
            rest = "Please rest your ears for a moment before you go on."
            yield _generic(f"break_{number // every:02d}", "Break", [rest])
        yield page


def _generic(identifier: str, name: str, paragraphs: list[str]) -> Page:
    return {"type": "generic", "id": identifier, "name": name, "content": _paragraphs(paragraphs)}


def _consent(words: dict[str, Any]) -> Page:
    consent = words["consent"]
    content = _paragraphs([*consent["paragraphs"], consent["agree"]])
    return {
        "type": "consent",
        "id": "consent",
        "name": _html(consent["title"]),
        "mustConsent": True,
        "content": content,
    }


def _volume(bundle: Bundle, words: dict[str, Any]) -> list[Page]:
    if not words.get("volume"):
        return []
    return [
        {
            "type": "volume",
            "id": "volume",
            "name": "Volume",
            "content": "Play the clip, set a comfortable volume, and leave it there.",
            "stimulus": _path(bundle, words["volume"]),
            "defaultVolume": 1,
        }
    ]


def _finish(words: dict[str, Any]) -> Page:
    completion = words.get("completion") or {}
    thanks = "<p>Thank you.</p>"
    if completion.get("code"):
        thanks += f"<p>Completion code: <b>{_html(completion['code'])}</b></p>"
    if completion.get("redirect"):
        thanks += (
            f'<p><a href="{_html(completion["redirect"])}">Back to where you came from</a></p>'
        )
    return {
        "type": "finish",
        "name": "The end",
        "content": "<p>Please send your answers.</p>" + FINISH_SCRIPT,
        "popupContent": thanks,
        "showResults": False,
        "showErrors": True,
        "questionnaire": [
            {"type": "text", "label": "Your participant ID", "name": "participant_id"}
        ],
    }


def _paragraphs(paragraphs: list[str]) -> str:
    return "".join(f"<p>{_html(paragraph)}</p>" for paragraph in paragraphs)


def _html(text: str) -> str:
    return escape(_line(text))


def _line(text: str) -> str:
    """Without line breaks and other control characters, which the reader of YAML may change."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
