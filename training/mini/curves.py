"""The curves of a family's training: one picture and the logs it is drawn from.

    python training/mini/curves.py TEACHER STUDENTS CONTROLS OUT

TEACHER and the folders in STUDENTS and CONTROLS are runs of ``mamtra-eval distill``; their
``log.jsonl`` are read. OUT gets ``curves.svg`` and ``logs/NAME.jsonl`` (``control-NAME.jsonl``).
Needs matplotlib (dependency group ``training``).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
from family import STUDENTS

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
    """Copy and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("students", type=Path)
    parser.add_argument("controls", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    controls = runs(given.controls)
    placed = [run for run in controls if "placement" in student_of(run)]
    plain = [run for run in controls if run.name == "1-1"]
    panels = {
        "Teacher": {"teacher": given.teacher},
        "Students": {run.name: run for run in runs(given.students)},
        "Controls: losses": {f"control-{run.name}": run for run in controls if run not in placed},
        "Controls: placements at 1:1": {f"control-{run.name}": run for run in plain + placed},
    }
    keep({name: run for panel in panels.values() for name, run in panel.items()}, given.out)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(9, 7), constrained_layout=True)
        for place, (title, panel) in zip(axes.flat, panels.items(), strict=True):
            for name, run in panel.items():
                draw(place, name.removeprefix("control-"), run)
            place.set(title=title, xlabel="step", ylabel="cross-entropy, nats a token")
            place.set_ylim(top=min(place.get_ylim()[1], 7))
            place.spines[["top", "right"]].set_visible(False)
            place.legend(fontsize=6, ncols=1 + len(panel) // 8)
        figure.savefig(given.out / "curves.svg", transparent=True, metadata={"Date": None})


def student_of(run: Path) -> dict[str, Any]:
    """What makes the student of a control different."""
    found: dict[str, Any] = STUDENTS[run.name].get("student", {})
    return found


def runs(folder: Path) -> list[Path]:
    """The runs in a folder."""
    return sorted(path.parent for path in folder.glob("*/log.jsonl"))


def keep(logs: dict[str, Path], out: Path) -> None:
    """Copy the logs."""
    (out / "logs").mkdir(parents=True, exist_ok=True)
    for name, run in logs.items():
        shutil.copy(run / "log.jsonl", out / "logs" / f"{name}.jsonl")


if __name__ == "__main__":
    main()
