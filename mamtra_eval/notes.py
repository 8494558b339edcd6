"""Notes of a run: what a reader must know beside its figures."""

from __future__ import annotations

from typing import Protocol

from mamtra_eval import agreement
from mamtra_eval.rundata import RunData
from mamtra_eval.statistics.bootstrap import Estimate


class Measured(Protocol):
    """A figure with how many clips it rests on (``results.Value``)."""

    @property
    def estimate(self) -> Estimate | None:
        """Its value."""

    @property
    def n(self) -> int:
        """Clips that entered."""


def collect(data: RunData, floor_value: Measured | None) -> list[str]:
    """Those of planning; what follows from the rows; how batches and strict scoring agree."""
    found = list(data.notes)
    if data.recipe and all(row.name != "wer" for row in data.metrics):
        found.append(f"Recipe {data.recipe}: its figure, a word error rate, was not measured.")
    if floor_value and floor_value.estimate:
        found.append(
            f"The recogniser's own floor: a WER of {100 * floor_value.estimate.value:.1f} % (mean "
            f"of {floor_value.n} clips) on {data.floor}, the test set's own recordings."
        )
    if data.part:
        found.append(
            f"This is shard {data.part} of a plan, {len(data.clips):,} of its clips: no figure "
            "here is of the whole test set. mamtra-eval merge joins the shards."
        )
    if data.distributed:
        found.append(
            f"Real-time factors are not shown: the clips were made {_where(data.distributed)}, on "
            "machines that may differ. mamtra-eval profile measures speed, on one of them alone."
        )
    if data.agreement:
        found.append(agreement.note(data.agreement))
    return found


def _where(distributed: str) -> str:
    """Where clips were made that were not made on one machine."""
    known = {"ray": "on a Ray cluster", "slurm": "by jobs of a Slurm cluster"}
    return known.get(distributed, "in shards")
