"""Several runs as one: their systems in one table, paired over the same utterances.

Only runs of one test set (texts, prompts and recordings by hash) with the same number of repeats
are put together; anything else is refused. What may differ is marked: readings that were taken
under another signature than the first run's keep it (``RunData.foreign``) and are compared with
nothing. Of the first run are the baseline, the margins and the way to the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mamtra_eval import comparable
from mamtra_eval.errors import UserError
from mamtra_eval.rows import ClipKey, ClipRow, MetricRow, SystemRow
from mamtra_eval.rundata import RunData


def merge(runs: Sequence[RunData]) -> RunData:
    """One run's data of several; of a single one its own. UserError if they can't be compared."""
    first = runs[0]
    if len(runs) == 1:
        return first
    for other in runs[1:]:
        _check(first, other)
    names = _run_names(runs)
    renamed: list[RunData] = []
    for run, name in zip(runs, names, strict=True):
        renamed.append(_renamed(run, _taken(renamed), name))
    metrics = _metrics(renamed)
    signatures = {metric.name: metric.signature for metric in metrics}
    return replace(
        first,
        systems=tuple(system for run in renamed for system in run.systems),
        metrics=metrics,
        clips=tuple(clip for run in renamed for clip in run.clips),
        readings={key: value for run in renamed for key, value in run.readings.items()},
        failed_counts=_failed_counts(renamed),
        footprints={name: one for run in renamed for name, one in run.footprints.items()},
        foreign={
            (system.name, metric.name): metric.signature
            for run in renamed
            for metric in run.metrics
            if metric.signature != signatures[metric.name]
            for system in run.systems
        },
        opinions=tuple(opinion for run in renamed for opinion in run.opinions),
        notes=tuple(_notes(runs, names)),
        merged=tuple(names),
    )


def _check(first: RunData, other: RunData) -> None:
    """UserError if nothing of two runs can be compared."""
    for reason in comparable.reasons(first, other):
        if reason.forbids_all:
            raise UserError(
                f"it has another {reason.subject} ({reason.second}) than {first.folder} "
                f"({reason.first})",
                where=str(other.folder),
                fix="Only runs of the same utterances share a table. Add --apart for a leaderboard "
                "of each.",
            )


def _run_names(runs: Sequence[RunData]) -> list[str]:
    """Folder names, with as much of the path as tells them apart."""
    parts = [run.folder.absolute().parts for run in runs]
    depth = 1
    while len({one[-depth:] for one in parts}) < len({*parts}):
        depth += 1
    return ["/".join(one[-depth:]) for one in parts]


def _taken(runs: Sequence[RunData]) -> set[str]:
    return {system.name for run in runs for system in run.systems}


def _renamed(run: RunData, taken: set[str], name: str) -> RunData:
    """The run with another name for each system whose name an earlier run has."""
    new: dict[str, str] = {}
    for system in run.systems:
        wanted, number = system.name, 1
        while wanted in taken or (wanted != system.name and wanted in _taken([run])):
            number += 1
            wanted = f"{system.name} of {name}" + (f" ({number})" if number > 2 else "")
        new[system.name] = wanted
        taken = taken | {wanted}
    return replace(
        run,
        systems=tuple(_system(system, new) for system in run.systems),
        clips=tuple(_clip(clip, new) for clip in run.clips),
        readings={(_key(key, new), metric): one for (key, metric), one in run.readings.items()},
        footprints={new[system]: one for system, one in run.footprints.items()},
        opinions=tuple(opinion.renamed(new) for opinion in run.opinions),
    )


def _key(key: ClipKey, new: dict[str, str]) -> ClipKey:
    return ClipKey(new[key.system], key.utterance, key.repeat)


def _clip(clip: ClipRow, new: dict[str, str]) -> ClipRow:
    """The clip without its times: those of another run, on another day, are no comparison."""
    return replace(clip, key=_key(clip.key, new), synthesis_s=None)


def _system(system: SystemRow, new: dict[str, str]) -> SystemRow:
    return replace(system, name=new[system.name])


def _metrics(runs: Sequence[RunData]) -> tuple[MetricRow, ...]:
    """Every metric by the first run that has it."""
    found: dict[str, MetricRow] = {}
    for run in runs:
        for metric in run.metrics:
            found.setdefault(metric.name, metric)
    return tuple(found.values())


def _failed_counts(runs: Sequence[RunData]) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for run in runs:
        for metric, counts in run.failed_counts.items():
            found[metric] = {**counts, **found.get(metric, {})}
    return found


def _notes(runs: Sequence[RunData], names: Sequence[str]) -> list[str]:
    """Where the rows come from, how their runs differ, and each run's own notes."""
    first = runs[0]
    found = [f"Put together from the runs {', '.join(names)}; baseline and intervals of the first."]
    for run, name in zip(runs[1:], names[1:], strict=True):
        differs = comparable.reasons(first, run)
        if cautions := [str(one) for one in differs if one.metric is None]:
            found.append(f"Run {name} has {'; '.join(cautions)}.")
        if marked := {one.metric: one.subject for one in differs if one.metric is not None}:
            listed = ", ".join(f"{metric} (another {why})" for metric, why in marked.items())
            found.append(f"Of run {name} these are marked and compared with nothing: {listed}.")
    told = [(name, note) for run, name in zip(runs, names, strict=True) for note in run.notes]
    return [*found, *(f"Run {name}: {note}" for name, note in told)]
