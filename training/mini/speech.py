"""Training speech: flite says the sentences, in four voices, with the times of its phones.

    python training/mini/speech.py SENTENCES.txt OUT [--copies 1] [--processes 2]

Sentence i is spoken by voice i, i + 1, … modulo four (``copies`` of them). OUT gets shards
``00000.npz`` of 500 utterances each: ``mel`` float16 (frames, 80) of all utterances one after
another, ``lengths`` their frames, ``voices`` their indices, and ``rows`` as JSON: text, and phones
as ``[symbol, end in seconds]``. A shard that exists is left as it is.

Needs Debian's flite. Its output carries no licence beyond flite's own (BSD-style).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from mamtra_eval import audio
from mamtra_eval.codecs.mini_mel import SAMPLE_RATE_HZ, log_mel

VOICES = ("awb", "rms", "kal16", "slt")
SHARD = 500

Row = tuple[str, int]


def speak(text: str, voice: str, folder: Path) -> tuple[audio.Samples, list[list[object]]]:
    """Samples at 16 kHz and the phones with their ends in seconds."""
    path = folder / "said.wav"
    said = subprocess.run(
        ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    clip = audio.read(path)
    samples = audio.resample(clip.samples, clip.sample_rate_hz, SAMPLE_RATE_HZ)
    pairs = (item.rsplit(":", 1) for item in said.stdout.split())
    return samples, [[phone, float(end)] for phone, end in pairs]


def write(job: tuple[int, list[Row]], out: Path) -> int:
    """One shard."""
    number, rows = job
    target = out / f"{number:05d}.npz"
    if target.exists():
        return number
    mels, kept = [], []
    with tempfile.TemporaryDirectory() as folder:
        for text, voice in rows:
            samples, phones = speak(text, VOICES[voice], Path(folder))
            mels.append(log_mel(samples).numpy().astype(np.float16))
            kept.append({"text": text, "phones": phones})
    partial_file = target.with_suffix(".part")
    with partial_file.open("wb") as file:
        np.savez(
            file, mel=np.concatenate(mels), lengths=np.array([len(mel) for mel in mels]),
            voices=np.array([voice for _, voice in rows]), rows=json.dumps(kept),
        )  # fmt: skip
    partial_file.replace(target)
    return number


def main() -> None:
    """Write all shards that are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sentences", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--copies", type=int, default=1, help="voices a sentence (1)")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    texts = given.sentences.read_text("utf-8").splitlines()
    rows = [
        (text, (index + copy) % len(VOICES))
        for copy in range(given.copies)
        for index, text in enumerate(texts)
    ]
    jobs = [(i // SHARD, rows[i : i + SHARD]) for i in range(0, len(rows), SHARD)]
    with multiprocessing.Pool(given.processes) as pool:
        for number in pool.imap(partial(write, out=given.out), jobs):
            print(f"shard {number + 1} of {len(jobs)}", flush=True)


if __name__ == "__main__":
    main()
