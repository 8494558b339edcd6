"""Speech-like signals that any machine makes alike: formants, pauses, hiss.

``RandomState`` is used because its stream is frozen by numpy, and signals are rounded to 16 bits,
so that the golden values in ``tests/conformance`` belong to exactly these samples.
"""

import numpy as np

RATE_HZ = 16000
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
BANDWIDTHS_HZ = (80.0, 110.0, 160.0)


def speak(seed, seconds, pitch_hz=120.0, tract=1.0, pause_every=5):
    """Syllables of a pulse train through three resonances, with hiss between and pauses.

    ``tract`` scales the formants as the length of a vocal tract does.
    """
    random = np.random.RandomState(seed)
    parts = [np.zeros(RATE_HZ // 10)]
    count = 0
    while sum(map(len, parts)) < seconds * RATE_HZ:
        count += 1
        parts.append(_syllable(random, pitch_hz, tract))
        if random.rand() < 0.4:
            parts.append(random.randn(800) * 0.02 * np.hanning(800))
        if count % pause_every == 0:
            parts.append(np.zeros(int(RATE_HZ * (0.15 + 0.5 * random.rand()))))
    samples = np.concatenate(parts)[: int(seconds * RATE_HZ)]
    return to_16_bits(samples * 0.5 / np.abs(samples).max())


def make(seed, seconds, pitch_hz, tract=1.0, scale=None, snr_db=None):
    """A signal by its recipe in ``tests/conformance``."""
    samples = speak(seed, seconds, pitch_hz, tract)
    if scale is not None:
        samples = to_16_bits(samples * scale)
    return samples if snr_db is None else add_noise(samples, snr_db)


def add_noise(samples, snr_db, seed=0):
    """White noise at this ratio to the whole signal's power."""
    noise = np.random.RandomState(seed).randn(len(samples))
    gain = np.sqrt(np.mean(np.square(samples, dtype=np.float64))) * 10 ** (-snr_db / 20)
    return to_16_bits(samples + noise * gain)


def to_16_bits(samples):
    return (np.clip(np.round(samples * 32768), -32768, 32767) / 32768).astype(np.float32)


def _syllable(random, pitch_hz, tract):
    n = int(RATE_HZ * (0.12 + 0.14 * random.rand()))
    glide = pitch_hz * (1.15 - 0.3 * random.rand() * np.arange(n) / n)
    phase = np.cumsum(glide) / RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    formants = VOWELS_HZ[random.randint(len(VOWELS_HZ))]
    voice = pulses + 0.003 * random.randn(n)
    for formant_hz, bandwidth_hz in zip(formants, BANDWIDTHS_HZ, strict=True):
        voice = np.convolve(voice, _resonance(formant_hz * tract, bandwidth_hz))[:n]
    return voice * np.hanning(n) ** 0.5


def _resonance(formant_hz, bandwidth_hz):
    t = np.arange(400) / RATE_HZ
    ringing = np.exp(-np.pi * bandwidth_hz * t) * np.sin(2 * np.pi * formant_hz * t)
    return ringing / np.abs(np.fft.rfft(ringing)).max() + 0.15 * (t == 0)
