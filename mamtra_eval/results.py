"""From rows to figures: every number of a report, with its interval, coverage and signature.

The unit is the utterance: repeats are averaged (means) or summed (pooled rates) first. A figure
rests on the clips that have a reading; how many of how many stands beside it. A clip that is
planned but not yet made or measured is pending, which is not failed. Differences to the baseline
are paired over the utterances that both systems have.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mamtra_eval import figures, notes, resampling, rundata
from mamtra_eval.config import RunConfig
from mamtra_eval.figures import Value
from mamtra_eval.footprint import Footprint
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.opinions import Opinion
from mamtra_eval.parts import Part
from mamtra_eval.profiles import Session
from mamtra_eval.reader import RunReader
from mamtra_eval.rows import ClipRow, MetricRow, SystemRow
from mamtra_eval.rundata import Readings, RunData
from mamtra_eval.testset import Utterance

VRAM = "vram_peak_bytes"
"""What a clip's cost calls its peak on a GPU."""


@dataclass(frozen=True)
class Cost:
    """What a system's clips took, as the run's workers saw it.

    Attributes:
        rtf: seconds of making by seconds of speech, all clips together; not of distributed runs,
            whose clips were made beside each other on machines that differ.
        tokens_per_s: speech tokens by seconds of making, where the system counts them.
        cache_bytes: mean over the clips, where the system counts them.
        cut: clips that were ended at their longest length, where the system tells.
        vram_peak_bytes: the most that torch's allocator held on the GPU during any clip, weights
            included, where the system measures it.
    """

    rtf: float | None
    tokens_per_s: float | None
    cache_bytes: float | None
    cut: int | None
    vram_peak_bytes: float | None = None

    @property
    def known(self) -> bool:
        """Whether there is anything to tell."""
        return any(value is not None for value in vars(self).values())


@dataclass(frozen=True)
class SystemResult:
    """A system with its figures by name.

    Attributes:
        n_done: clips with every reading.
        n_failed: clips that failed, or lack a reading because taking it failed.
        footprint: closed form of its decoder, where it knows it.
    """

    row: SystemRow
    is_baseline: bool
    n_done: int
    n_failed: int
    values: dict[str, Value]
    cost: Cost
    footprint: Footprint | None = None


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
    merged: tuple[str, ...] = ()
    """The runs that were put together, if several were."""
    context: int = RunConfig.context
    """Tokens at which trade-offs tell caches and FLOP."""
    speakers: dict[str, str] = field(default_factory=dict)
    """The speaker of each utterance, where the test set declares them."""
    clusters: list[int] | None = None
    """The number of each utterance's speaker, where speakers are what is drawn."""
    profiles: tuple[Session, ...] = ()
    """What a profile of its systems says, by machine."""
    part: Part | None = None
    """Which part of a plan this is (``parts``), if it is one."""
    opinions: dict[str, Opinion] = field(default_factory=dict)
    """What listeners said, by figure; these figures stand among ``metrics``, too."""

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
        return (len(self.clips) if self.part else self.planned * len(self.systems)) - done


def collect(store: RunReader) -> Results:
    """Read a run's rows and work out its figures; UserError if it was never planned."""
    with _unwatched():
        return assemble(rundata.read(store))


@contextmanager
def _unwatched() -> Iterator[None]:
    """Without the search for cycles: rows have none, and millions take long to look through."""
    watched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if watched:
            gc.enable()


def assemble(data: RunData) -> Results:
    """Work out the figures of rows."""
    values = figures.work_out(data)
    opinions = {one.figure: one for one in reversed(data.opinions)}
    by_system = figures.clips_by_system(data)
    said = _said(data)
    return Results(
        folder=data.folder,
        testset=data.testset,
        utterances={item.id: item for item in data.utterances},
        metrics=data.metrics + tuple(one.row for one in reversed(opinions.values())),
        systems=tuple(
            _system(row, data, by_system[row.name], _own(values, row.name)) for row in data.systems
        ),
        clips=data.clips,
        readings=data.readings | said if said else data.readings,
        level=data.statistics["level"],
        statistics=dict(data.statistics),
        interval=resampling.told(data.statistics, data.speakers),
        created=data.created,
        version=data.version,
        notes=tuple(notes.collect(data, values.get((data.floor, "wer")) if data.floor else None)),
        recipe=data.recipe,
        margins_late=data.margins_late,
        floor=data.floor,
        agreement=data.agreement,
        merged=data.merged,
        context=data.context,
        profiles=data.profiles,
        opinions=opinions,
        part=data.part,
        speakers=data.speakers,
        clusters=resampling.clusters(
            data.statistics.get("unit", "auto"),
            [item.id for item in data.utterances],
            data.speakers,
        ),
    )


def _said(data: RunData) -> Readings:
    """What was said of each clip that listeners heard: the first of its repeats."""
    return {
        (clip.key, opinion.figure): reading
        for opinion in data.opinions
        for clip in data.clips
        if clip.key.repeat == 0
        and (reading := opinion.reading(clip.key.system, clip.key.utterance)) is not None
    }


def _own(values: dict[figures.FigureKey, Value], system: str) -> dict[str, Value]:
    return {name: value for (owner, name), value in values.items() if owner == system}


def _system(
    row: SystemRow, data: RunData, clips: list[ClipRow], values: dict[str, Value]
) -> SystemResult:
    found = [[data.readings.get((clip.key, metric.name)) for metric in data.metrics]
             for clip in clips]  # fmt: skip
    failed = sum(
        clip.status == "failed" or any(isinstance(reading, str) for reading in taken)
        for clip, taken in zip(clips, found, strict=True)
    )
    return SystemResult(
        row=row,
        is_baseline=row.name == data.baseline,
        n_done=sum(all(isinstance(reading, Reading) for reading in taken) for taken in found),
        n_failed=failed,
        values=values,
        cost=_cost(clips, timed=data.distributed is None),
        footprint=data.footprints.get(row.name),
    )


def _cost(clips: Sequence[ClipRow], *, timed: bool) -> Cost:
    """What the clips took; no times unless one machine had them all to itself."""
    made = [clip for clip in clips if clip.status == "done" and clip.synthesis_s is not None]
    seconds = math.fsum(clip.synthesis_s or 0.0 for clip in made)
    speech_s = math.fsum(clip.duration_s or 0.0 for clip in made)
    tokens = math.fsum(clip.cost.get("tokens", 0.0) for clip in made)
    caches = [clip.cost["cache_bytes"] for clip in made if "cache_bytes" in clip.cost]
    return Cost(
        rtf=seconds / speech_s if timed and speech_s else None,
        tokens_per_s=tokens / seconds if timed and tokens and seconds else None,
        cache_bytes=math.fsum(caches) / len(caches) if caches else None,
        vram_peak_bytes=max((c.cost[VRAM] for c in made if VRAM in c.cost), default=None),
        cut=int(sum(cut)) if (cut := [c.cost["cut"] for c in made if "cut" in c.cost]) else None,
    )
