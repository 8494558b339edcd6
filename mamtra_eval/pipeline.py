"""Plan, synthesize, score: what is done is never done twice.

``evaluate`` brings a run folder to its end, from wherever it stands: a new one, one that was
killed, one that gets a further system. Afterwards the folder holds a row for everything that was
planned. Reports read those rows (``mamtra_eval.report``).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mamtra_eval import agreement, audio, entering, provenance, registry
from mamtra_eval import config as configuration
from mamtra_eval import plan as planning
from mamtra_eval.config import RunConfig
from mamtra_eval.errors import UserError, describe
from mamtra_eval.executors.local import LocalExecutor
from mamtra_eval.metrics import Item, Metric, Reading
from mamtra_eval.plan import Plan
from mamtra_eval.progress import Advance, Progress, Silent
from mamtra_eval.reader import DATABASE
from mamtra_eval.rows import ClipKey, ClipRow
from mamtra_eval.stages import Failure, Made, Scorer, ScoreTask, Synthesizer, Taken, checked
from mamtra_eval.store import Store, now
from mamtra_eval.systems import Request, System


def evaluate(
    config: RunConfig,
    out: Path | None = None,
    *,
    progress: Progress | None = None,
    retry_failed: bool = False,
) -> Path:
    """Run a configuration to its end and return the run folder.

    Args:
        config: what to measure.
        out: the run folder; by default one named after the test set and the configuration's hash,
            so that the same call continues what an earlier one began.
        progress: told how far it is.
        retry_failed: try failed clips and readings again instead of keeping their rows.

    Raises:
        UserError: for whatever is wrong with the configuration, before anything is made.
    """
    plan = planning.make(config)
    folder = out or plan.default_folder()
    if not (folder / DATABASE).exists():
        entering.check_new(plan)  # before anything is written
    with Store(folder) as store, store.lock():
        entering.enter(plan, store)
        _write_provenance(plan, store)
        if retry_failed:
            store.forget_failures(list(plan.systems), list(plan.metrics))
        show = progress or Silent()
        synthesize(plan, store, show)
        score(plan, store, show)
        derive(plan, store)
        agree(plan, store, show)
        store.set_meta("finished", now())
    return folder


def synthesize(plan: Plan, store: Store, progress: Progress) -> None:
    """Make every planned clip of the plan's systems that is not there yet."""
    folders = {row.name: row.folder for row in store.systems()}
    rows = {row.key: row for row in store.clips()}
    for name, spec in plan.systems.items():
        missing = [
            request
            for request in plan.requests(name)
            if _is_missing(store, rows[ClipKey(name, request.utterance, request.repeat)])
        ]
        if not missing:
            continue
        audio.remove_parts(store.folder / "clips" / folders[name])
        system: System = registry.create("systems", spec.kind, spec.options)
        batch_size, most = system.batch_size, system.max_processes
        system.close()
        executor = _executor(plan)
        workers = min(most or executor.workers, executor.workers)
        size = min(batch_size, math.ceil(len(missing) / workers))  # work for every one of them
        with progress.stage(f"Speaking  {name}", len(missing)) as advance:
            executor.run(
                Synthesizer,
                (spec, store.folder, folders[name]),
                planning.batches(missing, size),
                on_result=_clip_writer(store, name, advance),
                on_lost=_clip_loser(store, name, advance),
                workers=workers,
            )


def score(plan: Plan, store: Store, progress: Progress) -> None:
    """Take every reading that is missing of the clips that are there."""
    tasks = _score_tasks(plan, store)
    if not tasks:
        return
    with progress.stage("Scoring", len(tasks)) as advance:
        retries: list[ScoreTask] = []
        executor = _executor(plan)
        write = _reading_writer(store, advance)

        def lost(task: ScoreTask, reason: str) -> None:
            # Which metric it was shows when each is taken alone.
            if len(task.metrics) > 1:
                retries.extend(replace(task, metrics=(metric,)) for metric in task.metrics)
                return
            store.fail_reading(_key(task), task.metrics[0], reason)

        args = (plan.metric_options,)
        together = _taken_together(plan, len(tasks), executor.workers)
        batches = planning.batches(tasks, together)
        executor.run(Scorer, args, batches, write, lost, together=together > 1)
        alone = _reading_writer(store, lambda: None)
        executor.run(Scorer, args, [[task] for task in retries], alone, lost)
        for _ in {_key(task) for task in retries}:
            advance()


def _taken_together(plan: Plan, n: int, workers: int) -> int:
    """Clips handed over at once: two batches of the metric with the largest, if any has batches.

    Two, so that the audio of the second is read while the first is with the network.
    """
    most = max(metric.batch_size for metric in plan.metrics.values())
    return 1 if most == 1 else min(2 * most, math.ceil(n / workers))


def derive(plan: Plan, store: Store) -> None:
    """Work out the readings that follow from other readings, where those are there."""
    derived = {name: metric for name, metric in plan.metrics.items() if metric.sources}
    if not derived:
        return
    found: dict[tuple[ClipKey, str], Reading | str] = {
        (row.key, row.metric): row.reading or (row.error or "") for row in store.readings()
    }
    for task in _all_tasks(plan, store):
        key = _key(task)
        for name, metric in derived.items():
            sources = {source: found.get((key, source)) for source in metric.sources}
            if (key, name) in found or None in sources.values():
                continue
            result = _derived(metric, task.item, sources)
            if isinstance(result, Reading):
                store.add_reading(key, name, result, 0.0)
            else:
                store.fail_reading(key, name, result)


def _derived(
    metric: Metric, item: Item, sources: Mapping[str, Reading | str | None]
) -> Reading | str:
    """A derived reading, or why there is none."""
    failed = [f"{name}: {why}" for name, why in sources.items() if isinstance(why, str)]
    if failed:
        return "; ".join(failed)
    readings = {name: found for name, found in sources.items() if isinstance(found, Reading)}
    try:
        return checked(metric.derive(item, readings), metric)
    except UserError:
        raise
    except Exception as error:  # a failure is a row, never the run's end
        return describe(error)


def agree(plan: Plan, store: Store, progress: Progress) -> None:
    """Of a run in fast mode, measure a sample of the clips strictly and keep how they agree."""
    strict = replace(plan.config, mode="strict")
    options = {
        name: found
        for name, faster in plan.metric_options.items()
        if (found := planning.metric_options(name, strict, plan.testset)) != faster
    }
    done = {row.key for row in store.clips() if row.status == "done"}
    rows = {(row.key, row.metric): row.reading for row in store.readings() if row.reading}
    earlier = store.meta("agreement", {})
    for name, own in options.items():
        fast = {key: reading for (key, metric), reading in rows.items() if metric == name}
        keys = agreement.sample(fast.keys() & done)
        asked = hashlib.sha256(repr((keys, plan.signature(name), own)).encode()).hexdigest()
        if earlier.get(name, {}).get("asked") == asked:
            continue
        again = _measure_again(plan, store, progress, name, own, set(keys))
        found = agreement.compare(plan.metrics[name], {key: fast[key] for key in keys}, again)
        earlier[name] = {**found, "asked": asked}
        store.set_meta("agreement", earlier)


def _measure_again(
    plan: Plan, store: Store, progress: Progress, name: str, options: dict[str, Any],
    keys: set[ClipKey],
) -> dict[ClipKey, Reading]:  # fmt: skip
    """Readings of one metric with other options, kept nowhere."""
    tasks = [
        replace(task, metrics=(name,)) for task in _all_tasks(plan, store) if _key(task) in keys
    ]
    found: dict[ClipKey, Reading] = {}
    with progress.stage(f"Again, one at a time: {name}", len(tasks)) as advance:

        def write(task: ScoreTask, results: dict[str, Taken | Failure]) -> None:
            taken = results[name]
            if isinstance(taken, Taken):
                found[_key(task)] = taken.reading
            advance()

        def lost(task: ScoreTask, reason: str) -> None:
            del task, reason
            advance()

        _executor(plan).run(Scorer, ({name: options},), [[task] for task in tasks], write, lost)
    return found


def _executor(plan: Plan) -> LocalExecutor:
    return LocalExecutor(plan.config.execution.workers, plan.config.execution.timeout_s)


def _is_missing(store: Store, row: ClipRow) -> bool:
    if row.status == "done" and not (store.folder / (row.path or "")).is_file():
        store.forget_clip(row.key)  # somebody deleted the file: make it anew
        return True
    return row.status == "planned"


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
            )
        advance()

    return write


def _clip_loser(store: Store, system: str, advance: Advance) -> Callable[[Request, str], None]:
    def lose(request: Request, reason: str) -> None:
        store.fail_clip(ClipKey(system, request.utterance, request.repeat), reason)
        advance()

    return lose


def _reading_writer(
    store: Store, advance: Advance
) -> Callable[[ScoreTask, dict[str, Taken | Failure]], None]:
    def write(task: ScoreTask, results: dict[str, Taken | Failure]) -> None:
        with store.transaction():
            for metric, result in results.items():
                if isinstance(result, Failure):
                    store.fail_reading(_key(task), metric, result.error)
                else:
                    store.add_reading(_key(task), metric, result.reading, result.measure_s)
        advance()

    return write


def _key(task: ScoreTask) -> ClipKey:
    return ClipKey(task.system, task.item.utterance, task.repeat)


def _score_tasks(plan: Plan, store: Store) -> list[ScoreTask]:
    """One task per clip that lacks readings; a later metric also reaches earlier systems' clips.

    Shortest first where clips are taken together, so that those of one length meet.
    """
    done = store.reading_keys()
    tasks = []
    for task in _all_tasks(plan, store):
        missing = tuple(
            name
            for name, metric in plan.metrics.items()
            if not metric.sources and (_key(task), name) not in done
        )
        if missing:
            tasks.append(replace(task, metrics=missing))
    if any(metric.batch_size > 1 for metric in plan.metrics.values()):
        lengths = {row.key: row.duration_s or 0.0 for row in store.clips()}
        tasks.sort(key=lambda task: (lengths[_key(task)], len(task.item.text)))
    return tasks


def _all_tasks(plan: Plan, store: Store) -> Iterator[ScoreTask]:
    """A task for each clip that is there, with all metrics of the plan."""
    items = {item.id: item for item in store.utterances()}
    for row in store.clips():
        if row.status == "done" and row.path:
            utterance = items[row.key.utterance]
            item = Item(
                utterance.id,
                utterance.text,
                store.folder / row.path,
                utterance.prompt_audio,
                plan.testset.language,
                utterance.prompt_text,
                row.duration_s,
            )
            yield ScoreTask(
                row.key.system, row.key.repeat, item, row.sha256 or "", tuple(plan.metrics)
            )


def _write_provenance(plan: Plan, store: Store) -> None:
    text = configuration.to_yaml(_whole_configuration(plan, store))
    (store.folder / "run.yaml").write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    start = {"at": now(), "configuration_sha256": digest, **provenance.collect()}
    store.set_meta("starts", [*store.meta("starts", []), start])


def _whole_configuration(plan: Plan, store: Store) -> RunConfig:
    """The configuration with what earlier starts of a run that grew have brought."""
    sections = (*planning.SECTIONS, "options")
    options = {section: getattr(plan.config, section) for section in sections}
    earlier = store.meta("options", {})
    kept = {section: options[section] or earlier.get(section, {}) for section in sections}
    store.set_meta("options", kept)
    return replace(
        plan.config,
        systems={row.name: row.target for row in store.systems()},
        metrics=[row.name for row in store.metrics()],
        baseline=store.meta("baseline"),
        recipe=plan.config.recipe or store.meta("recipe"),
        **kept,
    )
