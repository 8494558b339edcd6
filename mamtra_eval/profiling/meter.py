"""Timing side by side: warm-up, interleaved visits, a stopping rule, summaries that know their n.

Tasks are visited in turn, A B C C B A A B C …, so that a clock that slows down or a machine that
warms up is shared by all of them. A visit does one or several units of work (steps of a decoder,
say) and is timed as a whole, between two calls of ``synchronize``; its sample is seconds a unit.
Visits go on until every task has enough of them, in number and in time, and its samples lie close
together; a task that never gets so is told to be unstable. ``limit_s`` ends it in any case.

Percentiles are given where the number of samples bears them: p90 from 50 samples on, p95 from 100,
p99 from 1,000.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from mamtra_eval.errors import UserError

Clock = Callable[[], float]
"""Seconds from any fixed point."""

Task = Callable[[], int]
"""One visit; returns how many units of work it did."""

Name = TypeVar("Name", bound=Hashable)

PERCENTILES = {90: 50, 95: 100, 99: 1000}
"""Samples that a percentile needs."""


@dataclass(frozen=True)
class Rules:
    """When a task has been visited enough.

    Attributes:
        runs: visits at the least.
        seconds: time at the least, of all visits of a task.
        limit_s: time at the most, of all visits of a task; the visit under way is finished.
        warm_up_runs, warm_up_s: visits and time that are thrown away first, both at the least; but
            no more than a quarter of ``limit_s`` once a task was visited.
        spread: (third quartile - first quartile) / median above which samples are unstable.
    """

    runs: int = 20
    seconds: float = 10.0
    limit_s: float = 120.0
    warm_up_runs: int = 3
    warm_up_s: float = 1.0
    spread: float = 0.1

    def __post_init__(self) -> None:
        least = {"runs": 1, "warm_up_runs": 0, "seconds": 0, "warm_up_s": 0}
        for name, bound in least.items():
            if not bound <= getattr(self, name) < math.inf:
                raise UserError(f"{name} must be at least {bound}, not {getattr(self, name):g}")
        if not (0 < self.limit_s < math.inf and self.spread > 0):
            raise UserError(f"limit_s and spread must be above 0, not {self.limit_s:g}")


@dataclass(frozen=True)
class Summary:
    """Samples in a few numbers.

    Attributes:
        n: samples.
        median, q25, q75: and their quartiles.
        percentiles: those that ``n`` bears, by name: ``p90``, ``p95``, ``p99``.
        unstable: why the samples are not to be trusted; empty if they are.
    """

    n: int
    median: float
    q25: float
    q75: float
    percentiles: dict[str, float] = field(default_factory=dict)
    unstable: str = ""


def measure(
    tasks: Mapping[Name, Task],
    rules: Rules | None = None,
    clock: Clock = time.perf_counter,
    synchronize: Callable[[], None] | None = None,
) -> dict[Name, list[float]]:
    """Visit tasks in turn; seconds a unit of each visit, by task.

    Args:
        tasks: by name.
        rules: when to stop.
        clock: seconds.
        synchronize: waits for a device's work, at both ends of a visit.
    """
    rules = rules or Rules()
    wait = synchronize or (lambda: None)
    for task in tasks.values():
        _warm_up(task, rules, clock, wait)
    found: dict[Name, list[float]] = {name: [] for name in tasks}
    spent = dict.fromkeys(tasks, 0.0)
    order = list(tasks)
    while order:
        for name in order:
            seconds, units = _visit(tasks[name], clock, wait)
            spent[name] += seconds
            found[name].append(seconds / units)
        order = [name for name in reversed(order) if not _enough(found[name], spent[name], rules)]
    return found


def summarize(samples: Sequence[float], spread: float = Rules.spread) -> Summary:
    """Median, quartiles and what else the number of samples bears; at least one sample."""
    values = np.asarray(samples, dtype=float)
    q25, median, q75 = (float(np.percentile(values, share)) for share in (25, 50, 75))
    found = {
        f"p{share}": float(np.percentile(values, share))
        for share, needed in PERCENTILES.items()
        if len(values) >= needed
    }
    return Summary(len(values), median, q25, q75, found, _unstable(values, spread))


def _warm_up(task: Task, rules: Rules, clock: Clock, wait: Callable[[], None]) -> None:
    runs, spent = 0, 0.0
    while runs < rules.warm_up_runs or spent < rules.warm_up_s:
        if runs and spent >= rules.limit_s / 4:
            return
        spent += _visit(task, clock, wait)[0]
        runs += 1


def _visit(task: Task, clock: Clock, wait: Callable[[], None]) -> tuple[float, int]:
    wait()
    started = clock()
    units = task()
    wait()
    return clock() - started, max(1, units)


def _enough(samples: Sequence[float], spent: float, rules: Rules) -> bool:
    if spent >= rules.limit_s:
        return True
    if len(samples) < rules.runs or spent < rules.seconds:
        return False
    return not _unstable(np.asarray(samples), rules.spread)


def _unstable(values: np.ndarray, spread: float) -> str:
    """What is wrong with samples: too wide, or moving from their first half to their second."""
    median = float(np.median(values))
    if len(values) < 3 or median <= 0:
        return ""
    width = float(np.subtract(*np.percentile(values, [75, 25]))) / median
    if width > spread:
        return f"unstable: the middle half of {len(values)} samples spans {100 * width:.0f} %"
    half = len(values) // 2
    drift = float(np.median(values[-half:]) - np.median(values[:half])) / median
    if len(values) >= 8 and abs(drift) > spread:
        return f"unstable: drifted by {100 * drift:+.0f} % while it was measured"
    return ""
