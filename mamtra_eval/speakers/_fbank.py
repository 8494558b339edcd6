"""Kaldi's log-mel filter bank in NumPy, with the settings that 3D-Speaker's encoders hear.

Frames of 25 ms every 10 ms, only whole ones (``snip_edges``). From every frame its mean is taken,
then 0.97 of the sample before from each sample. A Povey window and 512 points of Fourier transform
follow, and 80 triangles that overlap by half, evenly spaced on Kaldi's mel scale from 20 Hz to
8 kHz. The energies in them are cut off below at float32's epsilon. No dither, no energy term.

3D-Speaker computes this by ``torchaudio.compliance.kaldi.fbank`` with that function's defaults, on
samples of full scale ±1 (Kaldi's own are ±32768), in float32. Here it is float64 up to the result.

Letters: N samples, T frames.
Sources: kaldi-asr.org, ``feat/feature-fbank``; github.com/modelscope/3D-Speaker,
``speakerlab/process/processor.py``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mamtra_eval.audio import Samples
from mamtra_eval.features import Floats

RATE_HZ = 16000
FRAME = 400
HOP = 160
BANDS = 80

N_FFT = 512
PRE_EMPHASIS = 0.97
LOWEST_HZ = 20.0
POVEY_POWER = 0.85
FLOOR = float(np.finfo(np.float32).eps)
"""Least energy of a band; a frame of zeros has it in all bands."""

Doubles = npt.NDArray[np.float64]


def log_mel(samples_16k: Samples) -> Floats:
    """Natural logarithm of the energy in every band, (N,) to (T, 80); ValueError below 25 ms."""
    return _log_mel(samples_16k).astype(np.float32)


def centred_log_mel(samples_16k: Samples) -> Floats:
    """The same less each band's mean over the clip; a gain drops out while nothing is floored."""
    bands = _log_mel(samples_16k)
    with np.errstate(invalid="ignore"):  # what isn't finite stays so, for the caller to find
        centred: Floats = (bands - bands.mean(axis=0)).astype(np.float32)
    return centred


def _log_mel(samples: Samples) -> Doubles:
    if len(samples) < FRAME:
        raise ValueError(f"{len(samples)} samples are less than a frame of {FRAME}")
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP].astype(np.float64)
    with np.errstate(invalid="ignore"):
        frames -= frames.mean(axis=1, keepdims=True)
        frames[:, 1:] -= PRE_EMPHASIS * frames[:, :-1]  # the window leaves nothing of the first
        spectrum = np.fft.rfft(frames * _povey_window(), N_FFT, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        return np.log(np.maximum(power @ _triangles().T, FLOOR))


@lru_cache(maxsize=1)
def _povey_window() -> Doubles:
    """A symmetric Hann window to the power of 0.85, (FRAME,)."""
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FRAME) / (FRAME - 1))
    window: Doubles = hann**POVEY_POWER
    window.setflags(write=False)
    return window


@lru_cache(maxsize=1)
def _triangles() -> Doubles:
    """Weights of the bins in every band, straight in mel, (BANDS, N_FFT // 2 + 1)."""
    edges = np.linspace(_mel(np.array(LOWEST_HZ)), _mel(np.array(RATE_HZ / 2)), BANDS + 2)
    bins = _mel(np.linspace(0.0, RATE_HZ / 2, N_FFT // 2 + 1))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    triangles: Doubles = np.maximum(0.0, np.minimum(rising, falling))
    triangles.setflags(write=False)
    return triangles


def _mel(hz: Doubles) -> Doubles:
    """Kaldi's mel scale."""
    mel: Doubles = 1127.0 * np.log1p(hz / 700.0)
    return mel
