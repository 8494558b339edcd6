"""The curves of a family's training: one picture and the logs it is drawn from.

    python training/mini/curves.py TEACHER FAMILY OUT

TEACHER and the folders in FAMILY are runs of ``mamtra-eval distill``; their ``log.jsonl`` are read.
OUT gets ``curves.svg`` and ``logs/NAME.jsonl``. Needs matplotlib (dependency group ``training``).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

GREY = "#808080"
"""Readable on white and on black: the picture has no background."""
STYLE = {
    "svg.hashsalt": "mini", "font.size": 9, "text.color": GREY, "axes.edgecolor": GREY,
    "axes.labelcolor": GREY, "xtick.color": GREY, "ytick.color": GREY, "legend.frameon": False,
}  # fmt: skip


def rows(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]


def draw(axes: Axes, name: str, run: Path) -> None:
    """Training loss as a line, held-out loss as marks on it."""
    log = rows(run)
    trained = [(row["step"], row["ce"]) for row in log if "ce" in row]
    [line] = axes.plot(*zip(*trained, strict=True), lw=1, alpha=0.9, label=name)
    held = [(row["step"], row["held_out"]["ce"]) for row in log if "held_out" in row]
    if held:
        axes.plot(*zip(*held, strict=True), "o", ms=4, color=line.get_color())


def main() -> None:
    """Draw and copy."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("family", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    students = sorted(path.parent for path in given.family.glob("*/log.jsonl"))
    logs = given.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for run, name in [(given.teacher, "teacher"), *((run, run.name) for run in students)]:
        shutil.copy(run / "log.jsonl", logs / f"{name}.jsonl")
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), constrained_layout=True)
        draw(left, "teacher", given.teacher)
        for run in students:
            draw(right, run.name, run)
        for axes, title in ((left, "Teacher"), (right, "Students and controls")):
            axes.set(title=title, xlabel="step", ylabel="cross-entropy, nats a token")
            axes.set_ylim(top=min(axes.get_ylim()[1], 6))
            axes.spines[["top", "right"]].set_visible(False)
        right.legend(fontsize=7)
        figure.savefig(given.out / "curves.svg", transparent=True, metadata={"Date": None})


if __name__ == "__main__":
    main()
