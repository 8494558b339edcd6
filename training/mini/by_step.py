"""Word error rate by training step: a table, and a picture of it.

    python training/mini/by_step.py RUN PICTURE.svg

RUN is a run folder whose systems are called ``NAME-at-STEP``: snapshots that ``distill`` keeps with
``snapshot_every``, evaluated as checkpoint folders. Other systems of it are left out. Needs
matplotlib (dependency group ``training``).
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from _spoken import by_utterance, estimate, shown

from mamtra_eval.statistics.bootstrap import Estimate

NAME = re.compile(r"(?P<name>.+)-at-(?P<step>\d+)")


def curves(run: Path) -> dict[str, dict[int, Estimate]]:
    """By name and step, in the order of steps."""
    found: dict[str, dict[int, Estimate]] = {}
    for system, values in by_utterance(run, "wer").items():
        if parts := NAME.fullmatch(system):
            found.setdefault(parts["name"], {})[int(parts["step"])] = estimate(values)
    return {name: dict(sorted(steps.items())) for name, steps in found.items()}


def draw(found: dict[str, dict[int, Estimate]], path: Path) -> None:
    """Lines with their intervals as bands."""
    from curves import STYLE, plt  # the table needs no matplotlib

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6, 3.6), constrained_layout=True)
        for name, steps in found.items():
            value, low, high = ([100 * (x or 0.0) for x in side]
                                for side in zip(*steps.values(), strict=True))  # fmt: skip
            [line] = axes.plot([*steps], value, "o-", ms=3, lw=1, label=name)
            axes.fill_between([*steps], low, high, color=line.get_color(), alpha=0.12, lw=0)
        axes.set(xlabel="step", ylabel="word error rate, %")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=7)
        figure.savefig(path, transparent=True, metadata={"Date": None})


def main() -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    found = curves(given.run)
    if not found:
        parser.error(f"no system of {given.run} is called NAME-at-STEP")
    steps = sorted({step for column in found.values() for step in column})
    print("| step | " + " | ".join(found) + " |")
    print("| ---: |" + " ---: |" * len(found))
    for step in steps:
        cells = [shown(column[step]) if step in column else "" for column in found.values()]
        print(f"| {step} | " + " | ".join(cells) + " |")
    draw(found, given.picture)


if __name__ == "__main__":
    main()
