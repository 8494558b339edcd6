"""What the page knows: words, scale, audio and the way it asks; nothing that unblinds.

The form of ``bundle.js`` stands in ``page/``; everything here may be read by raters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mamtra_eval.listening.kinds import Kind
from mamtra_eval.listening.trials import Trial

MIN_HEARD = 0.95
"""Share of a clip that must have been played before it can be rated."""
HEADPHONE_CHOICES = 3
ELIGIBILITY = [
    {"id": "language", "label": "What is your first language?", "type": "text", "options": [],
     "required": True, "max_length": 60},
    {"id": "hearing", "label": "Do you have any hearing loss that you know of?", "type": "choice",
     "options": ["No", "Yes", "I would rather not say"], "required": True, "max_length": 60},
]  # fmt: skip
QUESTIONNAIRE = [
    {"id": "device", "label": "What did you listen with?", "type": "choice",
     "options": ["Headphones with a cable", "Wireless headphones", "Loudspeakers", "Other"],
     "required": True, "max_length": 60},
    {"id": "place", "label": "How quiet was it around you?", "type": "choice",
     "options": ["Quiet", "Some noise", "Noisy"], "required": True, "max_length": 60},
    {"id": "age", "label": "Your age", "type": "number", "options": [],
     "required": False, "max_length": 3},
    {"id": "remarks", "label": "Anything you want to tell us", "type": "long",
     "options": [], "required": False, "max_length": 2000},
]  # fmt: skip


@dataclass(frozen=True)
class Words:
    """What the study says of itself, for its first and last page.

    Attributes:
        consent: paragraphs.
        completion: code shown at the end.
        redirect: address to go back to at the end.
    """

    title: str
    consent: Sequence[str]
    instructions: Sequence[str]
    contact: str
    completion: str | None
    redirect: str | None


def page(
    kind: Kind,
    words: Words,
    *,
    suffix: str,
    audio: Mapping[str, Mapping[str, Any]],
    practice: Sequence[Trial],
    volume: str,
    headphones: Sequence[str],
    minutes: float,
    consent_sha256: str,
    language: str,
) -> dict[str, Any]:
    """``window.BUNDLE`` without what names it (``bundle_id``, ``content_sha256``).

    Args:
        kind: of the test.
        words: of the study.
        suffix: of the audio files.
        audio: by token, what the manifest says of it.
        practice: trials before those that count.
        volume: token of the clip to set the volume by.
        headphones: tokens of the headphone check.
        minutes: that a session takes.
        consent_sha256: hash of the consent's words.
        language: of the page.
    """
    scale = kind.scale
    return {
        "schema": 1,
        "title": words.title,
        "kind": kind.name,
        "language": language,
        "question": kind.question,
        "instructions": list(words.instructions),
        "scale": {
            "low": scale.low, "high": scale.high, "step": scale.step,
            "labels": {f"{value:g}": label for value, label in scale.labels.items()},
        },
        "audio": {
            "folder": "audio",
            "suffix": suffix,
            "sha256": {token: facts["sha256"] for token, facts in audio.items()},
            "duration_s": {token: facts["duration_s"] for token, facts in audio.items()},
        },
        "consent": {
            "title": "About this test",
            "paragraphs": list(words.consent),
            "sha256": consent_sha256,
            "agree": "I have read this, I am at least 18 years old, and I agree to take part.",
        },
        "contact": words.contact,
        "eligibility": ELIGIBILITY,
        "questionnaire": QUESTIONNAIRE,
        "volume": volume,
        "headphones": {
            "tokens": list(headphones),
            "choices": HEADPHONE_CHOICES,
            "question": "You hear three noises. In which of them is a faint tone?",
        } if headphones else None,
        "practice": [told(trial) for trial in practice],
        "break_every": 15,
        "min_heard": MIN_HEARD,
        "minutes": round(minutes),
        "completion": {"code": words.completion, "redirect": words.redirect},
        "endpoint": "api",
    }  # fmt: skip


def told(trial: Trial) -> dict[str, Any]:
    """A trial as JSON values."""
    return {"id": trial.id, "tokens": list(trial.tokens), "reference": trial.reference}
