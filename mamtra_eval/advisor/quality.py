"""What a variant loses in word error rate, as far as anybody measured it.

The teacher is the reference. A variant's loss comes from a run's readings (the paired difference to
the run's baseline, with its interval), else from a published figure that has the teacher's beside
it in the same source. Against a margin in points of WER:

``pass``      the interval's upper end lies within the margin
``fail``      its lower end lies beyond, or a published difference does
``open``      neither: more utterances are needed, or the figure is published and has no interval
``unknown``   nobody measured it
``reference`` the teacher itself; ``not asked`` without a margin

A run's systems are matched to variants by shape, layout and bits, where its profile or its closed
forms tell them (the latter know counts of layers and parameters, and no bits), else by name: runs
write ``1-3`` where variants are ``1:3``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mamtra_eval import published
from mamtra_eval.advisor.deployment import SHAPE, Variant
from mamtra_eval.advisor.measured import alike
from mamtra_eval.errors import UserError
from mamtra_eval.models import config as shapes
from mamtra_eval.models import cost
from mamtra_eval.models.config import preset
from mamtra_eval.reader import RunReader

if TYPE_CHECKING:
    from mamtra_eval.results import SystemResult

MARGINS = {"high": 0.5, "casual": 2.0}
"""Points of WER that may be lost: speech that must be articulate, and casual speech."""

PASS, FAIL, OPEN, UNKNOWN = "pass", "fail", "open", "unknown"
REFERENCE, NOT_ASKED = "reference", "not asked"

FIGURE, SET, TEACHER_KEY = "wer", "seed-tts-en", "cosyvoice2"


@dataclass(frozen=True)
class Loss:
    """A variant's WER less the teacher's, in points (hundredths).

    Attributes:
        low, high: ends of the interval; ``None`` where it has none.
        source: ``measured`` or ``published``.
        told: where it comes from, for the reader.
    """

    value: float
    low: float | None
    high: float | None
    source: str
    told: str


@dataclass(frozen=True)
class Quality:
    """A verdict on a loss; ``loss`` is ``None`` where it is unknown."""

    verdict: str
    margin: float | None
    loss: Loss | None
    why: str

    @property
    def is_acceptable(self) -> bool:
        """Whether it is not shown to fail; what is unknown is told, not refused."""
        return self.verdict != FAIL


def judge(variant: Variant, margin: float | None, measured: Mapping[str, Loss]) -> Quality:
    """The verdict on a variant.

    Args:
        variant: to be deployed.
        margin: points of WER that may be lost; ``None`` if nothing was asked.
        measured: losses by the variants' names (``read``).
    """
    if variant.is_teacher:
        return Quality(REFERENCE, margin, None, "it is what the others are compared with")
    loss = measured.get(variant.name) or _published(variant)
    if loss is None:
        return Quality(
            UNKNOWN if margin is not None else NOT_ASKED, margin, None,
            "nobody measured its WER beside the teacher's",
        )  # fmt: skip
    if margin is None:
        return Quality(NOT_ASKED, None, loss, loss.told)
    if (loss.low if loss.low is not None else loss.value) > margin:
        return Quality(FAIL, margin, loss, loss.told)
    passed = loss.high is not None and loss.high <= margin
    return Quality(PASS if passed else OPEN, margin, loss, loss.told)


def read(store: RunReader, variants: list[Variant]) -> tuple[dict[str, Loss], list[str]]:
    """A run's measured losses, by the variants' names, and notes on what could not be matched.

    Of several systems that are one variant the one of its name counts, else the one that loses
    most, so that no choice among them flatters.
    """
    from mamtra_eval import results

    try:
        found = results.collect(store)
    except UserError:  # a profile alone: it was never planned to speak
        return {}, []
    baseline = next((s.row.name for s in found.systems if s.is_baseline), None)
    read_of = [s for s in found.systems if _loss(s, baseline or "") is not None]
    if baseline is None or not read_of:
        return {}, []
    profiled = store.meta("profile", {}).get("systems", {})
    losses: dict[str, Loss] = {}
    notes: list[str] = []
    unmatched: list[str] = []
    for variant in variants:
        fitting = [s for s in read_of if _is(variant, s, profiled.get(s.row.name, {}))]
        known = {s.row.name: loss for s in fitting if (loss := _loss(s, baseline)) is not None}
        if known:
            taken = variant.name if variant.name in known else max(
                known, key=lambda name: (known[name].value, known[name].high or 0.0)
            )  # fmt: skip
            losses[variant.name] = known[taken]
        elif not variant.is_teacher:
            unmatched.append(variant.name)
        if len(known) > 1:
            notes.append(
                f"{len(known)} systems of {store.folder} are {variant.name}: {', '.join(known)}. "
                f"Its WER is that of {taken}."
            )
        namesake = next((s for s in read_of if s.row.name == variant.name), None)
        if namesake is not None and variant.name not in known:
            notes.append(
                f"{variant.name} of {store.folder} has another shape, layout or bits than "
                f"{variant.name} here: its WER says nothing of this one."
            )
    if unmatched:
        notes.append(
            f"No system of {store.folder} is {', '.join(unmatched)}: what it read of "
            f"{', '.join(s.row.name for s in read_of)} says nothing of their WER."
        )
    return losses, notes


def _loss(system: SystemResult, baseline: str) -> Loss | None:
    """What a system of a run loses to the run's baseline; ``None`` if it has no such reading."""
    value = system.values.get(FIGURE)
    if value is None or value.difference is None:
        return None
    moved, low, high = (None if end is None else 100 * end for end in value.difference)
    told = f"measured of {system.row.name} against {baseline} over {value.n_paired} utterances"
    return Loss(moved or 0.0, low, high, "measured", told)


def _is(variant: Variant, system: SystemResult, profiled: Mapping[str, Any]) -> bool:
    """Whether a run's system is a variant, by the best that the run tells of it."""
    if profiled.get("config"):
        config = shapes.from_dict(profiled["config"], where=f"system {system.row.name}")
        return alike(config, variant.config) and profiled.get("bits") == variant.bits
    if system.footprint is None:
        return system.row.name == variant.name
    own = cost.parameters(variant.config)["total"]
    counts = (len(variant.config.transformer), variant.n_mamba, own)
    one = system.footprint
    return variant.bits is None and counts == (one.transformer, one.mamba, one.parameters)


def _published(variant: Variant) -> Loss | None:
    """The worst published difference of a ratio of MamTra to the teacher within one source."""
    config = variant.config
    if variant.bits is not None or config.with_layout(()) != preset(SHAPE).with_layout(()):
        return None
    kept, rest = len(config.transformer), variant.n_mamba
    if not kept or rest % kept:
        return None
    key = f"mamtra-1-{rest // kept}"
    by_source: dict[str, dict[str, float]] = {}
    for number in published.registry().numbers:
        if number.metric == FIGURE and number.testset == SET:
            by_source.setdefault(number.source, {})[number.system] = 100 * number.value
    found = [
        Loss(numbers[key] - numbers[TEACHER_KEY], None, None, "published",
             f"published, not measured here, and without an interval ({source})")
        for source, numbers in by_source.items()
        if key in numbers and TEACHER_KEY in numbers
    ]  # fmt: skip
    return max(found, key=lambda loss: loss.value, default=None)
