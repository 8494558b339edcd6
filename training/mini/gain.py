"""What distillation gains at each ratio: students beside twins that learned from data alone.

    python training/mini/gain.py CONTROLS RUN

CONTROLS is a folder of ``family.py`` with students such as ``1-3`` and their twins
``1-3-undistilled``, RUN a run folder in which both spoke (with metrics wer and similarity). Prints
a Markdown table: what the twin loses against the student, word error rates and similarities paired
over utterances with 95 % intervals. A pair that is not complete is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from _spoken import by_utterance, estimate, shown

from mamtra_eval.models import checkpoint

RATIOS = ("1:1", "1:3", "1:5", "1:11")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("controls", type=Path)
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    errors, likeness = (by_utterance(given.run, figure) for figure in ("wer", "similarity"))
    print("| ratio | cross-entropy | undistilled | KL | undistilled | WER | undistilled "
          "| gain in WER | gain in similarity |")  # fmt: skip
    print("| --- |" + " ---: |" * 8)
    for ratio in RATIOS:
        student = ratio.replace(":", "-")
        twin = f"{student}-undistilled"
        if not {student, twin} <= errors.keys():
            continue
        held_out = [
            checkpoint.read_card(given.controls / name)["training"]["held_out"]
            for name in (student, twin)
        ]
        losses = [f"{held[loss]:.3f}" for loss in ("ce", "kl") for held in held_out]
        spoken = [shown(estimate(errors[name])) for name in (student, twin)]
        gains = [
            shown(estimate(errors[twin] - errors[student]), sign=True),
            shown(estimate(likeness[student] - likeness[twin]), sign=True, percent=False),
        ]
        print("| " + " | ".join([ratio, *losses, *spoken, *gains]) + " |")


if __name__ == "__main__":
    main()
