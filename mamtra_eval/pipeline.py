"""Plan, synthesize, score: what is done is never done twice.

``evaluate`` brings a run folder to its end, from wherever it stands: a new one, one that was
killed, one that gets a further system. Afterwards the folder holds a row for everything that was
planned. Reports read those rows (``mamtra_eval.report``).
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mamtra_eval import (
    audio,
    entering,
    evaluators,
    executors,
    family,
    golden,
    parts,
    provenance,
    registry,
    scoring,
)
from mamtra_eval import config as configuration
from mamtra_eval import plan as planning
from mamtra_eval.config import RunConfig, to_dict
from mamtra_eval.executors import Executor, Need
from mamtra_eval.family import FamilyConfig
from mamtra_eval.parts import Part
from mamtra_eval.plan import Plan
from mamtra_eval.progress import Advance, Progress, Silent
from mamtra_eval.reader import DATABASE
from mamtra_eval.rows import ClipKey
from mamtra_eval.run_folder import now
from mamtra_eval.stages import Failure, Made, Synthesizer
from mamtra_eval.store import Store
from mamtra_eval.systems import Request, System
from mamtra_eval.targets import SystemSpec


def evaluate(
    config: RunConfig,
    out: Path | None = None,
    *,
    progress: Progress | None = None,
    retry_failed: bool = False,
    part: Part | None = None,
) -> Path:
    """Run a configuration to its end and return the run folder.

    Args:
        config: what to measure.
        out: the run folder; by default one named after the test set and the configuration's hash,
            so that the same call continues what an earlier one began.
        progress: told how far it is.
        retry_failed: try failed clips and readings again instead of keeping their rows.
        part: make and score this share of the clips only; ``joining`` puts shares together.

    Raises:
        UserError: for whatever is wrong with the configuration, before anything is made.
    """
    if config.execution.executor == executors.SLURM and part is None:
        from mamtra_eval import sharding  # which calls this for each shard

        return sharding.evaluate(config, out, progress=progress, retry_failed=retry_failed)
    plan, folder = prepare(config, out, part)
    with Store(folder) as store, store.lock():
        begin(plan, store)
        if retry_failed:
            store.forget_failures(list(plan.systems), list(plan.metrics))
        show = progress or Silent()
        synthesize(plan, store, show)
        golden.check(plan, store, show)
        scoring.score(plan, store, show)
        scoring.derive(plan, store)
        scoring.agree(plan, store, show)
        store.set_meta("finished", now())
    return folder


def prepare(config: RunConfig, out: Path | None, part: Part | None = None) -> tuple[Plan, Path]:
    """The plan of a configuration, checked, and the run folder for it; nothing is written."""
    family.check_folders(config.family)
    plan = planning.make(entering.continued(config, out) if out else config)
    whole = plan.default_folder()
    folder = out or (parts.folder(whole, part) if part else whole)
    plan = replace(plan, part=part)
    if not (folder / DATABASE).exists():
        entering.check_new(plan)
    return plan, folder


def begin(plan: Plan, store: Store) -> None:
    """Enter a plan into its run folder, with this start's provenance."""
    entering.enter(plan, store)
    _write_provenance(plan, store)
    store.set_meta("batches", {**store.meta("batches", {}), "mode": plan.config.mode or "strict"})
    for name, metric in plan.metrics.items():
        _note_batches(store, f"metric {name}", metric.batch_size)
    executor = plan.config.execution.executor
    if plan.part or executor != executors.LOCAL:
        store.set_meta(parts.DISTRIBUTED, parts.SHARDS if plan.part else executor)


def synthesize(plan: Plan, store: Store, progress: Progress) -> None:
    """Make every planned clip of the plan's systems that is not there yet."""
    folders = {row.name: row.folder for row in store.systems()}
    for name, spec in plan.systems.items():
        made = store.made(name)
        missing = [
            request
            for request in plan.own_requests(name)
            if _is_missing(store, name, request, *made[request.utterance, request.repeat])
        ]
        if not missing:
            continue
        audio.remove_parts(store.folder / "clips" / folders[name])
        pool = _pool(plan, store, spec)
        size = min(pool.batch_size, math.ceil(len(missing) / pool.workers))  # work for each of them
        _note_batches(store, f"system {name}", size)
        with progress.stage(f"Speaking  {name}", len(missing)) as advance:
            pool.executor.run(
                Synthesizer,
                (spec, store.folder, folders[name]),
                planning.batches(missing, size),
                on_result=_clip_writer(store, name, advance),
                on_lost=_clip_loser(store, name, advance),
                need=pool.need,
            )


def _note_batches(store: Store, what: str, size: int) -> None:
    """Keep how many are taken together, which on a GPU may change what comes out."""
    batches = store.meta("batches", {})
    sizes = sorted({*batches.get(what, []), size})
    if sizes != batches.get(what):
        store.set_meta("batches", {**batches, what: sizes})


@dataclass(frozen=True)
class _Pool:
    """Where one system's clips are made, and by how many."""

    executor: Executor
    need: Need
    workers: int
    batch_size: int


def _pool(plan: Plan, store: Store, spec: SystemSpec) -> _Pool:
    system: System = registry.create("systems", spec.kind, spec.options)
    try:
        settings = plan.config.execution
        executor = executors.local(settings) if system.at_home else executors.choose(
            settings, store.folder
        )  # fmt: skip
        device = spec.options.get("device")
        spread = system.on_device and device in (None, "auto", "cuda") and executor.on_gpu(None)
        workers = min(system.max_processes or executor.workers, executor.workers)
        return _Pool(executor, Need(system.max_processes, spread), workers, system.batch_size)
    finally:
        system.close()


def _is_missing(store: Store, system: str, request: Request, status: str, path: str | None) -> bool:
    if status == "done" and not os.path.isfile(f"{store.folder}/{path}"):  # noqa: PTH113 -- many
        # Somebody deleted the file: make it anew.
        store.forget_clip(ClipKey(system, request.utterance, request.repeat))
        return True
    return status == "planned"


def _clip_writer(
    store: Store, system: str, advance: Advance
) -> Callable[[Request, Made | Failure], None]:
    def write(request: Request, result: Made | Failure) -> None:
        key = ClipKey(system, request.utterance, request.repeat)
        if isinstance(result, Failure):
            store.fail_clip(key, result.error)
        else:
            store.finish_clip(
                key,
                path=result.path,
                sha256=result.sha256,
                duration_s=result.duration_s,
                sample_rate_hz=result.sample_rate_hz,
                synthesis_s=result.synthesis_s,
                cost=result.cost,
                envelope=result.envelope,
            )
        advance()

    return write


def _clip_loser(store: Store, system: str, advance: Advance) -> Callable[[Request, str], None]:
    def lose(request: Request, reason: str) -> None:
        store.fail_clip(ClipKey(system, request.utterance, request.repeat), reason)
        advance()

    return lose


def _write_provenance(plan: Plan, store: Store) -> None:
    text = configuration.to_yaml(_whole_configuration(plan, store))
    (store.folder / "run.yaml").write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    start = {"at": now(), "configuration_sha256": digest, **provenance.collect()}
    store.set_meta("starts", [*store.meta("starts", []), start])


def _whole_configuration(plan: Plan, store: Store) -> RunConfig:
    """The configuration with what earlier starts of a run that grew have brought."""
    sections = (*evaluators.SECTIONS, "options")
    options = {section: getattr(plan.config, section) for section in sections}
    earlier = store.meta("options", {})
    kept = {section: options[section] or earlier.get(section, {}) for section in sections}
    store.set_meta("options", kept)
    declared = to_dict(plan.config)
    if declared["family"] is None and not declared["rivals"]:
        declared = store.meta("declared", declared)
    store.set_meta("declared", {key: declared[key] for key in ("family", "rivals")})
    return replace(
        plan.config,
        family=None if declared["family"] is None else FamilyConfig(**declared["family"]),
        rivals=declared["rivals"],
        systems={row.name: row.target for row in store.systems()},
        metrics=[row.name for row in store.metrics()],
        baseline=store.meta("baseline"),
        margins=store.meta("margins"),
        **kept,
    )
