"""Readings of the same clips by the same signature, taken twice: did the evaluator change.

Counts that are whole numbers both times (errors, words) and texts (a transcript) must be the same.
Other numbers may differ by ``TOLERANCE``: single precision sums in another order, as other
processors and other numbers of threads do, move a score by some 1e-5 of itself and half precision
by some 1e-3; the smallest difference that a leaderboard judges by default is ten times that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mamtra_eval.metrics import Reading

META = "golden"
"""What a run keeps: ``checks``, one a start, and ``notes``."""
TOLERANCE = 1e-3
"""Largest change of a number that is none: of its size, or of 0.01 where it is smaller."""
_LEAST = 0.01


@dataclass(frozen=True)
class Change:
    """One thing that a metric says otherwise of one clip."""

    metric: str
    clip: str
    what: str
    before: object
    now: object

    def told(self, when: str, where: str) -> str:
        """A note: what changed against which earlier reading."""
        return (
            f"Drift: {self.metric} of golden clip {self.clip} has {self.what} {self.now!r}; it was "
            f"{self.before!r} under the same signature ({when}, {where}). Figures from before and "
            "after it may not be comparable."
        )


def plain(reading: Reading | str) -> dict[str, Any]:
    """What is kept of a reading: its counts and its texts; of a failure the error."""
    if isinstance(reading, str):
        return {"error": reading}
    texts = {key: value for key, value in reading.evidence.items() if isinstance(value, str)}
    return {"counts": dict(reading.counts), "texts": texts}


def changes(
    metric: str, before: Mapping[str, dict[str, Any]], now: Mapping[str, dict[str, Any]]
) -> list[Change]:
    """What differs between readings by clip (as of ``plain``); failures are no readings."""
    found: list[Change] = []
    for clip in before.keys() & now.keys():
        old, new = before[clip], now[clip]
        if "error" in old or "error" in new:
            continue
        for part in ("counts", "texts"):
            for name in sorted({*old[part], *new[part]}):
                pair = (old[part].get(name), new[part].get(name))
                if not _same(*pair):
                    found.append(Change(metric, clip, name, *pair))
    return sorted(found, key=lambda one: (one.clip, one.what))


def _same(before: object, now: object) -> bool:
    if not isinstance(before, int | float) or not isinstance(now, int | float):
        return before == now
    if float(before).is_integer() and float(now).is_integer():
        return before == now
    return math.isclose(before, now, rel_tol=TOLERANCE, abs_tol=TOLERANCE * _LEAST)


def notes(kept: Mapping[str, Any]) -> tuple[str, ...]:
    """The notes of what a run keeps under ``META``."""
    return tuple(kept.get("notes", ()))
