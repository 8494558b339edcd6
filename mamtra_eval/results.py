"""From rows to figures: every number of a report, with its interval, coverage and signature.

The unit is the utterance: repeats are averaged (means) or summed (pooled rates) first. A figure
rests on the clips that have a reading; how many of how many stands beside it. A clip that is
planned but not yet made or measured is pending, which is not failed. Differences to the baseline
are paired over the utterances that both systems have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval import figures, notes
from mamtra_eval.errors import UserError
from mamtra_eval.figures import FigureKey, Readings, Value
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.reader import RunReader
from mamtra_eval.rows import ClipRow, MetricRow, SystemRow
from mamtra_eval.testset import Utterance

NAMES = {"percentile": "percentile", "bca": "BCa"}
"""Methods of intervals, as people call them."""


@dataclass(frozen=True)
class Cost:
    """What a system's clips took, as the run's workers saw it.

    Attributes:
        rtf: seconds of making by seconds of speech, all clips together.
        tokens_per_s: speech tokens by seconds of making, where the system counts them.
        cache_bytes: mean over the clips, where the system counts them.
        cut: clips that were ended at their longest length, where the system tells.
    """

    rtf: float | None
    tokens_per_s: float | None
    cache_bytes: float | None
    cut: int | None


@dataclass(frozen=True)
class SystemResult:
    """A system with its figures by name.

    Attributes:
        n_done: clips with every reading.
        n_failed: clips that failed, or lack a reading because taking it failed.
    """

    row: SystemRow
    is_baseline: bool
    n_done: int
    n_failed: int
    values: dict[str, Value]
    cost: Cost


@dataclass(frozen=True)
class Results:
    """A whole run, ready to be shown."""

    folder: Path
    testset: dict[str, Any]
    utterances: dict[str, Utterance]
    metrics: tuple[MetricRow, ...]
    systems: tuple[SystemResult, ...]
    clips: tuple[ClipRow, ...]
    readings: Readings
    level: float
    statistics: dict[str, Any]
    """``level``, ``resamples`` and ``seed`` of all intervals."""
    interval: str
    """How the intervals were made."""
    created: str
    """When the run was finished, or else last started: UTC, ISO 8601."""
    version: str
    """The program's version at the last start of the run."""
    notes: tuple[str, ...]
    recipe: str | None = None
    """The published protocol that the run follows."""
    margins_late: bool = False
    """Whether margins were declared when there were readings already."""
    floor: str | None = None
    """The system that is the test set's own recordings, if one is."""
    agreement: dict[str, Any] = field(default_factory=dict)
    """By metric, how fast and strict scoring agree (``mamtra_eval.agreement``)."""

    @property
    def planned(self) -> int:
        """Clips that a system has when it is complete."""
        return int(self.testset["n"] * self.testset["repeats"])

    @property
    def figures(self) -> list[tuple[MetricRow, Figure]]:
        """Every figure with its metric, in the order of reports."""
        return [(metric, figure) for metric in self.metrics for figure in metric.figures]

    @property
    def n_failed(self) -> int:
        """Failed clips of all systems together."""
        return sum(system.n_failed for system in self.systems)

    @property
    def n_pending(self) -> int:
        """Clips of all systems that are neither complete nor failed."""
        done = sum(system.n_done + system.n_failed for system in self.systems)
        return self.planned * len(self.systems) - done


def collect(store: RunReader) -> Results:
    """Read a run's rows and work out its figures; UserError if it was never planned."""
    testset, starts = store.meta("testset"), store.meta("starts", [])
    if testset is None:
        raise UserError(
            "the run has no plan: its first start was refused or ended at once",
            where=str(store.folder),
            fix="Start it again with evaluate, or remove the folder.",
        )
    settings = store.meta("statistics")
    readings: Readings = {
        (row.key, row.metric): row.reading or (row.error or "") for row in store.readings()
    }
    clips = store.clips()
    by_system: dict[str, list[ClipRow]] = {row.name: [] for row in store.systems()}
    for clip in clips:
        by_system[clip.key.system].append(clip)
    metrics = store.metrics()
    values = figures.work_out(store, metrics, by_system, readings)
    return Results(
        folder=store.folder,
        testset=testset,
        utterances={item.id: item for item in store.utterances()},
        metrics=tuple(metrics),
        systems=tuple(
            _system(row, store.meta("baseline"), metrics, by_system[row.name], readings, values)
            for row in store.systems()
        ),
        clips=tuple(clips),
        readings=readings,
        level=settings["level"],
        statistics=dict(settings),
        interval=_told(settings),
        created=store.meta("finished") or (starts[-1]["at"] if starts else ""),
        version=str(starts[-1]["mamtra_eval"]) if starts else "unknown",
        notes=tuple(notes.collect(store, _floor_value(store, values))),
        recipe=store.meta("recipe"),
        margins_late=store.meta("margins_late", False),
        floor=notes.floor(store),
        agreement=store.meta("agreement", {}),
    )


def _told(settings: dict[str, Any]) -> str:
    """How intervals were made."""
    method = NAMES[settings.get("method", "percentile")]
    return (
        f"{100 * settings['level']:g}% {method} bootstrap over utterances, "
        f"{settings['resamples']} resamples, seed {settings['seed']}"
    )


def _floor_value(store: RunReader, values: dict[FigureKey, Value]) -> Value | None:
    name = notes.floor(store)
    return values.get((name, "wer")) if name else None


def _system(
    row: SystemRow,
    baseline: str,
    metrics: Sequence[MetricRow],
    clips: list[ClipRow],
    readings: Readings,
    values: dict[FigureKey, Value],
) -> SystemResult:
    found = [[readings.get((clip.key, metric.name)) for metric in metrics] for clip in clips]
    failed = sum(
        clip.status == "failed" or any(isinstance(reading, str) for reading in row)
        for clip, row in zip(clips, found, strict=True)
    )
    done = sum(all(isinstance(reading, Reading) for reading in row) for row in found)
    own = {name: value for (system, name), value in values.items() if system == row.name}
    return SystemResult(row, row.name == baseline, done, failed, own, _cost(clips))


def _cost(clips: Sequence[ClipRow]) -> Cost:
    made = [clip for clip in clips if clip.status == "done" and clip.synthesis_s is not None]
    seconds = math.fsum(clip.synthesis_s or 0.0 for clip in made)
    speech_s = math.fsum(clip.duration_s or 0.0 for clip in made)
    tokens = math.fsum(clip.cost.get("tokens", 0.0) for clip in made)
    caches = [clip.cost["cache_bytes"] for clip in made if "cache_bytes" in clip.cost]
    return Cost(
        rtf=seconds / speech_s if speech_s else None,
        tokens_per_s=tokens / seconds if tokens and seconds else None,
        cache_bytes=math.fsum(caches) / len(caches) if caches else None,
        cut=int(sum(cut)) if (cut := [c.cost["cut"] for c in made if "cut" in c.cost]) else None,
    )
