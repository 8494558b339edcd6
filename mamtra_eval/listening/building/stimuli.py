"""The clips of a bundle: what each is made from, how, and what it is called.

A clip is a file of the run, or is made from one: the low anchor, gold clips, traps, practice. What
is done depends on the bundle's seed and the clip alone, so that the same export has the same bytes.
Its token is an HMAC of all that under the bundle's salt: it tells nothing to who lacks the salt.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mamtra_eval import audio
from mamtra_eval.errors import UserError
from mamtra_eval.listening.building.loudness import FRAME_S, Level, at_rate
from mamtra_eval.listening.building.signals import Samples, low_pass, mnru

ANCHOR_HZ, ANCHOR_Q_DB = 3500.0, 12.0
"""The low anchor of mos: band and noise that nobody takes for natural."""
BAD_HZ, BAD_Q_DB = 2000.0, 0.0
"""The gold clip that is obviously bad."""
MILD_Q_DB = 20.0
"""Of one practice clip: audible, and far from the worst."""
HEAD_S = (1.5, 2.5)
"""Of speech before a trap's instruction, cut at the quietest place between."""
INSTRUCTIONS = {
    "en": ("en-us", "Attention please. For this question, choose the answer: {answer}."),
}
"""By language of the page: espeak-ng's voice, and what a trap says."""


@dataclass(frozen=True)
class Stimulus:
    """One clip of the bundle.

    Attributes:
        made: as ``trials.TokenKey.made``.
        system: whose clip it is, for the key; ``None`` for a check's.
        utterance: of the run.
        source: the file it is made from.
        effect: what is done to it: nothing, ``anchor``, ``bad``, ``mild``, ``low-pass:HZ`` or
            ``trap:ANSWER``.
        variety: the list it belongs to: each has files of its own.
    """

    made: str
    system: str | None
    utterance: str
    source: Path
    effect: str = ""
    variety: str = ""

    def token(self, salt: str) -> str:
        """Its name in the bundle, ``s_`` and 32 hexadecimal digits (128 bits)."""
        words = (self.made, self.system or "", self.utterance, self.effect, self.variety)
        return "s_" + _hmac(salt, *words)[:32]


def salt(seed: int, sources: list[Path], *words: str) -> str:
    """The secret of a bundle, from which its tokens, lists and noises come.

    Args:
        seed: as secret as it is; guessed by who has the run's audio, it unblinds the bundle.
        sources: the audio itself, which raters don't have.
        words: whatever makes another bundle of the same seed another one.
    """
    parts = sorted({audio.sha256(path) for path in sources})
    return hashlib.sha256("|".join([str(seed), *words, *parts]).encode()).hexdigest()


def render(stimulus: Stimulus, level: Level, key: str, language: str = "en") -> Samples:
    """The clip at the bundle's rate, not yet at its loudness: (n,).

    Args:
        stimulus: which.
        level: of the bundle.
        key: the bundle's salt, which seeds the noise of what is degraded.
        language: of the page, in which traps speak.

    Raises:
        audio.AudioError, MeasurementError: where the source can't be used.
    """
    samples = at_rate(audio.read(stimulus.source, stimulus.source.name), level)
    rng = np.random.default_rng(int(_hmac(key, "noise", stimulus.utterance, stimulus.effect), 16))
    effect, _, value = stimulus.effect.partition(":")
    if effect == "anchor":
        return mnru(low_pass(samples, level.sample_rate_hz, ANCHOR_HZ), ANCHOR_Q_DB, rng)
    if effect == "bad":
        return mnru(low_pass(samples, level.sample_rate_hz, BAD_HZ), BAD_Q_DB, rng)
    if effect == "mild":
        return mnru(samples, MILD_Q_DB, rng)
    if effect == "low-pass":
        return low_pass(samples, level.sample_rate_hz, float(value))
    if effect == "trap":
        return _trap(samples, _spoken(value, language, level), level)
    return samples


def shuffled(items: list[str], key: str, *words: str) -> list[str]:
    """Items in an order that the bundle's salt and some words give."""
    found = list(items)
    random.Random(_hmac(key, *words)).shuffle(found)  # noqa: S311 -- an order, no secret
    return found


def _trap(samples: Samples, said: Samples, level: Level) -> Samples:
    """The head of a clip, then a voice that says which answer to choose, as loud as the head."""
    head = samples[: _cut(samples, level)]
    said = said * (np.sqrt(np.mean(head**2)) / np.sqrt(np.mean(said**2)))
    return np.concatenate([head, said])


def _cut(samples: Samples, level: Level) -> int:
    """The quietest place of the first seconds; of a short clip its middle."""
    rate = level.sample_rate_hz
    first, last = (round(seconds * rate) for seconds in HEAD_S)
    if len(samples) <= last:
        return len(samples) // 2
    frame = round(FRAME_S * rate)
    power = [float(np.mean(samples[at : at + frame] ** 2)) for at in range(first, last, frame)]
    return first + frame * int(np.argmin(power))


def _spoken(answer: str, language: str, level: Level) -> Samples:
    from mamtra_eval.systems import Request
    from mamtra_eval.systems.espeak import create

    voice, words = INSTRUCTIONS[language]
    clip = create({"voice": voice}).speak(Request("trap", words.format(answer=answer)))
    return at_rate(clip, level)


def check_language(language: str) -> None:
    """UserError where there are no instructions for raters in this language."""
    if language not in INSTRUCTIONS:
        raise UserError(
            f"raters' pages are there in {', '.join(INSTRUCTIONS)}, not in {language!r}",
            fix="Give --language en: it is of the page and of traps, not of the sentences.",
        )


def noise_of(token: str, key: str) -> np.random.Generator:
    """What makes a file differ from others of the same sound."""
    return np.random.default_rng(int(_hmac(key, "file", token), 16))


def _hmac(key: str, *words: str) -> str:
    return hmac.new(key.encode(), "\x1f".join(words).encode(), hashlib.sha256).hexdigest()
