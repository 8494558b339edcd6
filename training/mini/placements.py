"""The placements at 1:1, trained alike, beside the paper's Figure 4.

    python training/mini/placements.py CONTROLS RUN

CONTROLS is a folder of ``family.py`` with ``1-1`` (BlockBeg) and the other placements, RUN a run
folder in which systems of these names spoke. Prints a Markdown table of held-out cross-entropy and
word error rate, ours and the paper's, and the rank correlation (Spearman) of each with ours. A
placement that was not trained is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from _spoken import by_utterance

from mamtra_eval.models import checkpoint

PAPER = {
    "BlockBeg": (3.86, 3.99),
    "WER": (3.92, 10.94),
    "Cosine": (3.95, 13.12),
    "Sandwich": (3.97, 31.11),
    "Front": (4.05, 34.70),
    "Back": (4.20, 114.65),
    "Middle": (4.30, 118.54),
    "BlockEnd": (4.60, 133.27),
}
"""Cross-entropy and WER in per cent at 1:1, read off the vectors of Figure 4 (arXiv 2603.12342)."""


def folder_of(placement: str) -> str:
    """The student's name in ``family.py``."""
    return "1-1" if placement == "BlockBeg" else f"1-1-{placement.lower()}"


def rank_correlation(left: list[float], right: list[float]) -> float:
    """Spearman's, for values without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (left, right)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("controls", type=Path)
    parser.add_argument("run", type=Path)
    given = parser.parse_args()
    spoken = {name: 100 * float(v.mean()) for name, v in by_utterance(given.run, "wer").items()}
    rows = []
    for placement, (paper_ce, paper_wer) in PAPER.items():
        folder = given.controls / folder_of(placement)
        if checkpoint.exists(folder) and folder.name in spoken:
            card = checkpoint.read_card(folder)
            ce = card["training"]["held_out"]["ce"]
            rows.append((placement, card["layout"], ce, spoken[folder.name], paper_ce, paper_wer))
    rows.sort(key=lambda row: row[2])
    print("| placement | Transformer layers | CE | WER | CE, paper | WER, paper |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, layers, ce, wer, paper_ce, paper_wer in rows:
        shown = ", ".join(map(str, layers))
        print(f"| {name} | {shown} | {ce:.2f} | {wer:.1f} % | {paper_ce} | {paper_wer:.1f} % |")
    ours_ce, ours_wer, theirs_ce, theirs_wer = ([row[i] for row in rows] for i in (2, 3, 4, 5))
    print(f"\nRank correlation with the paper over {len(rows)} placements: cross-entropy "
          f"{rank_correlation(ours_ce, theirs_ce):+.2f}, WER "
          f"{rank_correlation(ours_wer, theirs_wer):+.2f}; of our two "
          f"{rank_correlation(ours_ce, ours_wer):+.2f}.")  # fmt: skip


if __name__ == "__main__":
    main()
