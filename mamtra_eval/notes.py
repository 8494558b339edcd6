"""Notes of a run: what a reader must know beside its figures."""

from __future__ import annotations

from typing import Protocol

from mamtra_eval import agreement
from mamtra_eval.reader import RunReader
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.targets import is_floor


class Measured(Protocol):
    """A figure with how many clips it rests on (``results.Value``)."""

    @property
    def estimate(self) -> Estimate | None:
        """Its value."""

    @property
    def n(self) -> int:
        """Clips that entered."""


def collect(store: RunReader, floor_value: Measured | None) -> list[str]:
    """Those of planning; what follows from the rows; how batches and strict scoring agree."""
    found = store.notes()
    recipe = store.meta("recipe")
    if recipe and all(row.name != "wer" for row in store.metrics()):
        found.append(f"Recipe {recipe}: its figure, a word error rate, was not measured.")
    if floor_value and floor_value.estimate:
        found.append(
            f"The recogniser's own floor: a WER of {100 * floor_value.estimate.value:.1f} % (mean "
            f"of {floor_value.n} clips) on {floor(store)}, the test set's own recordings."
        )
    if agreed := store.meta("agreement", {}):
        found.append(agreement.note(agreed))
    return found


def floor(store: RunReader) -> str | None:
    """The system that is the test set's own recordings, if one is."""
    found = [row.name for row in store.systems() if is_floor(row.kind, row.target)]
    return found[0] if found else None
