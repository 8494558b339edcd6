"""Fingerprints of recordings that survive re-encoding, resampling, gain and cut edges.

After Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002: frames of
0.37 s every 11.6 ms; in 33 bands spaced evenly in log frequency from 300 to 2000 Hz, whether the
difference of neighbouring bands' energies grew since the last frame: 32 bits a frame. Two
recordings are compared at all alignments by the share of bits that differ (0 for the same, about
0.5 for others). Frames of silence say nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mamtra_eval import audio

RATE_HZ = 8000
FRAME = 2960
HOP = 93
BANDS = 33
LOW_HZ, HIGH_HZ = 300.0, 2000.0
SILENT = 1e-5
"""Energy of a frame, relative to the loudest, below which it is silence (-50 dB)."""
LEAST_FRAMES = 64
"""Frames that must overlap, with half of the shorter recording: 0.75 s."""
_FFT = 4096


@dataclass(frozen=True)
class Fingerprint:
    """Bits ``(frames,)`` packed into 32-bit words, and which frames ``(frames,)`` are heard."""

    words: NDArray[np.uint32]
    heard: NDArray[np.bool_]


@dataclass(frozen=True)
class Match:
    """The best alignment: bit error rate, the second's start in the first (frames), overlap."""

    error_rate: float
    offset: int
    frames: int


def of(samples: NDArray[np.float32], sample_rate_hz: int) -> Fingerprint:
    """The fingerprint of mono samples ``(n,)``; without frames if they are too short."""
    heard = samples
    if sample_rate_hz != RATE_HZ:
        heard = audio.resample(samples, sample_rate_hz, RATE_HZ)
    if len(heard) < FRAME + HOP:
        return Fingerprint(np.zeros(0, np.uint32), np.zeros(0, np.bool_))
    frames = np.lib.stride_tricks.sliding_window_view(heard, FRAME)[::HOP]
    window = np.hanning(FRAME).astype(np.float32)
    edges = np.geomspace(LOW_HZ, HIGH_HZ, BANDS + 1) * _FFT / RATE_HZ
    bins = np.round(edges).astype(int)
    energies = []
    for start in range(0, len(frames), 512):  # bounded memory
        power = np.abs(np.fft.rfft(frames[start : start + 512] * window, _FFT)) ** 2
        energies.append(np.add.reduceat(power[:, : bins[-1]], bins[:-1], axis=1))
    energy = np.concatenate(energies)
    slope = energy[:, :-1] - energy[:, 1:]
    bits = (slope[1:] - slope[:-1]) > 0
    words = np.packbits(bits, axis=1).view(np.uint32)[:, 0]
    total = energy.sum(axis=1)
    loud = total > SILENT * max(float(total.max()), 1e-12)
    return Fingerprint(words, loud[1:] & loud[:-1])


def compare(
    first: Fingerprint, second: Fingerprint, offsets: Iterable[int] | None = None
) -> Match | None:
    """The best of all alignments, or of some; ``None`` if none has enough heard frames."""
    a, b = len(first.words), len(second.words)
    least = max(LEAST_FRAMES, min(a, b) // 2)
    tried = range(least - b, a - least + 1) if offsets is None else offsets
    best: Match | None = None
    for offset in tried:
        low, high = max(0, offset), min(a, offset + b)
        if high - low < least:
            continue
        other = slice(low - offset, high - offset)
        heard = first.heard[low:high] & second.heard[other]
        n = int(heard.sum())
        if n < least:
            continue
        errors = int(np.bitwise_count(first.words[low:high] ^ second.words[other])[heard].sum())
        rate = errors / (32 * n)
        if best is None or (rate, -n) < (best.error_rate, -best.frames):
            best = Match(rate, offset, n)
    return best
