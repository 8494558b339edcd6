"""The advice on a deployment: which variant, why, and where the choice would begin to matter.

The order of decisions: is anything else on the card, what headroom is left, how many streams, what
quality is needed, are the weights quantised already. The teacher is recommended wherever it fits:
it is what quality is measured against, so that nothing is gained by replacing its layers. Else it
is the variant that fits, is not shown to fail in quality, and has the fewest Mamba-2 layers.

All figures in the answers are worked out for the deployment; the only ones that are quoted are the
popular ones that they are held against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mamtra_eval.advisor import answers
from mamtra_eval.advisor.assessing import Assessment, Flip, assess
from mamtra_eval.advisor.deployment import Deployment, Variant
from mamtra_eval.advisor.measured import Profile
from mamtra_eval.advisor.quality import Loss, Quality, judge
from mamtra_eval.advisor.terms import Verdict
from mamtra_eval.advisor.units import GIB


@dataclass(frozen=True)
class Advice:
    """What is recommended in a deployment, and all that it follows from.

    Attributes:
        recommended: name of a variant; ``None`` if none can be recommended.
        decisions: questions with their answers, in the order of deciding.
        notes: what else a reader must know.
    """

    deployment: Deployment
    assessments: tuple[Assessment, ...]
    recommended: str | None
    why: str
    decisions: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def advise(
    deployment: Deployment,
    variants: Sequence[Variant],
    profile: Profile | None = None,
    *,
    margin: float | None = None,
    losses: Mapping[str, Loss] | None = None,
    notes: Sequence[str] = (),
) -> Advice:
    """Judge all variants and recommend one.

    Args:
        deployment: card, neighbours, load, types.
        variants: to choose from.
        profile: what was measured, if anything was.
        margin: points of WER that may be lost; ``None`` if quality is no question.
        losses: measured ones, by the variants' names.
        notes: further ones, of what was read.
    """
    profile = profile or Profile()
    found = tuple(
        assess(variant, deployment, profile, judge(variant, margin, losses or {}))
        for variant in variants
    )
    chosen, why = _recommended(found)
    return Advice(
        deployment=deployment,
        assessments=found,
        recommended=chosen.variant.name if chosen else None,
        why=why,
        decisions=tuple(answers.decisions(deployment, found, profile, margin)),
        notes=(*answers.notes(deployment, found), *profile.notes, *notes),
    )


def _recommended(found: Sequence[Assessment]) -> tuple[Assessment | None, str]:
    fitting = [one for one in found if one.verdict is Verdict.FITS and one.quality.is_acceptable]
    for one in fitting:
        if one.variant.is_teacher:
            return one, "the teacher fits, and no other variant can lose less quality than it"
    teacher = next((one for one in found if one.variant.is_teacher), None)
    if fitting:
        best = min(fitting, key=lambda o: (o.variant.n_mamba, -(o.variant.bits or 16)))
        return best, _why(best, teacher)
    flip = _smallest_flip(found)
    risky = any(one.rests_on_defaults for one in found)
    why = "no variant is sure to fit" if any(o.verdict < Verdict.NO for o in found) else "none fits"
    if any(one.verdict is Verdict.FITS for one in found):
        why = "what fits fails in quality"
    elif waits := [one for one in found if one.memory is Verdict.FITS]:
        why = (
            f"{waits[0].variant.name} fits in memory, but its time to first audio is not shown to "
            f"meet the target ({waits[0].latency.why})"
        )
    if risky:
        why += (
            "; no verdict is given where it would rest on defaults: measure them with "
            "mamtra-eval profile … --device cuda and give the run with --run"
        )
    if flip:
        name, change = flip
        does = "makes one fit" if change.verdict is Verdict.FITS else "helps"
        why += f". Smallest change that {does}: {change.change} ({name}: {change.verdict})"
    return None, why


def _why(best: Assessment, teacher: Assessment | None) -> str:
    said = f"of the variants that fit it has the fewest Mamba-2 layers ({best.variant.n_mamba})"
    if teacher is not None:
        said = f"the teacher is {teacher.verdict} ({teacher.binding}); {said}"
    if best.variant.bits is not None and not best.variant.n_mamba:
        said += ": quantising the teacher is enough, and no layer need be replaced"
    return f"{said}; its quality: {best.quality.verdict} ({best.quality.why})"


def _smallest_flip(found: Sequence[Assessment]) -> tuple[str, Flip] | None:
    """The first change that makes a variant fit, else the first that helps; of the teacher's first.

    Of other variants those with the fewest Mamba-2 layers come first.
    """
    ordered = sorted(found, key=lambda one: (one.variant.n_mamba, one.variant.bits is not None))
    flips = [
        (flip.verdict, index, one.variant.name, flip)
        for index, one in enumerate(ordered)
        if one.quality.is_acceptable
        for flip in one.flips
    ]
    if not flips:
        return None
    *_, name, flip = min(flips, key=lambda entry: (entry[1], entry[0]))
    return name, flip


def document(advice: Advice) -> dict[str, Any]:
    """The advice as one JSON-able document; sizes in GiB (2**30 bytes)."""
    deployment, card = advice.deployment, advice.deployment.card
    return {
        "recommended": advice.recommended,
        "why": advice.why,
        "decisions": [{"question": q, "answer": a} for q, a in advice.decisions],
        "gpu": {
            "name": card.name,
            "capacity_gib": [card.low / GIB, card.high / GIB],
            "reserve_gib": deployment.reserve / GIB,
            "usable_gib": deployment.usable / GIB,
            "bandwidth_gb_s": card.bandwidth / 1e9 if card.bandwidth else None,
            "source": card.source,
        },
        "load": {
            "streams": deployment.streams,
            "context": deployment.context,
            "residents": {r.name: r.size / GIB for r in deployment.residents},
            "dtypes": {
                "weight": deployment.weight, "cache": deployment.cache,
                "state": deployment.state, "vocoder": deployment.vocoder,
            },
            "tensorrt": deployment.tensorrt,
        },
        "variants": [_variant(one) for one in advice.assessments],
        "notes": list(advice.notes),
    }  # fmt: skip


def _variant(one: Assessment) -> dict[str, Any]:
    return {
        "name": one.variant.name,
        "mamba_layers": one.variant.n_mamba,
        "bits": one.variant.bits,
        "verdict": str(one.verdict),
        "total_gib": [one.budget.low / GIB, one.budget.high / GIB],
        "required_gib": one.budget.required / GIB,
        "usable_gib": one.usable / GIB,
        "default_share": one.budget.default_share,
        "rests_on_defaults": one.rests_on_defaults,
        "outside_measured": one.budget.bounded,
        "binding": one.binding,
        "terms": [
            {
                "name": term.name,
                "gib": [term.low / GIB, term.high / GIB],
                "tag": term.tag,
                "why": term.why,
            }
            for term in one.terms
        ],
        "largest": one.largest,
        "flips": [{"change": flip.change, "verdict": str(flip.verdict)} for flip in one.flips],
        "max_streams": one.max_streams,
        "memory_streams": one.memory_streams,
        "measured_out": one.measured_out,
        "quality": _quality(one.quality),
        "latency": {
            "target_ms": _ms(one.latency.target),
            "bound_ms": _ms(one.latency.bound),
            "measured_ms": _ms(one.latency.measured),
            "verdict": str(one.latency.verdict),
            "why": one.latency.why,
        },
    }


def _quality(quality: Quality) -> dict[str, Any]:
    loss = quality.loss
    return {
        "verdict": quality.verdict,
        "margin_points": quality.margin,
        "difference_points": None if loss is None else [loss.low, loss.value, loss.high],
        "source": None if loss is None else loss.source,
        "why": quality.why,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else 1e3 * seconds
