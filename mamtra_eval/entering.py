"""Entering a plan into a run folder: does it fit what is there, and if so, its rows.

A run folder is continued only with the same things under the same names, so that no figure mixes
two: every utterance with its text and audio, every system by its identity, every metric by its
signature.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mamtra_eval import evaluators, parts, registry
from mamtra_eval.config import DEFAULT_MARGINS, RunConfig, to_dict
from mamtra_eval.errors import MeasurementError, UserError, unknown_name
from mamtra_eval.metrics import Metric
from mamtra_eval.plan import Plan, identify, mixed
from mamtra_eval.profiling.rows import META
from mamtra_eval.protocol import TRANSCRIPTS
from mamtra_eval.reader import DATABASE, RunReader
from mamtra_eval.rows import ClipKey, MetricRow, SystemRow
from mamtra_eval.store import Store
from mamtra_eval.targets import is_floor
from mamtra_eval.testset import TestSet, combine

LONGEST_VALUE = 40
"""Characters of a value that a refusal shows."""


def continued(config: RunConfig, folder: Path) -> RunConfig:
    """The configuration with what the run in a folder, if there is one, follows already."""
    if not (folder / DATABASE).is_file():
        return config
    with RunReader(folder) as store:
        if store.meta("testset") is None:
            return config
        recipe, mode = store.meta("recipe"), store.meta("mode", "strict")
        margins = store.meta("margins")
        context = store.meta("context", config.context)
        floors = {row.name: row.target for row in store.systems() if is_floor(row.kind, row.target)}
    if config.floor and floors:  # the run has one already, by whatever name
        config = replace(config, systems={**config.systems, **floors}, floor=False)
    if margins is not None and config.margins not in (None, margins):
        raise UserError(
            f"the run there has margins {_show(margins)}, which were declared before its numbers",
            where=str(folder),
            fix="Leave margins out, or choose a new folder with --out.",
        )
    for key, before, now in (("recipe", recipe, config.recipe), ("mode", mode, config.mode)):
        if now is not None and now != before:
            raise UserError(
                f"the run there has {key} {before or 'none'}, this command {now}",
                where=str(folder),
                fix="Choose a new folder with --out.",
            )
    if config.context != RunConfig.context:  # one was asked for
        context = config.context
    return replace(config, recipe=recipe, mode=mode, margins=margins, context=context)


def check_new(plan: Plan) -> None:
    """UserError for what could not work in a run folder that does not exist yet."""
    _check_baseline(plan, set())


def enter(plan: Plan, store: Store) -> None:
    """Write the plan into a run folder; UserError if the folder holds another run's rows."""
    _check_baseline(plan, {row.name for row in store.systems()})
    _check_part(plan, store)
    _check_audio(plan, store)
    _check_testset(plan, store)
    _check_profiled(plan, store)
    _check_systems(plan, store)
    _check_metrics(plan, store)
    with store.transaction():
        store.add_utterances(plan.testset.utterances, plan.fingerprints)
        for name, spec in plan.systems.items():
            store.add_system(
                SystemRow(name, spec.kind, spec.target, folder_name(name), plan.identities[name])
            )
            store.add_clips(
                (ClipKey(name, request.utterance, request.repeat), request.seed)
                for request in plan.own_requests(name)
            )
        for name, metric in plan.metrics.items():
            store.add_metric(MetricRow(name, plan.signature(name), metric.note, metric.figures))
        for name, metric in all_metrics(plan, store).items():
            _add_failed_counts(name, metric, plan.testset, store)
        store.set_meta("baseline", _baseline(plan, store))
        store.set_meta("statistics", to_dict(plan.config)["statistics"])
        store.set_meta("context", plan.config.context)
        store.set_meta("speakers", plan.testset.speakers())
        store.set_meta("footprints", {**store.meta("footprints", {}), **_footprints(plan)})
        store.set_meta("notes", _notes(plan, store))
        store.set_meta("recipe", plan.config.recipe)
        store.set_meta("mode", plan.config.mode or "strict")
        if store.meta("margins") is None and store.reading_keys():  # a run of an older version
            store.set_meta("margins_late", True)
        margins = DEFAULT_MARGINS if plan.config.margins is None else plan.config.margins
        store.set_meta("margins", margins)
        if plan.part:
            store.set_meta(parts.META, parts.to_meta(plan.part))
        store.set_meta(
            "testset",
            {
                "name": plan.testset.name,
                "language": plan.testset.language,
                "sha256": combine(plan.fingerprints),
                "n": len(plan.testset.utterances),
                "repeats": plan.config.repeats,
                "seed": plan.config.seed,
            },
        )


def _check_part(plan: Plan, store: Store) -> None:
    """UserError for another part of the plan than the folder's, or one of another size."""
    before = store.meta("testset")
    if before is None:
        return
    part = parts.of_meta(store.meta(parts.META))
    if part != plan.part:
        raise _other(store, *("all clips" if one is None else f"shard {one}"
                              for one in (part, plan.part)))  # fmt: skip
    size = (len(plan.testset.utterances), plan.config.repeats)
    if part and size != (before["n"], before["repeats"]):
        raise _other(store, f"shard {part} of {before['n']} utterances x {before['repeats']}",
                     f"of {size[0]} x {size[1]}")  # fmt: skip


def _footprints(plan: Plan) -> dict[str, dict[str, Any]]:
    """Closed forms of the systems that know theirs."""
    return {name: asdict(found) for name, found in plan.footprints.items()}


def _check_audio(plan: Plan, store: Store) -> None:
    """UserError for transcripts in a run of systems that speak, or the other way round."""
    before = {row.kind == TRANSCRIPTS for row in store.systems()}
    now = {spec.kind == TRANSCRIPTS for spec in plan.systems.values()}
    if len(before | now) > 1:
        raise mixed(str(store.folder))


def _check_profiled(plan: Plan, store: Store) -> None:
    """UserError for a name under which the folder has the costs of another target."""
    profiled = store.meta(META, {}).get("systems", {})
    for name, spec in plan.systems.items():
        target = profiled.get(name, {}).get("target", spec.target)
        if target != spec.target:
            raise UserError(
                f"the profile in this folder has {name!r} as {target}, not {spec.target}",
                where=str(store.folder),
                fix="Give the system another name, or choose another --out.",
            )


def all_metrics(plan: Plan, store: Store) -> dict[str, Metric]:
    """The plan's metrics, and those that the run has from before: a new clip may fail for them."""
    found = dict(plan.metrics)
    config = replace(plan.config, **store.meta("options", {}))
    for row in store.metrics():
        if row.name not in found:
            options = evaluators.options_of(row.name, config, plan.testset)
            found[row.name] = registry.create("metrics", row.name, options)
    return found


def _notes(plan: Plan, store: Store) -> list[tuple[str, str]]:
    """The plan's notes, and earlier ones of metrics that this command does not speak of."""
    spoken = {"", *plan.metrics, *(metric for metric, _ in plan.notes)}
    return [*plan.notes, *(note for note in store.owned_notes() if note[0] not in spoken)]


def _baseline(plan: Plan, store: Store) -> str:
    """The one asked for; else the command's first if it names all systems; else as before."""
    names = [row.name for row in store.systems()]
    if plan.config.baseline is not None:
        return plan.config.baseline
    if set(names) == set(plan.systems):
        return next(iter(plan.systems))
    return str(store.meta("baseline", names[0]))


def folder_name(system: str) -> str:
    """A file name for a system: its own where that is safe, else a readable one with a hash."""
    safe = re.sub(r"[^A-Za-z0-9._+=-]+", "_", system)[:80].lstrip(".")
    if safe == system:
        return safe
    return f"{safe}-{hashlib.sha256(system.encode()).hexdigest()[:6]}"


def _add_failed_counts(name: str, metric: Metric, testset: TestSet, store: Store) -> None:
    for item in testset.utterances:
        try:
            counts = metric.failed_counts(item.text, testset.language)
        except MeasurementError:
            continue  # its clip gets a failure row that says why
        if counts:
            store.add_failed_counts(name, item.id, counts)


def _check_baseline(plan: Plan, others: set[str]) -> None:
    known = {*plan.systems, *others}
    if plan.config.baseline is not None and plan.config.baseline not in known:
        raise unknown_name("system for the baseline", plan.config.baseline, known)


def _check_testset(plan: Plan, store: Store) -> None:
    """Whatever the run has must be in the plan, with the same text and audio."""
    before = store.meta("testset")
    if before is None:
        return
    if before["seed"] != plan.config.seed:
        raise _other(store, f"seed {before['seed']}", f"seed {plan.config.seed}")
    known = store.fingerprints()
    missing = [utt for utt in known if utt not in plan.fingerprints]
    if missing or plan.config.repeats < before["repeats"]:
        here = f"{len(plan.fingerprints)} x {plan.config.repeats}"
        lacking = f" (without {missing[0]})" if missing else ""
        raise _other(store, f"{before['n']} utterances x {before['repeats']}", here + lacking)
    changed = [utt for utt, digest in known.items() if plan.fingerprints[utt] != digest]
    if changed:
        raise _other(store, f"another text, prompt or recording of {changed[0]}", "this one")


def _check_systems(plan: Plan, store: Store) -> None:
    """Compare identities over the clips that the run has: those to come may be new."""
    planned = store.clip_keys()
    for row in store.systems():
        spec = plan.systems.get(row.name)
        if spec is None:
            continue
        earlier = [
            request
            for request in plan.requests(row.name)
            if plan.part or ClipKey(row.name, request.utterance, request.repeat) in planned
        ]  # of a part all, as at its first start
        before = {"kind": row.kind, **row.identity}
        grown = len(earlier) < len(plan.requests(row.name))
        identity = identify(spec, earlier) if grown else plan.identities[row.name]
        now = {"kind": spec.kind, **identity}
        if before != now:
            raise _other(store, f"system {row.name} with {differing(before, now)}",
                         differing(now, before))  # fmt: skip


def _check_metrics(plan: Plan, store: Store) -> None:
    for row in store.metrics():
        if row.name in plan.metrics and plan.signature(row.name) != row.signature:
            now = plan.signature(row.name)
            raise _other(store, f"metric {row.name} as {row.signature}", now)


def _other(store: Store, before: str, now: str) -> UserError:
    return UserError(
        f"the run there has {before}, this command {now}",
        where=str(store.folder),
        fix="Choose a new folder with --out.",
    )


def _show(identity: dict[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def differing(identity: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """What one identity has where another has something else."""
    keys = sorted({*identity, *other})
    if identity.get("kind") != other.get("kind"):
        keys = ["kind"]  # of which all the rest follows
    return ", ".join(
        f"{key} {_cut(identity.get(key), other.get(key))}"
        for key in keys
        if identity.get(key) != other.get(key)
    )


def _cut(value: object, other: object) -> str:
    """A value on one line; of a long one the part where it begins to differ from another."""
    if value is None:
        return "none"
    text, against = (json.dumps(one, sort_keys=True, default=str) for one in (value, other))
    if len(text) <= LONGEST_VALUE:
        return text
    same = len(os.path.commonprefix([text, against]))
    start = max(0, min(same - LONGEST_VALUE // 2, len(text) - LONGEST_VALUE))
    end = start + LONGEST_VALUE
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return f"{before}{text[start:end]}{after}"
