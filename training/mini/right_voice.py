"""How often a clip's voice is nearest to the voice of its own prompt.

    python training/mini/right_voice.py RUN [--systems NAME...]

RUN is a run folder on a list of ``mini-en``, whose utterances are called ``VOICE-…``. Each clip is
compared with all prompts of the list (GE2E embeddings, cosine); it counts where the most similar
one is of the voice that it was asked for. Prints a line a system: how many of how many, the share
with its 95 % Wilson interval, and the voices that were taken for another.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from pathlib import Path

import numpy as np

from mamtra_eval import audio, registry
from mamtra_eval.errors import MeasurementError
from mamtra_eval.reader import RunReader
from mamtra_eval.speakers import Embedding, SpeakerEncoder

RATE_HZ = 16_000


def voice_of(utterance: str) -> str:
    """The voice in an utterance's name."""
    return utterance.rpartition("-")[0]


def embed(encoder: SpeakerEncoder, path: Path) -> Embedding:
    """Of a file."""
    clip = audio.read(path)
    return encoder.embed(audio.resample(clip.samples, clip.sample_rate_hz, RATE_HZ))


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of a share (Wilson, 1927)."""
    centre = hits + z * z / 2
    reach = z * math.sqrt(hits * (n - hits) / n + z * z / 4)
    return (centre - reach) / (n + z * z), (centre + reach) / (n + z * z)


def main() -> None:
    """Print a line a system."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--systems", nargs="*", metavar="NAME", help="(all)")
    given = parser.parse_args()
    encoder: SpeakerEncoder = registry.create("speakers", "ge2e", {})
    with RunReader(given.run) as run:
        asked = {u.prompt_audio: voice_of(u.id) for u in run.utterances() if u.prompt_audio}
        clips = run.clips()
    prompts = np.array([embed(encoder, path) for path in asked])
    voices = [*asked.values()]
    tallies: dict[str, Counter[tuple[str, str]]] = {}
    for clip in clips:
        name = clip.key.system
        if clip.path is None or (given.systems and name not in given.systems):
            continue
        wanted = voice_of(clip.key.utterance)
        try:
            found = voices[int(np.argmax(prompts @ embed(encoder, given.run / clip.path)))]
        except MeasurementError:
            found = "no voice"
        tallies.setdefault(name, Counter())[wanted, found] += 1
    for name, tally in tallies.items():
        n, hits = tally.total(), sum(k for (a, b), k in tally.items() if a == b)
        low, high = wilson(hits, n)
        missed = ", ".join(f"{a} as {b}: {k}" for (a, b), k in tally.most_common() if a != b)
        print(
            f"{name}: {hits} of {n}, {hits / n:.1%} [{low:.1%}, {high:.1%}]  {missed}", flush=True
        )


if __name__ == "__main__":
    main()
