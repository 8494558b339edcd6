"""Mean speaker embeddings of the training voices, by which a prompt chooses one.

    python training/mini/voices.py SENTENCES.txt OUT.json [--clips 24]

OUT is a list in the order of the voices' indices: ``{"name", "embedding"}``, length 1 each. Needs
Debian's flite and the GE2E weights that the package carries.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from speech import VOICES, speak

from mamtra_eval import registry


def main() -> None:
    """Write the embeddings and print how unlike the voices are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sentences", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=24, help="clips a voice (24)")
    given = parser.parse_args()
    texts = given.sentences.read_text("utf-8").splitlines()[: given.clips]
    encoder = registry.create("speakers", "ge2e", {})
    means = []
    with tempfile.TemporaryDirectory() as folder:
        for voice in VOICES:
            clips = [encoder.embed(speak(text, voice, Path(folder))[0]) for text in texts]
            mean = np.mean(clips, axis=0)
            means.append(mean / np.linalg.norm(mean))
    rows = [
        {"name": name, "embedding": [round(float(x), 5) for x in mean]}
        for name, mean in zip(VOICES, means, strict=True)
    ]
    given.out.write_text(json.dumps(rows) + "\n", "utf-8")
    print(np.round(np.array(means) @ np.array(means).T, 3))


if __name__ == "__main__":
    main()
