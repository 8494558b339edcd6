"""Distillation on a toy language: every ratio and its controls at equal budget, side by side.

    python benchmarks/distillation.py [--out OUT] [--seeds N] [--steps N]

The language: each text token is spoken as three speech tokens; the third also depends on the text
token before it and is random one time in ten. A 24-layer teacher of width 64 learns it from 2,000
examples; students see 100 of those, for the same number of steps each. What is compared is the
held-out cross-entropy in nats a token (the language's own entropy is about 0.24): it shows that the
machinery works and what distillation adds, nothing about speech.

OUT keeps everything: examples, ``teacher/``, a YAML file and a checkpoint for every student. Any of
them is continued or repeated with ``mamtra-eval distill OUT/NAME.yaml``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from pathlib import Path
from typing import Any

import yaml

from mamtra_eval import provenance
from mamtra_eval.distill import config as configuration
from mamtra_eval.distill import train
from mamtra_eval.distill.evaluate import evaluate
from mamtra_eval.distill.linearize import linearize
from mamtra_eval.models import checkpoint
from mamtra_eval.models.sequences import read_examples

WORDS, CODES, NOISE = 12, 60, 0.1
N_TEACHER, N_STUDENT, N_HELD_OUT = 2000, 100, 200
SHAPE = {
    "layers": 24, "hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "mlp": 128,
    "speech_codes": CODES, "text_vocabulary": WORDS, "transformer": list(range(24)), "chunk": 16,
}  # fmt: skip
ALONE = {"kl": 0.0, "hidden": 0.0}
STUDENTS: dict[str, dict[str, Any]] = {
    "1:1": {"student": {"ratio": "1:1"}},
    "1:3": {"student": {"ratio": "1:3"}},
    "1:5": {"student": {"ratio": "1:5"}},
    "1:11": {"student": {"ratio": "1:11"}},
    "1:1 BlockEnd": {"student": {"ratio": "1:1", "placement": "BlockEnd"}},
    "1:1 Front": {"student": {"ratio": "1:1", "placement": "Front"}},
    "1:1, cross-entropy alone": {"student": {"ratio": "1:1"}, "loss": ALONE},
    "1:1, random start": {"student": {"ratio": "1:1", "start": "random"}},
    "1:1, random start, cross-entropy alone": {
        "student": {"ratio": "1:1", "start": "random"},
        "loss": ALONE,
    },
}
"""What is trained, by name: sections of the configuration that differ from the defaults."""


def write_examples(path: Path, n: int, seed: int) -> list[str]:
    """``n`` examples of the language as JSON lines."""
    rng = random.Random(seed)
    lines = []
    for _ in range(n):
        text = [rng.randrange(WORDS) for _ in range(rng.randint(3, 8))]
        speech: list[int] = []
        for before, word in zip([0, *text], text, strict=False):
            last = (5 * word + 7 * before) % CODES
            last = rng.randrange(CODES) if rng.random() < NOISE else last
            speech += [word, WORDS + (3 * word) % 30, last]
        lines.append(json.dumps({"text": text, "speech": speech}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines


def train_one(folder: Path, name: str, steps: int, seed: int, changes: dict[str, Any]) -> float:
    """Train (or find trained) one network; its held-out cross-entropy."""
    is_teacher = changes.get("teacher", True) is None
    values = {
        "out": str(folder / name),
        "teacher": str(folder / "teacher"),
        "data": {
            "train": str(folder / ("teacher.jsonl" if is_teacher else "student.jsonl")),
            "held_out": str(folder / "held_out.jsonl"),
            "batch_tokens": 800,
        },
        "optimizer": {"steps": steps, "lr": 2e-3},
        "seed": seed,
        **changes,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    out = train.distill(configuration.load(folder / f"{name}.yaml"))
    return float(checkpoint.read_card(out)["training"]["held_out"]["ce"])


def prepare(folder: Path, steps: int) -> float:
    """Examples and teacher; the teacher's held-out cross-entropy."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = write_examples(folder / "teacher.jsonl", N_TEACHER, seed=1)
    (folder / "student.jsonl").write_text("\n".join(lines[:N_STUDENT]) + "\n", encoding="utf-8")
    write_examples(folder / "held_out.jsonl", N_HELD_OUT, seed=2)
    changes = {
        "teacher": None,
        "loss": ALONE,
        "student": {"start": "random", "ratio": "1:0", "shape": SHAPE},
    }
    return train_one(folder, "teacher", steps, 0, changes)


def untrained(folder: Path) -> float:
    """Held-out cross-entropy of the 1:1 hybrid that only has the teacher's weights."""
    teacher = checkpoint.load(folder / "teacher")
    examples = read_examples(folder / "held_out.jsonl", teacher.config)
    return evaluate(linearize(teacher, tuple(range(0, 24, 2))), None, examples, 4000).ce


def main() -> None:
    """Print one line per student."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=Path("reports/.distillation"),
        help="folder for everything that is made (reports/.distillation)",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each student (1)")
    parser.add_argument("--steps", type=int, default=120, help="steps of a student (120)")
    parser.add_argument("--teacher-steps", type=int, default=500, help="of the teacher (500)")
    options = parser.parse_args()
    machine = provenance.collect()
    print(f"{machine['processor']}, {machine['cores']} cores, torch {machine['packages']['torch']}")
    start = time.monotonic()
    print(f"{'teacher':<40} {prepare(options.out, options.teacher_steps):6.3f}", flush=True)
    print(f"{'1:1, linearized, not trained':<40} {untrained(options.out):6.3f}", flush=True)
    for number, (name, changes) in enumerate(STUDENTS.items()):
        found = [
            train_one(options.out, f"student-{number}-{seed}", options.steps, seed, changes)
            for seed in range(options.seeds)
        ]
        spread = f"({min(found):.3f} to {max(found):.3f})" if len(found) > 1 else ""
        print(f"{name:<40} {statistics.mean(found):6.3f} {spread}", flush=True)
    print(
        f"{time.monotonic() - start:.0f} s in all; {options.steps} steps and {N_STUDENT} examples"
    )


if __name__ == "__main__":
    main()
