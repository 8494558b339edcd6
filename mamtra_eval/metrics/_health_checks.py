"""What ``health`` looks at in a clip: level, clipping, silences, a tail that repeats, the text.

Every function takes samples and numbers and returns numbers; what counts as a fault is decided in
``health``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mamtra_eval import features
from mamtra_eval.audio import Samples

FLOOR_DBFS = -120.0  # stands for digital silence, which has no logarithm
FULL_SCALE = 0.9999  # 32767/32768 and above; a 16-bit sample next to it is below
FRAME_S = 0.01
RATE_HZ = 16000

_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3040-\u30ff]")
_LETTERS_PER_UNIT = 12
_SHORTEST_SPAN_S = 0.8
_UNLIKE = 0.6

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Silences:
    """Stretches below the level of speech, in seconds."""

    head_s: float
    tail_s: float
    longest_s: float


def dbfs(amplitude: float) -> float:
    """Amplitude in dB below full scale, not below ``FLOOR_DBFS``."""
    return max(FLOOR_DBFS, float(20 * np.log10(amplitude))) if amplitude > 0 else FLOOR_DBFS


def rms(samples: Samples) -> float:
    """Root mean square of the samples about their mean: a constant offset is not sound."""
    return float(np.std(samples, dtype=np.float64))


def clipping(samples: Samples) -> tuple[float, int]:
    """Share of samples at full scale, and the longest run of samples at the clip's own maximum.

    The run finds a clip that was cut off and turned down later. In very quiet clips runs come from
    the 16-bit steps, so it is not looked for (0) below 5 % of full scale.
    """
    size = np.abs(samples)
    share = float(np.mean(size >= FULL_SCALE))
    peak = float(size.max())
    if peak < 0.05:
        return share, 0
    return share, longest_run(size >= peak * FULL_SCALE)


def longest_run(mask: Mask) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def active_frames(samples: Samples, rate_hz: int, floor_dbfs: float, range_db: float) -> Mask:
    """Which frames of 10 ms hold sound: above the floor and within ``range_db`` of the loudest."""
    size = max(1, round(FRAME_S * rate_hz))
    n = -(-len(samples) // size)
    frames = np.pad(samples.astype(np.float64), (0, n * size - len(samples))).reshape(n, size)
    level = np.sqrt(np.mean(np.square(frames - samples.mean(dtype=np.float64)), axis=1))
    threshold = max(10 ** (floor_dbfs / 20), float(level.max()) * 10 ** (-range_db / 20))
    return np.asarray(level > threshold)


def silences(active: Mask) -> Silences:
    """Silence before, after and anywhere (before and after included)."""
    where = np.flatnonzero(active)
    if len(where) == 0:
        whole = len(active) * FRAME_S
        return Silences(whole, whole, whole)
    tail = len(active) - 1 - int(where[-1])
    return Silences(int(where[0]) * FRAME_S, tail * FRAME_S, longest_run(~active) * FRAME_S)


def count_units(text: str) -> int:
    """How much a text gives to say: words, or characters of Chinese and Japanese.

    Digits count one each, long words and addresses one per 12 letters begun.
    """
    units = len(_CJK.findall(text))
    for word in _CJK.sub(" ", text).split():
        digits = sum(character.isdigit() for character in word)
        letters = sum(character.isalpha() for character in word)
        units += digits + -(-letters // _LETTERS_PER_UNIT)
    return units


def text_repeats_at_end(text: str) -> bool:
    """Whether the text itself ends on a repetition ("zero zero", "bye bye bye", 哈哈)."""
    spaced = _CJK.sub(lambda match: f" {match.group()} ", text.lower())
    tokens = [token for token in re.split(r"[\W_]+", re.sub(r"(\d)", r" \1 ", spaced)) if token]
    return any(
        tokens[-size:] == tokens[-2 * size : -size] for size in range(1, len(tokens) // 2 + 1)
    )


def tail_repetition(
    samples_16k: Samples, shortest_s: float, longest_s: float
) -> tuple[float, float]:
    """How much the end of the sound repeats, and with which period in seconds.

    The spectrum's course over the last two periods (at least 0.8 s) is correlated with that one
    period earlier: 1 is an exact loop of three or more rounds. A held sound resembles itself at
    every lag, so a period counts only if somewhere on the way to it the resemblance is small.
    """
    mel = features.mel_spectrogram(
        samples_16k, sample_rate_hz=RATE_HZ, n_fft=512, hop=160, n_mels=40
    )
    level = features.decibels(mel, top_db=60.0).astype(np.float64)
    level -= level.mean(axis=0)
    best = (0.0, 0.0)
    for lag in range(round(shortest_s / FRAME_S), round(longest_s / FRAME_S) + 1):
        span = max(2 * lag, round(_SHORTEST_SPAN_S / FRAME_S))
        if span + lag > len(level):
            break
        score = _resemblance(level, lag, span)
        if score > best[0] and _dip(level, lag, span) < _UNLIKE:
            best = (score, lag * FRAME_S)
    return best


def _dip(level: npt.NDArray[np.float64], lag: int, span: int) -> float:
    """The least resemblance at a part of the lag."""
    return min(_resemblance(level, max(1, lag * part // 10), span) for part in (3, 4, 5, 6, 7))


def _resemblance(level: npt.NDArray[np.float64], lag: int, span: int) -> float:
    """Correlation of the last ``span`` frames with those ``lag`` frames earlier."""
    late, early = level[-span:], level[-span - lag : -lag]
    norm = np.sqrt(np.sum(late**2) * np.sum(early**2))
    return float(np.sum(late * early) / norm) if norm > 0 else 0.0
