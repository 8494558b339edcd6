"""What workers do: make clips, and take readings of them. Runs inside worker processes.

Both are handlers of ``executors.local``: made once a process, then called with batches.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval import audio, batching, devices, envelope, registry
from mamtra_eval.audio import Clip
from mamtra_eval.errors import MeasurementError, Unusable, UserError, describe
from mamtra_eval.metrics import Item, Metric, Reading
from mamtra_eval.systems import Request, System, Words, clip_stem
from mamtra_eval.targets import SystemSpec


@dataclass(frozen=True)
class Made:
    """A clip that lies in the run folder."""

    path: str
    sha256: str
    duration_s: float | None
    """``None`` for a transcript, which is no audio."""
    sample_rate_hz: int | None
    synthesis_s: float | None
    """``None`` for a file that was read and not made."""
    cost: dict[str, float]
    envelope: str | None = None
    """Its outline for the report's waveform; ``None`` for a transcript."""


@dataclass(frozen=True)
class Failure:
    """Why there is no clip, or no reading."""

    error: str


@dataclass(frozen=True)
class Taken:
    """A reading and the seconds it took."""

    reading: Reading
    measure_s: float


@dataclass(frozen=True)
class ScoreTask:
    """One clip and the metrics still to be taken of it."""

    system: str
    repeat: int
    item: Item
    sha256: str
    metrics: tuple[str, ...]


def checked(reading: Reading, metric: Metric) -> Reading:
    """The reading in plain values; MeasurementError if its figures could not be made of it."""
    counts = {name: float(value) for name, value in reading.counts.items()}
    for figure in metric.figures:
        for name in filter(None, (figure.numerator, figure.denominator)):
            if name not in counts:
                raise MeasurementError(f"the reading lacks the count {name!r}")
    strange = [name for name, value in counts.items() if not math.isfinite(value)]
    if strange:
        raise MeasurementError(f"the count {strange[0]!r} is not finite")
    evidence = json.loads(json.dumps(reading.evidence, allow_nan=False, default=str))
    return Reading(counts, evidence)


class Synthesizer:
    """Makes clips with one system and writes them into the run folder."""

    def __init__(self, spec: SystemSpec, run: Path, folder: str) -> None:
        self.run = run
        self.folder = Path("clips") / folder
        (run / self.folder).mkdir(parents=True, exist_ok=True)
        self.system: System = registry.create("systems", spec.kind, spec.options)

    def __call__(self, requests: Sequence[Request]) -> Iterator[tuple[int, Made | Failure]]:
        """A clip or a failure for each request."""
        self.system.prepare()
        started = time.perf_counter()
        for index, result in self.system.speak_many(requests):
            elapsed = time.perf_counter() - started
            yield index, self._keep(requests[index], result, elapsed)
            started = time.perf_counter()

    def _keep(
        self, request: Request, result: Clip | Words | Exception, seconds: float
    ) -> Made | Failure:
        if isinstance(result, UserError):
            raise result
        if isinstance(result, Exception):
            _check_device(result)
            return Failure(describe(result))
        stem = clip_stem(request.utterance, request.repeat)
        if isinstance(result, Words):
            path = audio.write_text(result.text, self.run / self.folder / stem)
            relative = (self.folder / path.name).as_posix()
            return Made(relative, audio.sha256(path), None, None, None, {})
        if len(result.samples) == 0:
            return Failure("the system made a clip without samples")
        try:
            path = audio.write(result, self.run / self.folder / stem)
        except audio.AudioError as error:
            return Failure(str(error))
        relative = (self.folder / path.name).as_posix()
        return Made(
            relative, audio.sha256(path), result.duration_s, result.sample_rate_hz,
            seconds if result.source is None else None, dict(result.cost),
            envelope.of(result.samples),
        )  # fmt: skip


CHANGED = "the clip's file is not the one that was made; delete it and start again to remake it"


class Scorer:
    """Takes readings; each metric is made when first needed and kept.

    Of several clips at once, metrics that take batches get them all; a thread reads and resamples
    the audio of the clips ahead of the networks.
    """

    def __init__(self, options: dict[str, dict[str, Any]]) -> None:
        self.options = options
        self.metrics: dict[str, Metric] = {}

    def __call__(
        self, tasks: Sequence[ScoreTask]
    ) -> Iterator[tuple[int, dict[str, Taken | Failure]]]:
        """A reading or a failure for each metric of each clip."""
        found: list[dict[str, Taken | Failure]] = [{} for _ in tasks]
        intact = [i for i, task in enumerate(tasks) if _is_intact(task)]
        for index in {*range(len(tasks))} - {*intact}:
            found[index] = dict.fromkeys(tasks[index].metrics, Failure(CHANGED))
        with self._read_ahead([tasks[index] for index in intact]):
            for name in dict.fromkeys(name for task in tasks for name in task.metrics):
                wanting = [index for index in intact if name in tasks[index].metrics]
                taken = self._measure(name, [tasks[index].item for index in wanting])
                for index, result in zip(wanting, taken, strict=True):
                    found[index][name] = result
        yield from enumerate(found)

    def _measure(self, name: str, items: Sequence[Item]) -> list[Taken | Failure]:
        started = time.perf_counter()
        metric = batching.attempt(self._metric, name)
        if isinstance(metric, Exception):
            return [Failure(describe(metric)) for _ in items]
        readings = batching.attempt(metric.measure_many, items)
        if isinstance(readings, Exception):  # as a whole: then which of them it is
            readings = batching.one_by_one(metric.measure, items)
        seconds = (time.perf_counter() - started) / max(1, len(items))
        return [_taken(reading, metric, seconds) for reading in readings]

    def _metric(self, name: str) -> Metric:
        if name not in self.metrics:
            self.metrics[name] = registry.create("metrics", name, self.options[name])
        return self.metrics[name]

    @contextmanager
    def _read_ahead(self, tasks: Sequence[ScoreTask]) -> Iterator[None]:
        """While inside, decode and resample for metrics that take batches."""
        wanted = [
            (task.item, metric.resampler)
            for task in tasks
            for name, metric in self.metrics.items()
            if metric.batch_size > 1 and name in task.metrics
        ]
        if len(tasks) < 2 or not wanted:
            yield
            return
        with ThreadPoolExecutor(1) as pool:
            for item, method in wanted:
                pool.submit(item.at_16k, method)  # what goes wrong shows where it is used
            try:
                yield
            finally:
                pool.shutdown(cancel_futures=True)


def _check_device(error: Exception) -> None:
    """Unusable if the error took this process's GPU with it."""
    if devices.is_lost(error):
        raise Unusable(f"the worker's GPU was lost ({describe(error)})")


def _is_intact(task: ScoreTask) -> bool:
    try:
        return audio.sha256(task.item.path) == task.sha256
    except OSError:
        return False


def _taken(reading: Reading | Exception, metric: Metric, seconds: float) -> Taken | Failure:
    result = reading
    if isinstance(reading, Reading):
        result = batching.attempt(lambda found: checked(found, metric), reading)
    if isinstance(result, UserError):
        raise result
    if isinstance(result, Exception):  # a failure is a row, never the run's end
        _check_device(result)
        return Failure(describe(result))
    return Taken(result, seconds)
