"""Bit error rates of fingerprints: of recordings with unrelated ones, and with altered copies.

Usage: python benchmarks/fingerprints.py [RECORDINGS]   (of mini-en; 48)

Prints, over all alignments: quantiles for unrelated pairs with the share below the threshold, the
largest for each kind of copy; then lines and clips compared a second.
"""

from __future__ import annotations

import io
import sys
import time
from itertools import combinations

import numpy as np
import soundfile

from mamtra_eval import audio, catalogue
from mamtra_eval.contamination import fingerprint
from mamtra_eval.contamination.sounds import THRESHOLD, SoundIndex
from mamtra_eval.contamination.texts import TextIndex


def copies(samples: np.ndarray, rate: int) -> dict[str, tuple[np.ndarray, int]]:
    """The recording altered."""
    found = {
        "gain -20 dB": (0.1 * samples, rate),
        "8 bit": (np.round(samples * 127) / 127, rate),
        "resampled to 11025": (audio.resample(samples, rate, 11025), 11025),
        "cut 0.3 s and 0.2 s": (samples[int(0.3 * rate) : -int(0.2 * rate)], rate),
    }
    encoded = io.BytesIO()
    soundfile.write(encoded, samples, rate, format="OGG", subtype="VORBIS")
    encoded.seek(0)
    decoded, rate = soundfile.read(encoded, dtype="float32")
    found["ogg"] = (decoded, rate)
    return {name: (one.astype(np.float32), hz) for name, (one, hz) in found.items()}


def main(n: int) -> None:
    """Measure and print."""
    testset = catalogue.load("mini-en").first(n)
    paths = [item.ground_truth for item in testset.utterances if item.ground_truth]
    clips = [audio.read(path) for path in paths]
    prints = [fingerprint.of(clip.samples, clip.sample_rate_hz) for clip in clips]
    pairs = [fingerprint.compare(a, b) for a, b in combinations(prints, 2)]
    rates = np.array([one.error_rate for one in pairs if one])
    shown = " ".join(f"{q:g}: {np.quantile(rates, q):.3f}" for q in (0, 0.01, 0.1, 0.5))
    print(f"unrelated pairs {len(rates)}: {shown}; below {THRESHOLD}: {(rates < THRESHOLD).sum()}")
    worst: dict[str, list[float]] = {}
    for clip, own in zip(clips, prints, strict=True):
        for name, (samples, hz) in copies(clip.samples, clip.sample_rate_hz).items():
            match = fingerprint.compare(own, fingerprint.of(samples, hz))
            worst.setdefault(name, []).append(match.error_rate if match else 1.0)
    for name, errors in worst.items():
        print(f"{name}: median {np.median(errors):.3f}, largest {max(errors):.3f}")
    index = SoundIndex({path.name: path for path in paths})
    started = time.perf_counter()
    found = [one.key for path in paths for one in index.show(path, "")]
    print(f"{len(paths) / (time.perf_counter() - started):.0f} clips/s, {len(found)} found")
    texts = TextIndex(((item.id, item.text) for item in testset.utterances), 8)
    lines = [f"line {i} of a training text that is like {testset.utterances[i % n].text}"
             for i in range(100_000)]  # fmt: skip
    started = time.perf_counter()
    for line in lines:
        texts.show(line, "")
    print(f"{len(lines) / (time.perf_counter() - started):.0f} lines/s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 48)
