"""Golden clips: a few recordings that every run measures, so that a changed evaluator shows.

Before a run scores, its metrics (but derived ones and supplied transcripts) are taken of ``CLIPS``,
recordings of the packaged test set mini-en, with the run's own options and workers. The readings
are compared with those under the same signature that this run kept at an earlier start, that
another run of this user kept (``mamtra-eval/golden`` in the cache, beside embeddings of prompts),
and that are shipped (``golden.json``, made by ``benchmarks/golden_reference.py``). What differs
(``drift``) is a note of the run. No row of clips or readings is touched; what fails here is told
and ends nothing. ``execution.golden=false`` leaves it out.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval import audio, catalogue, drift, executors, provenance, weights
from mamtra_eval.errors import UserError
from mamtra_eval.executors import Need
from mamtra_eval.metrics import Item
from mamtra_eval.plan import Plan
from mamtra_eval.progress import Advance, Progress
from mamtra_eval.recipes.applying import SUPPLIED
from mamtra_eval.run_folder import now
from mamtra_eval.stages import Failure, Scorer, ScoreTask, Taken
from mamtra_eval.store import Store
from mamtra_eval.testset import TestSet

SET = "mini-en"
CLIPS = 3
"""How many of the set's first utterances with a recording are taken."""
SHIPPED = Path(__file__).with_name("golden.json")

Found = dict[str, dict[str, dict[str, Any]]]
"""By metric and clip, what ``drift.plain`` keeps."""


@dataclass(frozen=True)
class _Earlier:
    """Readings of one signature, and when and where they were taken."""

    clips: dict[str, dict[str, Any]]
    when: str
    where: str


def check(plan: Plan, store: Store, progress: Progress) -> None:
    """Measure the golden clips if anything is left to score, and note what changed."""
    metrics = [
        name
        for name, metric in plan.metrics.items()
        if not metric.sources and plan.metric_options[name].get("backend") != SUPPLIED
    ]
    if not plan.config.execution.golden or not metrics or not store.unread(metrics):
        return
    kept = store.meta(drift.META, {"checks": [], "notes": []})
    found, failures = _measure(plan, store, metrics, progress)
    number, where = len(store.meta("starts", [])), _where()
    signatures = {name: plan.signature(name) for name in found}
    notes = dict.fromkeys([*kept["notes"], *failures])
    for name, clips in found.items():
        for earlier in _earlier(kept, signatures[name]):
            for change in drift.changes(name, earlier.clips, clips):
                notes[change.told(earlier.when, earlier.where) + f" Now: {now()}, {where}."] = None
    record = {
        "start": number,
        "at": now(),
        "where": where,
        "readings": {signatures[name]: clips for name, clips in found.items()},
    }
    store.set_meta(drift.META, {"checks": [*kept["checks"], record], "notes": [*notes]})
    for name, clips in found.items():
        good = {clip: one for clip, one in clips.items() if "error" not in one}
        if good:
            _remember(signatures[name], good, record)


def tasks(metrics: tuple[str, ...]) -> list[ScoreTask]:
    """One task per golden clip; UserError if the packaged set is not there."""
    found: list[ScoreTask] = []
    for item in _packaged().utterances:
        if item.ground_truth and len(found) < CLIPS:
            clip = Item(
                item.id, item.text, item.ground_truth, item.prompt_audio, "en", item.prompt_text
            )
            sha256 = audio.sha256(item.ground_truth)
            found.append(ScoreTask("golden", 0, clip, sha256, metrics))
    return found


def _packaged() -> TestSet:
    """The set as shipped, whatever a working directory has under its name."""
    package = Path(__file__).parent
    for folder in (package / "_testsets", package.parent / "testsets"):
        if (folder / SET / catalogue.CARD).is_file():
            return catalogue.load(str(folder / SET))
    raise UserError(f"the packaged test set {SET} is not there", fix="Install the package again.")


def _measure(
    plan: Plan, store: Store, metrics: list[str], progress: Progress
) -> tuple[Found, list[str]]:
    """Readings by metric and clip, and a note for each that there is none of."""
    found: Found = {name: {} for name in metrics}

    def write(task: ScoreTask, results: dict[str, Taken | Failure]) -> None:
        for name, one in results.items():
            taken = one.reading if isinstance(one, Taken) else one.error
            found[name][task.item.utterance] = drift.plain(taken)

    def lost(task: ScoreTask, reason: str) -> None:
        for name in task.metrics:
            found[name][task.item.utterance] = drift.plain(reason)

    try:
        executor = executors.choose(plan.config.execution, store.folder)
        options = ({name: plan.metric_options[name] for name in metrics},)
        # Each alone: what takes its worker down takes no other's reading with it.
        every = [task for name in metrics for task in tasks((name,))]
        with progress.stage("Golden clips", len(every)) as advance:
            batches = [[task] for task in every]
            executor.run(
                Scorer, options, batches, _then(write, advance), _then(lost, advance), Need(1)
            )
    except (UserError, OSError) as error:  # which scoring tells better, where it matters there
        return found, [f"Golden clips were not measured: {error}"]
    return found, [
        f"Golden clip {clip}: {name} could not be taken ({one['error']})"
        for name, clips in found.items()
        for clip, one in clips.items()
        if "error" in one
    ]


def _then(
    what: Callable[[ScoreTask, Any], None], advance: Advance
) -> Callable[[ScoreTask, Any], None]:
    """The one, then the other."""

    def both(task: ScoreTask, result: Any) -> None:  # noqa: ANN401 -- results or a reason
        what(task, result)
        advance()

    return both


def _earlier(kept: dict[str, Any], signature: str) -> Iterator[_Earlier]:
    """Readings of a signature: of this run's last check, of this user's, as shipped."""
    for record in reversed(kept["checks"]):
        if signature in record["readings"]:
            where = f"start {record['start']} of this run, {record['where']}"
            yield _Earlier(record["readings"][signature], record["at"], where)
            break
    else:
        if one := _read(_path(signature)):
            yield _Earlier(one["clips"], one["at"], f"another run here, {one['where']}")
    shipped = (_read(SHIPPED) or {}).get(signature)
    if shipped:
        yield _Earlier(shipped["clips"], shipped["at"], f"as shipped, {shipped['where']}")


def _where() -> str:
    facts = provenance.collect()
    torch = facts["packages"].get("torch", "none")
    machine = facts["processor"] if facts["device"] == "cpu" else facts["device"]
    return f"mamtra_eval {facts['mamtra_eval']}, torch {torch}, {machine}"


def _path(signature: str) -> Path:
    name = hashlib.sha256(signature.encode()).hexdigest()[:32]
    return weights.cache() / "mamtra-eval" / "golden" / f"{name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or cut off: it is a cache
        return None
    return found if isinstance(found, dict) else None


def _remember(signature: str, clips: dict[str, dict[str, Any]], record: dict[str, Any]) -> None:
    path = _path(signature)
    part = path.with_suffix(f".{os.getpid()}.part")
    content = {"signature": signature, "clips": clips, "at": record["at"], "where": record["where"]}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(path)
    except OSError:  # full, or not ours to write: it is a cache
        with suppress(OSError):
            part.unlink()
