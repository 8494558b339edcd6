"""Preparing the audio of a bundle: passes over its clips, one loudness for all.

One pass measures every clip at the bundle's rate, the next writes it; of mushra, whose clips are
padded to the longest of their sentence, one before finds the lengths. Memory holds one clip.

Files of the same sound (a repeat and its original) differ in every byte and in length: each has
dither and a little silence of its own. Who compares sounds sample by sample still finds them: a
page can't play what it hides.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval import audio
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.listening.building import loudness
from mamtra_eval.listening.building.loudness import Level
from mamtra_eval.listening.building.signals import Samples, huggins
from mamtra_eval.listening.building.sitedata import HEADPHONE_CHOICES
from mamtra_eval.listening.building.stimuli import Stimulus, noise_of, render

LONGER_S = 0.06
"""Most silence that is added to a clip, drawn for each file."""


@dataclass(frozen=True)
class Prepared:
    """Clips that are written.

    Attributes:
        facts: by token what the manifest says of it.
        target_lufs: that all were brought to; ``None`` where levels stay.
    """

    facts: dict[str, dict[str, Any]]
    target_lufs: float | None


@dataclass(frozen=True)
class Heard:
    """Clips of the headphone check, with the right answers by token."""

    facts: dict[str, dict[str, Any]]
    answers: dict[str, int]


def prepare(
    stimuli: Mapping[str, Stimulus],
    folder: Path,
    level: Level,
    *,
    salt: str,
    container: str,
    language: str,
    together: bool,
) -> Prepared:
    """Write every clip under its token.

    Args:
        stimuli: by token.
        folder: for the files.
        level: that they are brought to.
        salt: of the bundle.
        container: ``wav`` or ``flac``.
        language: of traps.
        together: whether clips of one sentence get one length.

    Raises:
        UserError: for a clip that can't be prepared.
    """
    rendered = partial(_rendered, stimuli, level, salt, language)
    lengths = _lengths(stimuli, rendered()) if together else None
    measured = {
        token: (loudness.lufs(samples, level.sample_rate_hz), loudness.peak_dbfs(samples))
        for token, samples in rendered(lengths)
    }
    target = loudness.common_target(measured.values(), level)
    facts = {}
    for token, samples in rendered(lengths):
        before = measured[token][0]
        gain_db = 0.0 if target is None else target - before
        made = loudness.apply_gain(samples, gain_db)
        facts[token] = _store(made, folder, token, level, container, noise_of(token, salt))
        facts[token] |= {
            "lufs_before": round(before, 2),
            "lufs_after": round(before + gain_db, 2),
            "gain_db": round(gain_db, 2),
        }
    return Prepared(facts, None if target is None else round(target, 4))


def headphones(folder: Path, count: int, level: Level, salt: str, container: str) -> Heard:
    """Write the headphone check: noises, one of which has a pitch for two ears."""
    heard = Heard({}, {})
    for number in range(count):
        digest = hmac.new(salt.encode(), f"headphones|{number}".encode(), hashlib.sha256)
        rng = np.random.default_rng(int(digest.hexdigest(), 16))
        token = f"s_{digest.hexdigest()[:32]}"
        right = int(rng.integers(1, HEADPHONE_CHOICES + 1))
        samples = huggins(level.sample_rate_hz, right, HEADPHONE_CHOICES, rng)
        heard.facts[token] = _store(samples, folder, token, level, container, rng)
        heard.facts[token] |= dict.fromkeys(("lufs_before", "lufs_after", "gain_db"))
        heard.answers[token] = right
    return heard


def _rendered(
    stimuli: Mapping[str, Stimulus],
    level: Level,
    salt: str,
    language: str,
    lengths: Mapping[str, int] | None = None,
) -> Iterator[tuple[str, Samples]]:
    """Every clip by its token, with silence behind it: up to the length of its sentence, if given.

    Else it has a length of its own: equal ones would tell which files have the same sound.
    """
    for token, stimulus in stimuli.items():
        try:
            samples = render(stimulus, level, salt, language)
            behind = noise_of(token, salt).uniform(0, LONGER_S) * level.sample_rate_hz
            if lengths is not None:
                behind = lengths[stimulus.utterance] - len(samples)
            yield token, np.concatenate([samples, np.zeros(round(behind))])
        except (audio.AudioError, MeasurementError) as error:
            raise UserError(
                f"a clip can't be prepared ({error})",
                where=str(stimulus.source),
                fix="Give other --systems or another --seed, or mend the clip in the run.",
            ) from error


def _lengths(
    stimuli: Mapping[str, Stimulus], rendered: Iterable[tuple[str, Samples]]
) -> dict[str, int]:
    """By sentence its longest clip."""
    longest: dict[str, int] = {}
    for token, samples in rendered:
        utterance = stimuli[token].utterance
        longest[utterance] = max(longest.get(utterance, 0), len(samples))
    return longest


def _store(
    samples: Samples,
    folder: Path,
    token: str,
    level: Level,
    container: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    data = loudness.encode(samples, level, container, rng)
    (folder / f"{token}.{container}").write_bytes(data)
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "duration_s": round(len(samples) / level.sample_rate_hz, 4),
    }
