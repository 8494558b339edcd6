"""Students of the mini family, and controls at an equal budget, one after another.

    python training/mini/family.py TEACHER DATA OUT [NAME...] [--seed S] [--set KEY=VALUE]...

TEACHER is a checkpoint, DATA a folder of ``sequences.py``. OUT gets a folder for each NAME (all of
them without one): the four published ratios with and without distillation, and at 1:1 all other
placements of the paper's Figure 4, each loss left out, and a random start. What is finished is left
as it is, what was killed goes on. Everything else is in ``student.yaml``; ``--set`` changes it for
all that are named, such as ``--set optimizer.steps=100`` or, on a processor without bfloat16
products, ``--set precision=fp32``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mamtra_eval import structured
from mamtra_eval.distill import config as configuration
from mamtra_eval.distill import train
from mamtra_eval.models import checkpoint

BASE = Path(__file__).with_name("student.yaml")
RANKINGS = Path(__file__).parents[2] / "reports" / "mini-training" / "rankings"
"""Of the teacher's layers, by ``mamtra-eval rank-layers``."""


def _placed(placement: str, ranking: str | None = None) -> dict[str, Any]:
    """A 1:1 student whose Transformer layers stand elsewhere."""
    file = str(RANKINGS / f"{ranking}.json") if ranking else None
    return {"student": {"ratio": "1:1", "placement": placement, "ranking": file}}


def _undistilled(ratio: str) -> dict[str, Any]:
    """A student that learns from data alone: what distillation gains is measured against it."""
    return {"student": {"ratio": ratio}, "loss": {"kl": 0.0, "hidden": 0.0}}


STUDENTS: dict[str, dict[str, Any]] = {
    "1-1": {"student": {"ratio": "1:1"}},
    "1-3": {"student": {"ratio": "1:3"}},
    "1-5": {"student": {"ratio": "1:5"}},
    "1-11": {"student": {"ratio": "1:11"}},
    "1-1-blockend": _placed("BlockEnd"),
    "1-1-front": _placed("Front"),
    "1-1-back": _placed("Back"),
    "1-1-middle": _placed("Middle"),
    "1-1-sandwich": _placed("Sandwich"),
    "1-1-wer": _placed("WER", "damage"),
    "1-1-cosine": _placed("Cosine", "cosine"),
    "1-1-undistilled": _undistilled("1:1"),
    "1-3-undistilled": _undistilled("1:3"),
    "1-5-undistilled": _undistilled("1:5"),
    "1-11-undistilled": _undistilled("1:11"),
    "1-1-without-ce": {"loss": {"ce": 0.0}},
    "1-1-without-kl": {"loss": {"kl": 0.0}},
    "1-1-without-hidden": {"loss": {"hidden": 0.0}},
    "1-1-random": {"student": {"ratio": "1:1", "start": "random"}},
}


def configure(name: str, given: argparse.Namespace) -> configuration.DistillConfig:
    """The run of one student."""
    base = structured.read_yaml(BASE, "teacher")
    data = {
        "train": str(given.data / "train.jsonl"),
        "held_out": str(given.data / "held_out.jsonl"),
    }
    values = {
        **base,
        **STUDENTS[name],
        "teacher": str(given.teacher),
        "out": str(given.out / name),
        "data": data,
        "seed": given.seed,
    }
    return configuration.build(values, given.set)


def main() -> None:
    """Train all that were named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STUDENTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    if unknown := set(given.names) - set(STUDENTS):
        parser.error(f"no student {', '.join(sorted(unknown))}; there are {', '.join(STUDENTS)}")
    for name in given.names or STUDENTS:
        folder = train.distill(configure(name, given))
        held_out = checkpoint.read_card(folder)["training"]["held_out"]
        print(name, {key: round(value, 4) for key, value in held_out.items()}, flush=True)


if __name__ == "__main__":
    main()
