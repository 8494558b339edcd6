"""Degraded and synthetic signals: anchors, gold clips, the headphone check. Arrays in and out.

low-pass   Butterworth of order 10, -3 dB at its cut-off: the anchors of BS.1534 have 3.5 and 7 kHz
mnru       modulated noise reference unit (ITU-T P.810): noise that follows the speech, Q dB below
Huggins    a pitch that only two ears hear: noise whose phase is turned by half a cycle in a narrow
           band on one side (Cramer & Huggins 1958); loudspeakers lose it (Milne et al. 2021)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt

Samples = npt.NDArray[np.float64]

ORDER = 10
HUGGINS_HZ = 600.0
HUGGINS_WIDTH = 0.06
"""Half width of the turned band, as a share of its centre (Milne et al. 2021)."""
HUGGINS_S = 1.0
HUGGINS_GAP_S = 0.5
HUGGINS_LEVEL = 0.05
"""Root mean square of full scale: near the loudness of the clips."""


def low_pass(samples: Samples, sample_rate_hz: int, cutoff_hz: float) -> Samples:
    """(n,) to (n,); as it is where the rate holds nothing above the cut-off."""
    if cutoff_hz >= sample_rate_hz / 2:
        return samples
    sections = butter(ORDER, cutoff_hz, fs=sample_rate_hz, output="sos")
    return np.asarray(sosfilt(sections, samples), dtype=np.float64)


def mnru(samples: Samples, q_db: float, rng: np.random.Generator) -> Samples:
    """(n,) to (n,); noise that follows the speech sample by sample, ``q_db`` below it."""
    noise = rng.standard_normal(len(samples))
    return np.asarray(samples * (1.0 + 10.0 ** (-q_db / 20.0) * noise))


def huggins(sample_rate_hz: int, right: int, choices: int, rng: np.random.Generator) -> Samples:
    """Intervals of noise, one of which has a pitch for two ears.

    Args:
        sample_rate_hz: of the result.
        right: the interval with the pitch, from 1.
        choices: number of intervals.
        rng: of the noise.

    Returns:
        (n, 2), left and right, root mean square ``HUGGINS_LEVEL`` in each interval.
    """
    gap = np.zeros((round(HUGGINS_GAP_S * sample_rate_hz), 2))
    parts: list[Samples] = []
    for interval in range(1, choices + 1):
        parts += [gap] if parts else []
        parts.append(_interval(sample_rate_hz, interval == right, rng))
    return np.concatenate(parts)


def _interval(sample_rate_hz: int, pitched: bool, rng: np.random.Generator) -> Samples:
    n = round(HUGGINS_S * sample_rate_hz)
    noise = rng.standard_normal(n)
    other = noise
    if pitched:
        spectrum = np.fft.rfft(noise)
        away = np.abs(np.fft.rfftfreq(n, 1 / sample_rate_hz) - HUGGINS_HZ)
        spectrum[away <= HUGGINS_WIDTH * HUGGINS_HZ] *= -1.0
        other = np.fft.irfft(spectrum, n)
    both = np.stack([noise, other], axis=1)
    both *= HUGGINS_LEVEL / np.sqrt(np.mean(both**2))
    ramp = np.minimum(1.0, np.arange(n) / (0.02 * sample_rate_hz))
    return np.asarray(both * (ramp * ramp[::-1])[:, None])
