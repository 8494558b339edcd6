"""Clips made alike in everything that is not under test: level, rate, silence at the ends.

Loudness is integrated loudness by ITU-R BS.1770 (pyloudnorm). All clips go to one target; where one
would go over the ceiling, the target of all is lowered, so that none is limited alone. Silence at
the ends is cut to what lies below a threshold under the clip's own peak level and replaced by
the same pauses for all: raters would else tell systems by their pauses. A long pause inside stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import soxr

from mamtra_eval import audio
from mamtra_eval.errors import MeasurementError
from mamtra_eval.listening.building.signals import Samples

METER_HZ = 48000
SHORTEST_S = 0.4
"""Gating block of BS.1770: nothing shorter has a loudness."""
FRAME_S = 0.01
FADE_S = 0.005


@dataclass(frozen=True)
class Level:
    """What all clips of a bundle are brought to.

    Attributes:
        sample_rate_hz: of every file.
        target_lufs: integrated loudness; ``None`` leaves levels as they are.
        ceiling_dbfs: of sample peaks.
        threshold_dbfs: silence at the ends is what lies this far below the loudest frame (a
            negative number); ``None`` leaves the ends as they are.
        lead_s, tail_s: pauses that are put in its place.
    """

    sample_rate_hz: int = 48000
    target_lufs: float | None = -23.0
    ceiling_dbfs: float = -1.0
    threshold_dbfs: float | None = -50.0
    lead_s: float = 0.1
    tail_s: float = 0.2


def library() -> str:
    """Name and version of what measures loudness."""
    return f"pyloudnorm {version('pyloudnorm')}"


def at_rate(clip: audio.Clip, level: Level) -> Samples:
    """A clip's samples at the bundle's rate, its ends equalised: (n,), float64.

    Raises:
        MeasurementError: where it is not finite, silent or too short.
    """
    if not np.isfinite(clip.samples).all():
        raise MeasurementError("samples that are not finite (NaN, infinity)")
    samples = audio.resample(clip.samples, clip.sample_rate_hz, level.sample_rate_hz)
    found = np.asarray(samples, dtype=np.float64)
    if not found.any():
        raise MeasurementError("digital silence")
    return found if level.threshold_dbfs is None else equalised(found, level)


def equalised(samples: Samples, level: Level) -> Samples:
    """Silence at both ends replaced by the level's pauses; (n,) to (m,)."""
    frame = max(1, round(FRAME_S * level.sample_rate_hz))
    whole = -(-len(samples) // frame)
    padded = np.zeros(whole * frame)
    padded[: len(samples)] = samples
    power = np.mean(padded.reshape(whole, frame) ** 2, axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** ((level.threshold_dbfs or 0.0) / 10))
    inner = samples[loud[0] * frame : (loud[-1] + 1) * frame].copy()
    fade = min(len(inner) // 2, round(FADE_S * level.sample_rate_hz))
    if fade:
        ramp = np.arange(fade) / fade
        inner[:fade] *= ramp
        inner[-fade:] *= ramp[::-1]
    pauses = [np.zeros(round(s * level.sample_rate_hz)) for s in (level.lead_s, level.tail_s)]
    return np.concatenate([pauses[0], inner, pauses[1]])


def lufs(samples: Samples, sample_rate_hz: int) -> float:
    """Integrated loudness of (n,) or (n, channels).

    Raises:
        MeasurementError: for less than 0.4 s, or where everything lies under the gate.
    """
    import pyloudnorm

    # The standard's filters are given at 48 kHz; a meter at another rate only approximates them.
    if sample_rate_hz != METER_HZ and len(samples):
        samples = soxr.resample(samples, sample_rate_hz, METER_HZ, quality="HQ")
        sample_rate_hz = METER_HZ
    if len(samples) < SHORTEST_S * sample_rate_hz:
        seconds = len(samples) / sample_rate_hz
        raise MeasurementError(f"{seconds:.2f} s: loudness is defined from {SHORTEST_S} s on")
    found = float(pyloudnorm.Meter(sample_rate_hz).integrated_loudness(samples))
    if not math.isfinite(found):
        raise MeasurementError("too quiet to have a loudness")
    return found


def peak_dbfs(samples: Samples) -> float:
    """Sample peak; digital silence has -inf."""
    peak = float(np.abs(samples).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def common_target(measured: Iterable[tuple[float, float]], level: Level) -> float | None:
    """The loudness of all clips: what is asked, or as much less as the peakiest clip needs.

    Args:
        measured: loudness and peak of each clip, in LUFS and dBFS.
        level: what is asked.
    """
    asked = level.target_lufs
    if asked is None:
        return None
    return min(
        (min(asked, level.ceiling_dbfs - peak + loudness) for loudness, peak in measured),
        default=asked,
    )


def apply_gain(samples: Samples, gain_db: float) -> Samples:
    """Samples louder by ``gain_db``."""
    return np.asarray(samples * 10 ** (gain_db / 20))


def encode(samples: Samples, level: Level, container: str, rng: np.random.Generator) -> bytes:
    """A file of 16 bits with triangular dither of one step; MeasurementError over full scale.

    Args:
        samples: (n,) or (n, channels).
        level: of the bundle.
        container: ``wav`` or ``flac``.
        rng: of the dither.
    """
    if np.abs(samples).max(initial=0.0) > 1.0:
        raise MeasurementError("a sample is over full scale")
    dither = rng.random(samples.shape) - rng.random(samples.shape)
    scaled = np.clip(np.round(samples * 32768 + dither), -32768, 32767).astype(np.int16)
    return audio.encode(scaled, level.sample_rate_hz, container, "PCM_16")
