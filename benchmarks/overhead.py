"""What the harness itself takes: wall time of a run beyond its evaluators' own work.

    python benchmarks/overhead.py [--clips N] [--workers N]

A run of ``recorded`` with the embedded evaluators, as ``evaluate`` makes it: clips copied and
hashed, scored by worker processes, every row in the database, reports written. Each reading's own
time is in its row; their sum by the number of workers is the least that the scoring could take.
What the stages take beyond that is told: starting processes and importing torch, loading models,
the database, planning, reports. Reading audio counts as the first metric's time.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mamtra_eval import catalogue, provenance, results
from mamtra_eval import config as configuration
from mamtra_eval.cli import output
from mamtra_eval.pipeline import evaluate
from mamtra_eval.progress import Advance
from mamtra_eval.reader import RunReader


class Stages:
    """Wall seconds of each stage of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Advance]:
        """Time one."""
        del total
        started = time.perf_counter()
        yield lambda: None
        name = title.split()[0]
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def write_list(path: Path, n: int) -> None:
    """``n`` utterances out of mini-en's recordings, each as often as it takes."""
    items = catalogue.load("mini-en").utterances
    lines = []
    for index in range(n):
        item = items[index % len(items)]
        lines.append(
            f"u{index:04d}|{item.prompt_text}|{item.prompt_audio}|{item.text}|{item.ground_truth}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Print where the time went."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), arguments.clips, arguments.workers)


def _measure(folder: Path, n: int, workers: int) -> None:
    write_list(folder / "meta.lst", n)
    config = configuration.build(
        {
            "testset": str(folder / "meta.lst"), "systems": {"recordings": "recorded"},
            "execution": {"workers": workers},
        }
    )  # fmt: skip
    stages = Stages()
    started = time.perf_counter()
    run = evaluate(config, folder / "run", progress=stages)
    evaluated = time.perf_counter() - started
    with RunReader(run) as store:
        own = dict(store._db.execute("SELECT metric, sum(measure_s) FROM readings GROUP BY metric"))
        output.write_reports(results.collect(store))
    wall = time.perf_counter() - started
    work = sum(own.values()) / workers
    machine = provenance.collect()
    print(f"{machine['processor']}, {workers} workers on {os.cpu_count()} cores, {n} clips")
    for metric, seconds in own.items():
        print(f"  {metric:<12}{seconds / n:8.3f} s a clip")
    rows = {
        "the evaluators' own work, by workers": work,
        "scoring beyond it": stages.seconds["Scoring"] - work,
        "copying clips": stages.seconds["Speaking"],
        "planning, database, derived metrics": evaluated - sum(stages.seconds.values()),
        "figures and reports": wall - evaluated,
    }
    for title, seconds in rows.items():
        print(f"{title:<40}{seconds:8.1f} s  {100 * seconds / wall:5.1f} %")
    print(f"{'wall':<40}{wall:8.1f} s; beyond the evaluators' work {100 * (1 - work / wall):.1f} %")


if __name__ == "__main__":
    main()
