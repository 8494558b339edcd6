"""From magnitudes to samples: the fast Griffin-Lim algorithm.

Perraudin, Balazs and Søndergaard (2013): phases that belong to a real signal are approached by
turns of inverse and forward transforms, with a momentum. Nothing is random: phases begin at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOMENTUM = 0.99


def griffin_lim(magnitude: Tensor, n_fft: int, hop: int, iterations: int = 32) -> Tensor:
    """Samples (hop · (frames - 1),) of a magnitude spectrogram (n_fft // 2 + 1, frames).

    Frames are centred on multiples of ``hop`` and have a Hann window of ``n_fft`` samples.
    """
    window = torch.hann_window(n_fft, device=magnitude.device)
    angles = torch.ones_like(magnitude, dtype=torch.complex64)
    before = torch.zeros_like(angles)
    for _ in range(iterations):
        samples = torch.istft(magnitude * angles, n_fft, hop, window=window)
        rebuilt = torch.stft(
            samples, n_fft, hop, window=window, pad_mode="constant", return_complex=True
        )
        moved = rebuilt - before * (MOMENTUM / (1 + MOMENTUM))
        angles = moved / moved.abs().clamp_min(1e-12)
        before = rebuilt
    return torch.istft(magnitude * angles, n_fft, hop, window=window)
