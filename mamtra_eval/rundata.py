"""All that reports need of a run, read once from its rows.

``figures`` and ``results`` work on this alone, so that several runs can be put together
(``merging``) and shown like one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval import drift, opinions, parts, profiles
from mamtra_eval.config import RunConfig
from mamtra_eval.database import damaged, explained
from mamtra_eval.errors import UserError
from mamtra_eval.footprint import Footprint
from mamtra_eval.metrics import Reading
from mamtra_eval.opinions import Opinion
from mamtra_eval.parts import Part
from mamtra_eval.profiles import Session
from mamtra_eval.reader import DATABASE, RunReader
from mamtra_eval.rows import ClipKey, ClipRow, MetricRow, SystemRow
from mamtra_eval.targets import is_floor
from mamtra_eval.testset import Utterance

Readings = dict[tuple[ClipKey, str], Reading | str]
"""By (clip, metric): a reading, or the error in its place. Absent while pending."""


@dataclass(frozen=True)
class RunData:
    """Rows of a run, and what was settled with its start.

    Attributes:
        utterances: in list order.
        failed_counts: by metric and utterance, the denominators of a clip without a reading.
        baseline: the system that the others are compared with.
        statistics: level, resamples, seed, method and unit of all intervals.
        margins: the largest losses that count as none, by figure.
        margins_late: whether they were declared when there were readings already.
        created: when the run was finished, or else last started: UTC, ISO 8601.
        version: of the program, at the last start.
        notes: what a reader must know.
        recipe: the published protocol that the run follows.
        floor: the system that is the test set's own recordings, if one is.
        agreement: by metric, how fast and strict scoring agree.
        speakers: of each utterance, where the test set declares them.
        context: tokens at which trade-offs tell caches and FLOP.
        footprints: of systems that know their closed form.
        foreign: by (system, metric), the signature of readings that were not taken as the metric's
            row says; only where runs were put together.
        merged: names of the runs that were put together.
        profiles: what a profile of its systems says, by machine.
        opinions: what listeners said; of one figure the first is the column's own.
        part: which part of a plan this is (``parts``), if it is one.
        distributed: by what its clips were made on several machines, if they were.
        batches: what was taken together, by system and metric, if the run says so.
        starts: what each start was made with (``provenance``).
    """

    folder: Path
    testset: dict[str, Any]
    utterances: tuple[Utterance, ...]
    systems: tuple[SystemRow, ...]
    metrics: tuple[MetricRow, ...]
    clips: tuple[ClipRow, ...]
    readings: Readings
    failed_counts: dict[str, dict[str, dict[str, float]]]
    baseline: str
    statistics: dict[str, Any]
    margins: dict[str, float]
    margins_late: bool
    created: str
    version: str
    notes: tuple[str, ...]
    recipe: str | None
    floor: str | None
    agreement: dict[str, Any]
    speakers: dict[str, str]
    context: int
    footprints: dict[str, Footprint]
    foreign: dict[tuple[str, str], str] = field(default_factory=dict)
    merged: tuple[str, ...] = ()
    profiles: tuple[Session, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    part: Part | None = None
    distributed: str | None = None
    batches: dict[str, Any] | None = None
    starts: tuple[dict[str, Any], ...] = ()


def read(store: RunReader) -> RunData:
    """A run's rows; UserError if it was never planned or says what no run says."""
    try:
        return _read(store)
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError) as error:
        how = f"what it says of itself has another form, {type(error).__name__}: {error}"
        raise explained(damaged(how), store.folder / DATABASE) from error


def _read(store: RunReader) -> RunData:
    testset, starts = store.meta("testset"), store.meta("starts", [])
    if testset is None:
        raise UserError(
            "the run has no plan: its first start was refused or ended at once",
            where=str(store.folder),
            fix="Start it again with evaluate, or remove the folder.",
        )
    _ = [testset[key] for key in ("name", "language", "n", "sha256")]  # now, not in a report
    systems, metrics = store.systems(), store.metrics()
    floors = [row.name for row in systems if is_floor(row.kind, row.target)]
    return RunData(
        folder=store.folder,
        testset=testset,
        utterances=tuple(store.utterances()),
        systems=tuple(systems),
        metrics=tuple(metrics),
        clips=tuple(store.clips()),
        readings={
            (row.key, row.metric): row.reading or (row.error or "") for row in store.readings()
        },
        failed_counts={metric.name: store.failed_counts(metric.name) for metric in metrics},
        baseline=store.meta("baseline"),
        statistics=dict(store.meta("statistics")),
        margins=store.meta("margins", {}),
        margins_late=store.meta("margins_late", False),
        created=store.meta("finished") or (starts[-1]["at"] if starts else ""),
        version=str(starts[-1]["mamtra_eval"]) if starts else "unknown",
        notes=(*store.notes(), *drift.notes(store.meta(drift.META, {}))),
        recipe=store.meta("recipe"),
        floor=floors[0] if floors else None,
        agreement=store.meta("agreement", {}),
        speakers=store.meta("speakers", {}),
        context=store.meta("context", RunConfig.context),
        footprints={
            name: Footprint(**values) for name, values in store.meta("footprints", {}).items()
        },
        profiles=tuple(profiles.read(store)),
        opinions=tuple(opinions.of_dict(one) for one in store.meta(opinions.META, [])),
        part=parts.of_meta(store.meta(parts.META)),
        distributed=store.meta(parts.DISTRIBUTED),
        batches=store.meta("batches"),
        starts=tuple(starts),
    )
