"""The benchmark's toy language, and a small teacher that has learned it.

Each text token is spoken as three speech tokens: two that it alone decides, and one that also
depends on the text token before it. One time in ten the third is random, so that there is
something uncertain to imitate.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from mamtra_eval.distill import config as configuration
from mamtra_eval.distill import train


def _benchmark() -> ModuleType:
    """``benchmarks/distillation.py``, which defines the language."""
    path = Path(__file__).parents[2] / "benchmarks" / "distillation.py"
    spec = importlib.util.spec_from_file_location("distillation_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LANGUAGE = _benchmark()
FEW = 80
"""Examples of a student, of the teacher's 800: a student has less data, as in the paper."""

SHAPE = {
    "layers": 4, "hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "mlp": 128,
    "speech_codes": LANGUAGE.CODES, "text_vocabulary": LANGUAGE.WORDS,
    "transformer": [0, 1, 2, 3], "chunk": 16,
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
        LANGUAGE.write_examples(folder / "train.jsonl", 800, seed=1)
        few = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()[:FEW]
        (folder / "few.jsonl").write_text("\n".join(few) + "\n", encoding="utf-8")
        LANGUAGE.write_examples(folder / "held_out.jsonl", 100, seed=2)

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


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """The folder with its teacher, trained once."""
    made = Toy(tmp_path_factory.mktemp("toy"))
    made.train("teacher", 600, **Toy.ALONE)
    return made
