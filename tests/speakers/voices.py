"""A sound like a voice, for tests of speaker encoders."""

from __future__ import annotations

import numpy as np

from mamtra_eval import audio


def voice(seconds: float, seed: int = 0) -> audio.Samples:
    """Noise with a melody and an envelope, at about -20 dBFS."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(16000 * seconds)) / 16000
    tone = np.sin(2 * np.pi * (120 + 40 * seed) * t + 2 * np.sin(9 * t))
    samples = (tone + 0.5 * rng.standard_normal(len(t))) * (1.1 + np.sin(20 * t + seed)) * 0.07
    return samples.astype(np.float32)
