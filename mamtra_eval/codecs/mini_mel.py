"""What the mini codec hears: 80 log-mel magnitudes, 100 frames a second, of speech at 16 kHz."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mamtra_eval import features
from mamtra_eval.audio import Samples
from mamtra_eval.codecs.griffin_lim import griffin_lim

SAMPLE_RATE_HZ = 16_000
N_FFT = 640
HOP = 160
N_MELS = 80
FLOOR = 1e-5
"""Least magnitude; quieter is as good as silent."""


def log_mel(samples: Samples) -> Tensor:
    """Natural logarithm of mel magnitudes, float32 (frames, 80), of samples at 16 kHz."""
    power = features.mel_spectrogram(
        samples, sample_rate_hz=SAMPLE_RATE_HZ, n_fft=N_FFT, hop=HOP, n_mels=N_MELS
    )
    return torch.from_numpy(0.5 * np.log(np.maximum(power, FLOOR**2)))


def invert(mel: Tensor, iterations: int = 32) -> Tensor:
    """Samples of log-mel (frames, 80): the least-squares spectrum, then Griffin-Lim."""
    filters = torch.from_numpy(np.array(features.mel_filters(SAMPLE_RATE_HZ, N_FFT, N_MELS)))
    power = torch.linalg.pinv(filters) @ (2 * mel.T).exp()
    return griffin_lim(power.clamp_min(0).sqrt(), N_FFT, HOP, iterations)
