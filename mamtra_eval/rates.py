"""Other ways from one sample rate to another, as published protocols have them.

``soxr``  band-limited, high quality: what this package does unless told otherwise (``audio``)
``fft``   the whole clip's spectrum, cut or filled up (Seed-TTS-eval before its recogniser):
          ``scipy.signal.resample`` to ``int(n * to_hz / from_hz)`` samples
``sinc``  a sinc of 6 zero crossings to either side in a Hann window, its edge at 0.99 of the lower
          Nyquist frequency (Seed-TTS-eval before its speaker model): torchaudio's default

They differ by little, and by enough to flip a word or a third decimal now and then: so each is
named in the signature of what was measured with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import soxr

from mamtra_eval import audio
from mamtra_eval.audio import Samples
from mamtra_eval.errors import unknown_name

ZERO_CROSSINGS = 6
ROLLOFF = 0.99


def fft(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample by the spectrum of the whole clip; (n,) in, (int(n * to_hz / from_hz),) out."""
    n, m = len(samples), int(len(samples) * to_hz / from_hz)
    if from_hz == to_hz or m == 0:
        return samples[:m]
    spectrum = np.fft.rfft(samples.astype(np.float64))
    kept = min(n, m)
    resized = np.zeros(m // 2 + 1, dtype=np.complex128)
    resized[: kept // 2 + 1] = spectrum[: kept // 2 + 1]
    if kept % 2 == 0:  # at the lower Nyquist frequency one bin stands for two, or two for one
        resized[kept // 2] *= 2.0 if m < n else 0.5 if m > n else 1.0
    return (np.fft.irfft(resized, m) * (m / n)).astype(np.float32)


def sinc(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Resample by a windowed sinc; (n,) in, (ceil(n * to_hz / from_hz),) out."""
    if from_hz == to_hz or len(samples) == 0:
        return samples
    common = math.gcd(from_hz, to_hz)
    step, phases = from_hz // common, to_hz // common
    kernels, reach = _kernels(step, phases)
    padded = np.pad(samples, (reach, reach + step))
    frames = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[1])[::step]
    wanted = math.ceil(len(samples) * phases / step)
    return np.ascontiguousarray((frames @ kernels.T).reshape(-1)[:wanted])


METHODS: dict[str, Callable[[Samples, int, int], Samples]] = {
    "soxr": audio.resample,
    "fft": fft,
    "sinc": sinc,
}


def resample(samples: Samples, from_hz: int, to_hz: int, method: str) -> Samples:
    """Resample by the method of a name; UserError for a name that is none."""
    check(method)
    return METHODS[method](samples, from_hz, to_hz)


def check(method: str) -> None:
    """UserError if there is no such method."""
    if method not in METHODS:
        raise unknown_name("way to resample", method, METHODS)


def signature(method: str) -> str:
    """A method with all that it depends on."""
    named = {
        "soxr": f"soxr-HQ-{soxr.__version__}",
        "sinc": f"sinc-hann-{ZERO_CROSSINGS}-{ROLLOFF}",
    }
    return named.get(method, method)


@lru_cache(maxsize=16)
def _kernels(step: int, phases: int) -> tuple[npt.NDArray[np.float32], int]:
    """Filters of every output phase, (phases, 2 * reach + step), and the samples they look back.

    Output p of a frame lies at p / phases of ``step`` input samples, so its filter is the windowed
    sinc around that instant. ``edge`` is the cut-off as zero crossings a frame.
    """
    edge = min(step, phases) * ROLLOFF
    reach = math.ceil(ZERO_CROSSINGS * step / edge)
    inputs = np.arange(-reach, reach + step) / step
    # Rounded as torchaudio rounds them: it moves samples by 1e-4 at odd ratios such as 441 to 160.
    outputs = np.arange(phases, dtype=np.float32) / np.float32(phases)
    crossings = np.clip(
        (inputs[None, :] - outputs[:, None]) * edge, -ZERO_CROSSINGS, ZERO_CROSSINGS
    )
    window = np.cos(crossings * np.pi / (2 * ZERO_CROSSINGS)) ** 2
    kernels = (np.sinc(crossings) * window * edge / step).astype(np.float32)
    kernels.setflags(write=False)
    return kernels, reach
