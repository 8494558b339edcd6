"""Spectral features in numpy: power spectrogram, mel filter bank, decibels.

They follow the conventions that ``librosa.feature.melspectrogram`` has by default, because the
networks that read them were trained on its output: periodic Hann window, frames centred on their
sample with zeros beyond both ends, power 2, Slaney's mel scale with filters of equal area.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mamtra_eval.audio import Samples

Floats = npt.NDArray[np.float32]

# Slaney's scale: linear below 1 kHz, above it 27 steps for every factor of 6.4.
_LINEAR_HZ_PER_MEL = 200.0 / 3.0
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_MEL_PER_LOG = 27.0 / np.log(6.4)


def mel_spectrogram(
    samples: Samples, *, sample_rate_hz: int, n_fft: int, hop: int, n_mels: int
) -> Floats:
    """Mel power (not logarithmic) of shape (frames, n_mels), from 0 Hz to half the rate."""
    filters = mel_filters(sample_rate_hz, n_fft, n_mels)
    return power_spectrogram(samples, n_fft, hop) @ filters.T


def power_spectrogram(samples: Samples, n_fft: int, hop: int) -> Floats:
    """Squared magnitudes of shape (frames, n_fft // 2 + 1); frame t is centred on t * hop."""
    padded = np.pad(samples, n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    spectrum = np.fft.rfft(frames * _periodic_hann(n_fft), axis=1)
    power: Floats = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    return power


@lru_cache(maxsize=8)
def mel_filters(sample_rate_hz: int, n_fft: int, n_mels: int) -> Floats:
    """Triangular filters of equal area, (n_mels, n_fft // 2 + 1); do not write to them."""
    top_mel = _hz_to_mel(sample_rate_hz / 2)
    edges_hz = np.array([_mel_to_hz(mel) for mel in np.linspace(0.0, top_mel, n_mels + 2)])
    bins_hz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate_hz)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: Floats = (triangles * 2.0 / (high - low)).astype(np.float32)
    filters.setflags(write=False)
    return filters


def decibels(power: Floats, *, top_db: float = 80.0, floor: float = 1e-10) -> Floats:
    """Power in dB below its own maximum, cut off at ``-top_db``."""
    level = 10.0 * np.log10(np.maximum(power, floor))
    relative: Floats = np.maximum(level - level.max(), -top_db).astype(np.float32)
    return relative


@lru_cache(maxsize=8)
def _periodic_hann(length: int) -> Floats:
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
    return window.astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) * _MEL_PER_LOG)


def _mel_to_hz(mel: float) -> float:
    if mel < _BREAK_MEL:
        return mel * _LINEAR_HZ_PER_MEL
    return float(_BREAK_HZ * np.exp((mel - _BREAK_MEL) / _MEL_PER_LOG))
