"""Is a run still what it was: audio, lists, systems, evaluators, configuration, reports.

Everything that a run's rows depend on has its hash in the run. ``verify`` works all of them out
again from what lies there now and names what differs. Figures are always worked out from rows, so
a report that is not what the rows give was changed, or written by another version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mamtra_eval import audio, results
from mamtra_eval import config as configuration
from mamtra_eval import plan as planning
from mamtra_eval import tradeoff as families
from mamtra_eval.errors import UserError
from mamtra_eval.plan import Plan
from mamtra_eval.reader import RunReader
from mamtra_eval.report import leaderboard, profile, tradeoff

CONFIGURATION = "run.yaml"


class Difference(NamedTuple):
    """One thing that is not what it was.

    Attributes:
        kind: ``clip``, ``configuration``, ``test set``, ``system``, ``metric``, ``report``.
        name: which: a path in the run folder, an utterance, a system, a metric.
        what: what is different; ``can't be checked`` where that is all that can be said.
    """

    kind: str
    name: str
    what: str


def verify(store: RunReader) -> list[Difference]:
    """All differences, from the configuration to the reports."""
    found = [*_configuration(store)]
    try:
        unknown: dict[str, UserError] = {}
        plan = planning.make(configuration.load(str(store.folder / CONFIGURATION)), unknown)
    except UserError as error:  # a list that is gone, weights that are not here, a broken run.yaml
        found.append(Difference("configuration", CONFIGURATION, f"can't be checked: {error}"))
    else:
        found += [
            Difference("system", name, f"can't be checked: {error}")
            for name, error in unknown.items()
        ]
        found += [*_testset(store, plan), *_systems(store, plan), *_metrics(store, plan)]
    return [*found, *_clips(store), *_reports(store)]


def _configuration(store: RunReader) -> Iterator[Difference]:
    starts = store.meta("starts", [])
    if not starts:
        return
    path = store.folder / CONFIGURATION
    now = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    if now is None:
        yield Difference("configuration", CONFIGURATION, "is missing")
    elif now != starts[-1]["configuration_sha256"]:
        yield Difference("configuration", CONFIGURATION, "was changed after the run")


def _testset(store: RunReader, plan: Plan) -> Iterator[Difference]:
    for utterance, before in store.fingerprints().items():
        now = plan.fingerprints.get(utterance)
        if now is None:
            yield Difference("test set", utterance, "is not in the list any more")
        elif now != before:
            yield Difference("test set", utterance, "has another text, prompt or recording")


def _systems(store: RunReader, plan: Plan) -> Iterator[Difference]:
    for row in store.systems():
        now = plan.identities.get(row.name)
        if now is not None and now != row.identity:
            keys = {*now, *row.identity}
            changed = sorted(key for key in keys if now.get(key) != row.identity.get(key))
            yield Difference("system", row.name, f"is another: {', '.join(changed)}")


def _metrics(store: RunReader, plan: Plan) -> Iterator[Difference]:
    for row in store.metrics():
        if row.name in plan.metrics and (now := plan.signature(row.name)) != row.signature:
            yield Difference("metric", row.name, f"was {row.signature}, is {now}")


def _clips(store: RunReader) -> Iterator[Difference]:
    for row in store.clips():
        if row.status != "done" or row.path is None:
            continue
        path = store.folder / row.path
        if not path.is_file():
            yield Difference("clip", row.path, "is missing")
        elif audio.sha256(path) != row.sha256:
            yield Difference("clip", row.path, "was changed after it was made")


def _reports(store: RunReader) -> Iterator[Difference]:
    found = results.collect(store)
    family = families.build(found, found.context)
    reports = {leaderboard.FILE: leaderboard.render(found)}
    if family is not None:
        reports[tradeoff.FILE] = tradeoff.render(found, family)
    if found.profiles:
        reports[profile.FILE] = profile.render(found.profiles)
    for name, text in reports.items():
        path: Path = store.folder / name
        if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text:
            yield Difference("report", name, "is not what the rows give")
