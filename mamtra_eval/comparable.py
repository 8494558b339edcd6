"""May two runs be compared, and if not, why.

``reasons`` lists what differs. ``differs`` forbids a comparison: of everything, or of the metric
that the reason names. ``caution`` is what a reader must know and may accept. Figures of costs
(times) are never compared between runs, so what concerns times alone is a caution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mamtra_eval.rundata import RunData


class Severity(StrEnum):
    """What a reason means for a comparison."""

    DIFFERS = "differs"
    CAUTION = "caution"


class Subject(StrEnum):
    """What a reason is about."""

    TESTSET = "test set"
    REPEATS = "number of repeats"
    RECIPE = "recipe"
    SIGNATURE = "metric signature"
    WEIGHTS = "evaluator weights"
    SEED = "synthesis seed"
    MARGINS = "margins"
    BATCHES = "batch composition"
    DEVICE = "device"
    PACKAGES = "packages"
    VERSION = "program version"
    DISTRIBUTED = "place of synthesis"
    SHARD = "shard"
    DRIFT = "golden clips"


@dataclass(frozen=True)
class Reason:
    """One difference between two runs.

    Attributes:
        metric: the only one whose figures it concerns; ``None`` for all.
    """

    severity: Severity
    subject: Subject
    first: str
    second: str
    metric: str | None = None

    @property
    def forbids_all(self) -> bool:
        """Whether no figure may be compared."""
        return self.severity is Severity.DIFFERS and self.metric is None

    def __str__(self) -> str:
        of = f" of {self.metric}" if self.metric else ""
        return f"{self.subject}{of} {self.second} instead of {self.first}"


def reasons(first: RunData, second: RunData) -> list[Reason]:
    """All differences, those that forbid a comparison first."""
    found = [*_settled(first, second), *_metrics(first, second), *_made(first, second)]
    return sorted(found, key=lambda one: one.severity is Severity.CAUTION)


def comparable(found: list[Reason]) -> bool:
    """Whether nothing forbids a comparison, of all figures or of one metric's."""
    return all(one.severity is Severity.CAUTION for one in found)


def _settled(first: RunData, second: RunData) -> Iterator[Reason]:
    """What the plans differ in."""
    forbids, caution = Severity.DIFFERS, Severity.CAUTION
    sets = [f"{run.testset['name']} {run.testset['sha256']!s:.12}" for run in (first, second)]
    if first.testset["sha256"] != second.testset["sha256"]:
        yield Reason(forbids, Subject.TESTSET, *sets)
    for severity, subject, own, theirs in (
        (forbids, Subject.REPEATS, first.testset["repeats"], second.testset["repeats"]),
        (caution, Subject.SHARD, first.part, second.part),
        (caution, Subject.RECIPE, first.recipe, second.recipe),
        (caution, Subject.SEED, first.testset["seed"], second.testset["seed"]),
        (caution, Subject.MARGINS, first.margins, second.margins),
        (caution, Subject.VERSION, first.version, second.version),
        (caution, Subject.DISTRIBUTED, first.distributed, second.distributed),
    ):
        if own != theirs:
            yield Reason(severity, subject, told(own), told(theirs))


def _metrics(first: RunData, second: RunData) -> Iterator[Reason]:
    """Metrics that both have under other signatures, and evaluators that drifted."""
    others = {row.name: row.signature for row in second.metrics}
    for row in first.metrics:
        theirs = others.get(row.name, row.signature)
        if theirs != row.signature:
            subject = Subject.WEIGHTS if _weights_alone(row.signature, theirs) else (
                Subject.SIGNATURE)  # fmt: skip
            yield Reason(Severity.DIFFERS, subject, row.signature, theirs, row.name)
    drifted = [sum(note.startswith("Drift:") for note in run.notes) for run in (first, second)]
    if any(drifted):
        yield Reason(
            Severity.CAUTION, Subject.DRIFT, *(f"{n} changed readings" for n in drifted)
        )  # fmt: skip


def _weights_alone(one: str, other: str) -> bool:
    """Whether two signatures have the same keys and differ in hashes of weights alone."""
    pairs = [dict(part.partition(":")[::2] for part in text.split("|")) for text in (one, other)]
    if pairs[0].keys() != pairs[1].keys():
        return False
    changed = {key for key in pairs[0] if pairs[0][key] != pairs[1][key]}
    return bool(changed) and all("weight" in key or "sha" in key for key in changed)


def _made(first: RunData, second: RunData) -> Iterator[Reason]:
    """What clips were made and measured with, where both runs know it."""
    caution = Severity.CAUTION
    if first.batches is not None and second.batches is not None:
        keys = first.batches.keys() & second.batches.keys()  # others are in one run alone
        if pair := _differing(first.batches, second.batches, sorted(keys)):
            yield Reason(caution, Subject.BATCHES, *pair)
    if not first.starts or not second.starts:
        return
    machines = [sorted({_machine(start) for start in run.starts}) for run in (first, second)]
    if machines[0] != machines[1]:
        yield Reason(caution, Subject.DEVICE, *map(told, machines))
    packages = [run.starts[-1].get("packages", {}) for run in (first, second)]
    if pair := _differing(packages[0], packages[1], sorted({*packages[0], *packages[1]})):
        yield Reason(caution, Subject.PACKAGES, *pair)


def _differing(
    own: dict[str, Any], theirs: dict[str, Any], keys: list[str]
) -> tuple[str, str] | None:
    """Those of two runs' values that differ, in words; ``None`` if none does."""
    changed = [key for key in keys if own.get(key) != theirs.get(key)]
    if not changed:
        return None
    first, second = (told({key: run.get(key, "none") for key in changed}) for run in (own, theirs))
    return first, second


def _machine(start: dict[str, Any]) -> str:
    device = str(start.get("device", "unknown"))
    return f"CPU {start.get('processor', 'unknown')}" if device == "cpu" else device


def told(value: object) -> str:
    """A value in a sentence."""
    if isinstance(value, dict):
        shown = (f"{key} {f'{one:g}' if isinstance(one, float) else one}"
                 for key, one in value.items())  # fmt: skip
        return ", ".join(shown) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
