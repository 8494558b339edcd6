"""A language that a small decoder learns in seconds, and a teacher that has learned it.

Each text token is spoken as three speech tokens: two that it alone decides, and one that also
depends on the text token before it. One time in ten the third is random, so that there is
something uncertain to imitate.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mamtra_eval.distill import config as configuration
from mamtra_eval.distill import train

WORDS, CODES = 12, 60
FEW = 80
"""Examples of a student, of the teacher's 800: a student has less data, as in the paper."""

SHAPE = {
    "layers": 4, "hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "mlp": 128,
    "speech_codes": CODES, "text_vocabulary": WORDS, "transformer": [0, 1, 2, 3], "chunk": 16,
}  # fmt: skip


class Toy:
    """Examples and runs in one folder."""

    ALONE: ClassVar[dict[str, Any]] = {
        "teacher": None,
        "loss": {"kl": 0.0, "hidden": 0.0},
        "student": {"start": "random", "ratio": "1:0", "shape": SHAPE},
    }

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.teacher = folder / "teacher"
        write_examples(folder / "train.jsonl", 800, seed=1)
        few = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()[:FEW]
        (folder / "few.jsonl").write_text("\n".join(few) + "\n", encoding="utf-8")
        write_examples(folder / "held_out.jsonl", 100, seed=2)

    def values(
        self, out: str, steps: int, train: str = "train.jsonl", **changes: Any
    ) -> dict[str, Any]:
        """A configuration's plain values; ``changes`` replace whole sections."""
        return {
            "out": str(self.folder / out),
            "teacher": str(self.teacher),
            "data": {
                "train": str(self.folder / train),
                "held_out": str(self.folder / "held_out.jsonl"),
                "batch_tokens": 600,
            },
            "optimizer": {"steps": steps, "lr": 3e-3},
            "threads": 1,
            **changes,
        }

    def train(self, out: str, steps: int, **changes: Any) -> Path:
        """Train to the end; returns the checkpoint."""
        return train.distill(configuration.build(self.values(out, steps, **changes)))


def write_examples(path: Path, n: int, seed: int) -> None:
    """``n`` texts with their speech, as ``models.sequences.read_examples`` reads them."""
    rng = random.Random(seed)
    lines = []
    for _ in range(n):
        text = [rng.randrange(WORDS) for _ in range(rng.randint(3, 8))]
        speech: list[int] = []
        for before, word in zip([0, *text], text, strict=False):
            last = (5 * word + 7 * before) % CODES
            last = rng.randrange(CODES) if rng.random() < 0.1 else last
            speech += [word, WORDS + (3 * word) % 30, last]
        lines.append(json.dumps({"text": text, "speech": speech}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The folder with its teacher, trained once."""
    made = Toy(tmp_path_factory.mktemp("toy"))
    made.train("teacher", 600, **Toy.ALONE)
    return made
