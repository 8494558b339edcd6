"""A run as shards that jobs of a Slurm cluster make: plan here, submit, wait, join.

``carry_out`` may be called as often as one likes and always does what is left: it enters the plan
into the run folder, joins what shards have (``joining``), submits those that lack something and
that no job is working on, waits, and joins again. Which job has which shard stands in
``shards/jobs.json``, so that another start of the same command finds them. A shard's folder goes on
by itself from wherever its job was ended, so that a job that is requeued loses nothing.

Shards are small, so that the last one is not waited for long: no more work for each than about
``SHARD_S`` by a guess of the time of a clip (``execution.slurm.clip_s``), and one at least for each
job that may run at a time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mamtra_eval import config as configuration
from mamtra_eval import joining, lacking, parts, pipeline, registry
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError
from mamtra_eval.executors import LOCAL
from mamtra_eval.executors.slurm import Cluster, Job
from mamtra_eval.joining import Joined
from mamtra_eval.parts import Part
from mamtra_eval.plan import Plan
from mamtra_eval.progress import Progress, Silent
from mamtra_eval.reader import RunReader
from mamtra_eval.run_folder import lock
from mamtra_eval.store import Store

SHARD_S = 900.0
"""Longest time of a shard, by the guess."""
LEDGER, CONFIGURATION = "jobs.json", "plan.yaml"
LOOK_S = 2.0
"""Between two looks at the jobs."""


@dataclass(frozen=True)
class Fallen:
    """A shard whose job has ended before the shard did."""

    part: Part
    job: Job

    def __str__(self) -> str:
        said = self.job.last_words()
        told = f" It said last:\n{said}" if said else ""
        return f"Shard {self.part}: job {self.job.id} ended before it was done.{told}"


@dataclass
class Done:
    """What has become of the shards.

    Attributes:
        folder: of the run.
        count: of shards.
        submitted: that were submitted now.
        running: parts whose jobs wait or run.
        fallen: shards whose jobs have ended before them.
        joined: what the run folder has; ``None`` while no shard has begun.
    """

    folder: Path
    count: int
    submitted: int = 0
    running: list[Part] = field(default_factory=list)
    fallen: list[Fallen] = field(default_factory=list)
    joined: Joined | None = None


def evaluate(
    config: RunConfig,
    out: Path | None = None,
    *,
    progress: Progress | None = None,
    retry_failed: bool = False,
) -> Path:
    """Run a configuration as jobs and return the run folder, as ``pipeline.evaluate`` does.

    Raises:
        UserError: also for jobs that ended before their shards; rows of the others are there.
    """
    done = carry_out(config, out, progress=progress, retry_failed=retry_failed)
    if done.fallen:
        raise UserError(
            f"{len(done.fallen)} of {done.count} shards were not finished. "
            + " ".join(map(str, done.fallen[:3])),
            where=str(done.folder),
            fix="The same call submits them again; what the others have made is there.",
        )
    return done.folder


def carry_out(
    config: RunConfig,
    out: Path | None = None,
    *,
    progress: Progress | None = None,
    retry_failed: bool = False,
    detach: bool = False,
) -> Done:
    """Have every shard made, and join them.

    Args:
        config: of the run, with ``execution.executor=slurm``.
        out: the run folder, which all machines must see; as ``pipeline.evaluate`` has it.
        progress: told how many shards are done.
        retry_failed: try failed clips and readings again.
        detach: submit what is to be submitted and return.
    """
    plan, folder = pipeline.prepare(config, out)
    _check(plan)
    cluster = Cluster(config.execution, folder / parts.SHARDS / "jobs")
    with Store(folder) as store, store.lock():
        pipeline.begin(plan, store)
    shards = folder / parts.SHARDS
    shards.mkdir(exist_ok=True)
    with lock(shards):
        _write(shards / CONFIGURATION, configuration.to_yaml(_of_a_shard(plan.config)))
        ledger = _Ledger(shards / LEDGER, plan)
        done = Done(folder, ledger.count)
        _join(done, _running(ledger, cluster))
        _submit(done, ledger, cluster, retry_failed=retry_failed)
        if detach:
            done.running = _running(ledger, cluster)
            return done
        _wait(ledger, cluster, progress or Silent())
        cluster.close()
        _join(done)
        left = done.joined.missing if done.joined else dict.fromkeys(ledger.jobs, 0)
        done.fallen = [
            Fallen(Part(index, ledger.count), ledger.jobs[index])
            for index in sorted(ledger.jobs)
            if index in left
        ]
        return done


def default_count(n_clips: int, slots: int, clip_s: float) -> int:
    """How many shards: none of more than ``SHARD_S``, one for each slot, none without a clip."""
    by_time = math.ceil(n_clips * clip_s / SHARD_S)
    return max(1, min(n_clips, max(by_time, slots), parts.MOST))


class _Ledger:
    """How many shards there are, and the last job of each that was submitted."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self._path = path
        kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        asked = plan.config.execution.shards
        if kept and asked not in (None, kept["count"]):
            raise UserError(
                f"the run there has {kept['count']} shards, this command {asked}",
                where=str(path.parent.parent),
                fix="Leave execution.shards out, or choose a new folder with --out.",
            )
        settings = Cluster.settings_of(plan.config.execution)
        n_clips = sum(len(plan.requests(name)) for name in plan.systems)
        self.count: int = kept.get("count") or asked or default_count(
            n_clips, settings.slots, settings.clip_s
        )  # fmt: skip
        self.jobs = {int(index): Job.of(one) for index, one in kept.get("jobs", {}).items()}

    def add(self, jobs: dict[int, Job]) -> None:
        """Keep what was submitted."""
        self.jobs.update(jobs)
        kept = {"count": self.count, "jobs": {i: job.plain() for i, job in self.jobs.items()}}
        _write(self._path, json.dumps(kept, indent=1))


def _check(plan: Plan) -> None:
    """UserError for what can't be made by jobs elsewhere."""
    for name, spec in plan.systems.items():
        system = registry.create("systems", spec.kind, spec.options)
        try:
            at_home = system.at_home
        finally:
            system.close()
        if at_home:
            raise UserError(
                f"the system {name} may be run by this machine alone, not by jobs elsewhere",
                where=spec.target,
                fix="Evaluate it with --executor local, in the same --out afterwards.",
            )


def _of_a_shard(config: RunConfig) -> RunConfig:
    """The configuration for a job, which does its work by itself."""
    execution = replace(config.execution, executor=LOCAL, shards=None, slurm={})
    return replace(config, execution=execution)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _join(done: Done, busy: Sequence[Part] = ()) -> None:
    """Take in what the shards have that no job is working on."""
    away = {parts.folder(done.folder, part) for part in busy}
    found = [path for path in joining.found_shards(done.folder) if path not in away]
    if found:
        joined = joining.join(done.folder, found)
        if done.joined is not None:
            joined.clips += done.joined.clips
            joined.readings += done.joined.readings
        done.joined = joined


def _submit(done: Done, ledger: _Ledger, cluster: Cluster, *, retry_failed: bool) -> None:
    with RunReader(done.folder) as store:
        missing = lacking.missing(store, ledger.count, failed=retry_failed)
    alive = cluster.alive([*ledger.jobs.values()])
    wanted = [
        Part(index, ledger.count)
        for index in missing
        if index not in ledger.jobs or ledger.jobs[index].id not in alive
    ]
    if wanted:
        folders = [parts.folder(done.folder, part) for part in wanted]
        plan = done.folder / parts.SHARDS / CONFIGURATION
        jobs = cluster.submit(plan, folders, wanted, retry_failed=retry_failed)
        ledger.add({part.index: job for part, job in zip(wanted, jobs, strict=True)})
    done.submitted = len(wanted)


def _running(ledger: _Ledger, cluster: Cluster) -> list[Part]:
    alive = cluster.alive([*ledger.jobs.values()])
    return [Part(index, ledger.count) for index, job in ledger.jobs.items() if job.id in alive]


def _wait(ledger: _Ledger, cluster: Cluster, progress: Progress) -> None:
    """Until no job is left."""
    left = {index: job for index, job in ledger.jobs.items() if not job.ended}
    with progress.stage("Shards", len(left)) as advance:
        suspects: set[int] = set()
        while left:
            alive = cluster.alive([*left.values()])
            gone = {index for index, job in left.items() if job.ended or job.id not in alive}
            # A job that is being requeued may be listed nowhere for a moment: looked at twice.
            for index in [one for one in gone if left[one].ended or one in suspects]:
                del left[index]
                advance()
            suspects = gone
            if left:
                time.sleep(LOOK_S)
