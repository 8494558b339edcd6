"""Readings of the clips that are there: taken, worked out from others, compared between modes.

``score`` takes what is missing, ``derive`` works out what follows from other readings, ``agree``
measures a sample of a fast run strictly.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mamtra_eval import agreement, entering, evaluators, executors
from mamtra_eval import plan as planning
from mamtra_eval.errors import UserError, describe
from mamtra_eval.executors import Executor, Need
from mamtra_eval.metrics import Item, Metric, Reading
from mamtra_eval.plan import Plan
from mamtra_eval.progress import Advance, Progress
from mamtra_eval.rows import ClipKey
from mamtra_eval.stages import Failure, Scorer, ScoreTask, Taken, checked
from mamtra_eval.store import Store


def score(plan: Plan, store: Store, progress: Progress) -> None:
    """Take every reading that is missing of the clips that are there.

    Networks on a GPU are held by one process a device; what a CPU measures is shared among all
    workers.
    """
    executor = executors.choose(plan.config.execution, store.folder)
    listened = {name: metric for name, metric in plan.metrics.items() if not metric.sources}
    large = {name for name, metric in listened.items() if _on_gpu(metric, executor)}
    bound = {name for name in large if listened[name].device}  # to one device, by name
    for names, need in (
        (listened.keys() - large, Need()),
        (bound, Need(1)),
        (large - bound, Need(1, per_device=True)),
    ):
        if tasks := _score_tasks(plan, store, names):
            _score(plan, store, progress, executor, tasks, need)


def _on_gpu(metric: Metric, executor: Executor) -> bool:
    return metric.on_device and executor.on_gpu(metric.device)


def _score(
    plan: Plan, store: Store, progress: Progress, executor: Executor, tasks: list[ScoreTask],
    need: Need,
) -> None:  # fmt: skip
    with progress.stage("Scoring", len(tasks)) as advance:
        retries: list[ScoreTask] = []
        write = _reading_writer(store, advance)

        def lost(task: ScoreTask, reason: str) -> None:
            # Which metric it was shows when each is taken alone.
            if len(task.metrics) > 1:
                retries.extend(replace(task, metrics=(metric,)) for metric in task.metrics)
                return
            store.fail_reading(_key(task), task.metrics[0], reason)
            if task not in retries:
                advance()

        args = (plan.metric_options,)
        together = _taken_together(plan, tasks, need.workers or executor.workers)
        batches = planning.batches(tasks, together)
        executor.run(Scorer, args, batches, write, lost, need, together > 1)
        alone = _reading_writer(store, lambda: None)
        executor.run(Scorer, args, [[task] for task in retries], alone, lost, need)
        for _ in {_key(task) for task in retries}:
            advance()


def _taken_together(plan: Plan, tasks: list[ScoreTask], workers: int) -> int:
    """Clips handed over at once: two batches of the metric with the largest, if any has batches.

    Two, so that the audio of the second is read while the first is with the network.
    """
    names = {name for task in tasks for name in task.metrics}
    most = max(plan.metrics[name].batch_size for name in names)
    return 1 if most == 1 else min(2 * most, math.ceil(len(tasks) / workers))


def derive(plan: Plan, store: Store) -> None:
    """Work out the readings that follow from other readings, where those are there.

    Of every such metric that the run has, asked for now or before. What failed is worked out again:
    the reading that it lacked may have been retaken.
    """
    every = entering.all_metrics(plan, store)
    derived = {name: metric for name, metric in every.items() if metric.sources}
    missing = store.unread([*derived], failed=False)
    tasks = [(task, name) for task in _tasks(plan, store, missing) for name in task.metrics]
    if not tasks:
        return
    needed = {source for _, name in tasks for source in derived[name].sources}
    found: dict[tuple[ClipKey, str], Reading | str] = {
        (row.key, row.metric): row.reading or (row.error or "") for row in store.readings(needed)
    }
    for task, name in tasks:
        key, metric = _key(task), derived[name]
        sources = {source: found.get((key, source)) for source in metric.sources}
        if None in sources.values():
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
    """Where clips were taken together or in half precision, measure a sample of them strictly."""
    if all(evaluators.strict(name, own) == own for name, own in plan.metric_options.items()):
        return
    earlier = store.meta("agreement", {})
    clips = {row.key: row.sha256 for row in store.clips() if row.status == "done"}
    for name, own in plan.metric_options.items():
        strict = evaluators.strict(name, own)
        if strict == own:
            continue
        fast = {
            row.key: row.reading or (row.error or "")
            for row in store.readings({name})
            if row.key in clips
        }
        keys = agreement.sample(fast)
        content = [(key, clips[key]) for key in keys]
        asked = hashlib.sha256(repr((content, plan.signature(name), strict)).encode()).hexdigest()
        if earlier.get(name, {}).get("asked") == asked:
            continue
        again = _measure_again(plan, store, progress, name, strict, set(keys))
        found = agreement.compare(plan.metrics[name], {key: fast[key] for key in keys}, again)
        earlier[name] = {**found, "asked": asked}
        store.set_meta("agreement", earlier)


def _measure_again(
    plan: Plan, store: Store, progress: Progress, name: str, options: dict[str, Any],
    keys: set[ClipKey],
) -> dict[ClipKey, Reading | str]:  # fmt: skip
    """Readings of one metric with other options, or why there are none; kept nowhere."""
    tasks = [*_tasks(plan, store, dict.fromkeys(keys, (name,)))]
    found: dict[ClipKey, Reading | str] = {}
    with progress.stage(f"Again, one at a time: {name}", len(tasks)) as advance:

        def write(task: ScoreTask, results: dict[str, Taken | Failure]) -> None:
            taken = results[name]
            found[_key(task)] = taken.reading if isinstance(taken, Taken) else taken.error
            advance()

        def lost(task: ScoreTask, reason: str) -> None:
            found[_key(task)] = reason
            advance()

        executor = executors.choose(plan.config.execution, store.folder)
        need = Need(1) if _on_gpu(plan.metrics[name], executor) else Need()
        executor.run(Scorer, ({name: options},), [[task] for task in tasks], write, lost, need)
    return found


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


def _score_tasks(plan: Plan, store: Store, names: Collection[str]) -> list[ScoreTask]:
    """One task per clip that lacks readings; a later metric also reaches earlier systems' clips.

    Shortest first where clips are taken together, so that those of one length meet.
    """
    missing = store.unread([name for name in plan.metrics if name in names])
    tasks = [*_tasks(plan, store, missing)]
    if any(plan.metrics[name].batch_size > 1 for name in names):
        lengths = {row.key: row.duration_s or 0.0 for row in store.clips()}
        tasks.sort(key=lambda task: (lengths[_key(task)], len(task.item.text)))
    return tasks


def _tasks(
    plan: Plan, store: Store, wanted: Mapping[ClipKey, Sequence[str]]
) -> Iterator[ScoreTask]:
    """A task for each of the clips that is there, with its metrics."""
    if not wanted:  # nothing is read of a run that is complete
        return
    items = {item.id: item for item in store.utterances()}
    for row in store.clips():
        if row.status == "done" and row.path and row.key in wanted:
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
            metrics = tuple(wanted[row.key])
            yield ScoreTask(row.key.system, row.key.repeat, item, row.sha256 or "", metrics)
