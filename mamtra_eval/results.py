"""From rows to figures: every number of a report, with its interval, coverage and signature.

The unit is the utterance: repeats are averaged (means) or summed (pooled rates) first. A figure
rests on the clips that have a reading; how many of how many stands beside it. Differences to the
baseline are paired over the utterances that both systems have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.rows import ClipKey, ClipRow, MetricRow, SystemRow
from mamtra_eval.statistics import bootstrap
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.store import Store
from mamtra_eval.testset import Utterance

Ratios = dict[str, tuple[float, float]]
"""(numerator, denominator) by utterance."""
Readings = dict[tuple[ClipKey, str], Reading | str]
"""By (clip, metric): a reading, or the error in its place."""


@dataclass(frozen=True)
class Value:
    """One figure of one system. ``estimate`` is ``None`` where no clip has a reading."""

    figure: Figure
    estimate: Estimate | None
    n: int
    n_failed: int
    difference: Estimate | None = None
    n_paired: int = 0


@dataclass(frozen=True)
class SystemResult:
    """A system with its figures by name."""

    row: SystemRow
    is_baseline: bool
    n_clips: int
    n_failed: int
    """Clips that failed, or lack one of the readings."""
    values: dict[str, Value]


@dataclass(frozen=True)
class Results:
    """A whole run, ready to be shown."""

    store: Store
    testset: dict[str, Any]
    utterances: dict[str, Utterance]
    metrics: tuple[MetricRow, ...]
    systems: tuple[SystemResult, ...]
    clips: tuple[ClipRow, ...]
    readings: Readings
    level: float
    interval: str
    """How the intervals were made."""

    @property
    def version(self) -> str:
        """The program's version at the last start of the run."""
        starts = self.store.meta("starts", [])
        return str(starts[-1]["mamtra_eval"]) if starts else "unknown"

    @property
    def figures(self) -> list[tuple[MetricRow, Figure]]:
        """Every figure with its metric, in the order of reports."""
        return [(metric, figure) for metric in self.metrics for figure in metric.figures]

    @property
    def n_failed(self) -> int:
        """Failed clips of all systems together."""
        return sum(system.n_failed for system in self.systems)


def collect(store: Store) -> Results:
    """Read a run's rows and work out its figures."""
    metrics = store.metrics()
    settings = store.meta("statistics")
    readings = {(row.key, row.metric): row.reading or (row.error or "") for row in store.readings()}
    clips = store.clips()
    values = _values(store, metrics, clips, readings, settings)
    return Results(
        store=store,
        testset=store.meta("testset"),
        utterances={item.id: item for item in store.utterances()},
        metrics=tuple(metrics),
        systems=tuple(
            _system(row, row.name == store.meta("baseline"), metrics, clips, readings, values)
            for row in store.systems()
        ),
        clips=tuple(clips),
        readings=readings,
        level=settings["level"],
        interval=f"{settings['level']:.0%} percentile bootstrap over utterances, "
        f"{settings['resamples']} resamples, seed {settings['seed']}",
    )


def _system(
    row: SystemRow,
    is_baseline: bool,
    metrics: list[MetricRow],
    clips: list[ClipRow],
    readings: Readings,
    values: Mapping[tuple[str, str], Value],
) -> SystemResult:
    own = [clip for clip in clips if clip.key.system == row.name]
    failed = sum(
        any(not isinstance(readings.get((clip.key, metric.name)), Reading) for metric in metrics)
        for clip in own
    )
    figures = [figure for metric in metrics for figure in metric.figures]
    mine = {figure.name: values[row.name, figure.name] for figure in figures}
    return SystemResult(row, is_baseline, len(own), failed, mine)


def _values(
    store: Store,
    metrics: list[MetricRow],
    clips: list[ClipRow],
    readings: Readings,
    settings: dict[str, Any],
) -> dict[tuple[str, str], Value]:
    baseline = store.meta("baseline")
    by_system: dict[str, list[ClipRow]] = defaultdict(list)
    for clip in clips:
        by_system[clip.key.system].append(clip)
    resampling = Resampling(settings)
    ratios = {}
    for metric in metrics:
        failed_counts = store.failed_counts(metric.name)
        for system, own in by_system.items():
            for figure in metric.figures:
                found = _ratios(own, metric, figure, readings, failed_counts)
                ratios[system, figure.name] = found
                resampling.want((system, figure.name), found)
    for (system, figure_name), found in ratios.items():
        if system != baseline:
            resampling.want_difference(
                (system, figure_name), found, ratios.get((baseline, figure_name), {})
            )
    resampling.run()
    values = {}
    for metric in metrics:
        for system, own in by_system.items():
            n = sum(isinstance(readings.get((clip.key, metric.name)), Reading) for clip in own)
            for figure in metric.figures:
                key = (system, figure.name)
                # Where failures count, the figure rests on all clips.
                rests_on = len(own) if figure.failed is not None else n
                values[key] = Value(
                    figure,
                    resampling.estimates.get(key),
                    rests_on,
                    len(own) - n,
                    *resampling.differences.get(key, (None, 0)),
                )
    return values


class Resampling:
    """All intervals of a report in as few resamplings as there are sets of utterances."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.estimates: dict[tuple[str, str], Estimate] = {}
        self.differences: dict[tuple[str, str], tuple[Estimate, int]] = {}
        self._wanted: dict[tuple[str, ...], list[tuple[tuple[str, str], list[Ratios]]]] = (
            defaultdict(list)
        )

    def want(self, key: tuple[str, str], ratios: Ratios) -> None:
        """Ask for a figure's interval."""
        if ratios:
            self._wanted[tuple(ratios)].append((key, [ratios]))

    def want_difference(self, key: tuple[str, str], mine: Ratios, theirs: Ratios) -> None:
        """Ask for the interval of mine − theirs over the utterances of both."""
        shared = tuple(utterance for utterance in mine if utterance in theirs)
        if shared:
            self._wanted[shared].append((key, [mine, theirs]))

    def run(self) -> None:
        """Work out everything asked for."""
        draw = {key: self.settings[key] for key in ("resamples", "seed")}
        for utterances, wanted in self._wanted.items():
            # A figure and its difference share columns: each pair is resampled once.
            sides = {id(side): side for _, asked in wanted for side in asked}
            columns = [
                column
                for side in sides.values()
                for column in zip(*(side[utterance] for utterance in utterances), strict=True)
            ]
            sums = bootstrap.resample(np.array(columns).T, **draw)
            quotients = {
                key: bootstrap.divide(sums[:, 2 * index], sums[:, 2 * index + 1])
                for index, key in enumerate(sides)
            }
            for key, asked in wanted:
                self._take(key, [quotients[id(side)] for side in asked], len(utterances))

    def _take(self, key: tuple[str, str], draws: list[bootstrap.Array], n: int) -> None:
        level = self.settings["level"]
        if len(draws) == 1:
            self.estimates[key] = bootstrap.interval(draws[0], n, level)
        else:
            self.differences[key] = (bootstrap.interval(draws[0] - draws[1], n, level), n)


def _ratios(
    clips: list[ClipRow],
    metric: MetricRow,
    figure: Figure,
    readings: Readings,
    failed_counts: dict[str, dict[str, float]],
) -> Ratios:
    repeats: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for clip in clips:
        reading = readings.get((clip.key, metric.name))
        pair = _pair(figure, reading, failed_counts.get(clip.key.utterance, {}))
        if pair is not None:
            repeats[clip.key.utterance].append(pair)
    return {utterance: _combine(figure, pairs) for utterance, pairs in repeats.items()}


def _pair(
    figure: Figure, reading: Reading | str | None, failed_counts: dict[str, float]
) -> tuple[float, float] | None:
    if isinstance(reading, Reading):
        below = reading.counts[figure.denominator] if figure.denominator else 1.0
        return reading.counts[figure.numerator], below
    if figure.failed is None:
        return None
    below = failed_counts.get(figure.denominator or "", 1.0 if not figure.denominator else 0.0)
    return (figure.failed * below, below) if below > 0 else None


def _combine(figure: Figure, pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """One utterance's repeats as one ratio."""
    if figure.aggregate == "pooled":
        return sum(above for above, _ in pairs), sum(below for _, below in pairs)
    return sum(above / below for above, below in pairs) / len(pairs), 1.0
