"""What a variant loses in word error rate, as far as anybody measured it.

The teacher is the reference. A variant's loss comes from a run's readings (the paired difference to
the run's baseline, with its interval), else from a published figure that has the teacher's beside
it in the same source. Against a margin in points of WER:

``pass``      the interval's upper end lies within the margin
``fail``      its lower end lies beyond, or a published difference does
``open``      neither: more utterances are needed, or the figure is published and has no interval
``unknown``   nobody measured it
``reference`` the teacher itself; ``not asked`` without a margin
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mamtra_eval import published
from mamtra_eval.advisor.deployment import SHAPE, Variant
from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.config import preset
from mamtra_eval.reader import RunReader

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
    """Measured losses of variants that a run has by name, and notes.

    A system whose closed form is known and is not the variant's is another one, whatever its name.
    """
    from mamtra_eval import results

    try:
        found = results.collect(store)
    except UserError:  # a profile alone: it was never planned to speak
        return {}, []
    baseline = next((s for s in found.systems if s.is_baseline), None)
    losses: dict[str, Loss] = {}
    notes: list[str] = []
    for variant in variants:
        system = next((s for s in found.systems if s.row.name == variant.name), None)
        value = system.values.get(FIGURE) if system else None
        if system is None or value is None or value.difference is None or baseline is None:
            continue
        own = cost.parameters(variant.config)["total"]
        if system.footprint is not None and system.footprint.parameters != own:
            notes.append(
                f"{variant.name} of {store.folder} has {system.footprint.parameters:,} parameters, "
                f"not {own:,}: its WER says nothing of this one."
            )
            continue
        moved, low, high = (None if end is None else 100 * end for end in value.difference)
        told = f"measured against {baseline.row.name} over {value.n_paired} utterances"
        losses[variant.name] = Loss(moved or 0.0, low, high, "measured", told)
    return losses, notes


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
