"""Where a profile is kept: its rows, its subjects and its sessions, in a run folder.

The folder may be one that ``evaluate`` wrote: a subject then bears the name of a system of the run
and must be the same target, so that quality and cost stand side by side. It may as well be a new
one, which holds a profile and nothing else. Meta ``profile`` is::

    {"baseline": NAME,
     "systems": {NAME: {"target", "config" (of its decoder) or null, "bits" or null, "weights",
                        "sha256" (of a checkpoint's weights) or null}},
     "sessions": {HASH: identity}, "conditions": [{"session", "at", "before", "after"}]}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.profiling.rows import META, ProfileKey, ProfileRow
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.reader import RunReader
from mamtra_eval.run_folder import now
from mamtra_eval.store import Store


def describe(store: RunReader) -> dict[str, Any]:
    """The meta of a folder's profile; empty parts where there is none."""
    kept: dict[str, Any] = store.meta(META, {})
    return {"baseline": None, "systems": {}, "sessions": {}, "conditions": [], **kept}


def enter(
    store: Store,
    subjects: Sequence[Subject],
    identity: dict[str, Any],
    session: str,
    baseline: str | None,
) -> None:
    """Keep who is profiled, and under what; UserError where a name is somebody else's."""
    kept = describe(store)
    spoken = {row.name: row.target for row in store.systems()}
    for subject in subjects:
        _refuse_other(subject, kept["systems"].get(subject.name, {}).get("target"), store)
        _refuse_other(subject, spoken.get(subject.name), store)
        found = {
            "target": subject.target,
            "config": subject.config.to_dict() if subject.config else None,
            "bits": subject.bits,
            "sha256": subject.fingerprint(),
        }
        _refuse_changed(subject, kept["systems"].get(subject.name), found, store)
        kept["systems"][subject.name] = {**found, "weights": identity["weights"]}
    kept["sessions"][session] = identity
    kept["baseline"] = _baseline(baseline, kept, subjects, store)
    store.set_meta(META, kept)


def add_conditions(
    store: Store, session: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Keep what the machine was like while it was measured."""
    kept = describe(store)
    kept["conditions"] += [{"session": session, "at": now(), "before": before, "after": after}]
    store.set_meta(META, kept)


def done(store: RunReader, session: str) -> dict[ProfileKey, ProfileRow]:
    """A session's rows that need not be measured again: those without an error."""
    return {
        row.key: row for row in store.profiles() if row.key.session == session and row.error is None
    }


def keep(store: Store, rows: Sequence[ProfileRow], *, instead: bool = False) -> None:
    """All rows of a cell, or none; ``instead`` of what their systems have in these workloads."""
    with store.transaction():
        if instead:
            for session, system, workload in {
                (row.key.session, row.key.system, row.key.workload) for row in rows
            }:
                store.forget_profile(session, system, workload)
        for row in rows:
            store.add_profile(row)


def _refuse_other(subject: Subject, target: str | None, store: Store) -> None:
    if target is not None and target != subject.target:
        raise UserError(
            f"{subject.name!r} is {target} in this run, not {subject.target}",
            where=str(store.folder),
            fix=f"Name it otherwise, or give the same target: {subject.name}={target}.",
        )


def _refuse_changed(
    subject: Subject, before: dict[str, Any] | None, now: dict[str, Any], store: Store
) -> None:
    """UserError for weights or a shape that are not those whose rows the folder has."""
    if before is None or before.get("sha256") is None:
        return
    if any(before[key] != now[key] for key in ("config", "sha256")):
        raise UserError(
            f"{subject.target} was changed since it was profiled as {subject.name!r}",
            where=str(store.folder),
            fix="Give it another name, or choose another --out.",
        )


def _baseline(
    wanted: str | None, kept: dict[str, Any], subjects: Sequence[Subject], store: Store
) -> str:
    if wanted is not None:
        if wanted not in kept["systems"]:
            raise UserError(
                f"the baseline {wanted!r} is none of the profiled",
                fix=f"Known: {', '.join(kept['systems'])}.",
            )
        return wanted
    ran = store.meta("baseline")
    return str(kept["baseline"] or (ran if ran in kept["systems"] else subjects[0].name))
