"""The answers to the five questions of a deployment, and the notes, in words with numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mamtra_eval.advisor.assessing import Assessment
from mamtra_eval.advisor.deployment import SHAPE, TEACHER, Deployment, Variant, same_sizes
from mamtra_eval.advisor.latency import FIRST_CHUNK, PUBLISHED
from mamtra_eval.advisor.measured import Profile
from mamtra_eval.advisor.memory import TENSORRT_BYTES, kv_bytes
from mamtra_eval.advisor.quality import REFERENCE
from mamtra_eval.advisor.terms import Verdict
from mamtra_eval.advisor.units import gib, megabytes
from mamtra_eval.models import cost
from mamtra_eval.models.config import preset

POPULAR_KV = {512: 0.8e9, 1024: 1.6e9, 2048: 3.2e9, 4096: 12.8e9}
"""Bytes that a popular summary of MamTra gives keys and values, by tokens (arunbaby.com 0065)."""
POPULAR_SAVING = 0.34
"""Share of memory that the paper's page and the summary say that 1:1 saves."""


def decisions(
    deployment: Deployment, found: Sequence[Assessment], profile: Profile, margin: float | None
) -> Iterator[tuple[str, str]]:
    """Questions and answers, in the order of deciding."""
    yield "Is anything else on the card?", _neighbours(deployment)
    yield "What headroom is left?", _headroom(deployment, found)
    yield "How many streams?", _streams(deployment, found)
    yield "What quality is needed?", _quality(found, margin)
    yield "Are the weights quantised already?", _quantised(found)


def notes(deployment: Deployment, found: Sequence[Assessment]) -> Iterator[str]:
    """Where popular figures can't be right, what outweighs the ratio, and what is only guessed."""
    if same_sizes(_teacher_shape(found).config, preset(SHAPE)):  # whose figures the popular are
        yield _linear(deployment, _teacher_shape(found))
        if said := _share(found):
            yield said
    yield _swings(deployment, _teacher_shape(found))
    if deployment.residents:
        yield (
            "Neighbours count with what was given. One that takes its memory beforehand (vLLM's "
            "gpu_memory_utilization is a share of the whole card) takes that, whatever it needs."
        )
    guessed = sorted({t.name for one in found for t in one.budget.terms if t.is_default})
    if guessed:
        yield (
            f"Guessed, from half to twice: {', '.join(guessed)}. mamtra-eval profile … --device "
            "cuda measures CUDA context, activations of the decoder and fragmentation on the card; "
            "give the run to advise with --run. Front end and vocoder stay guesses."
        )


def _neighbours(deployment: Deployment) -> str:
    taken = sum(resident.size for resident in deployment.residents)
    if not taken:
        return f"No: all {gib(deployment.usable)} are free for speech."
    named = ", ".join(f"{r.name} {r.size / 1e9:.2f} GB" for r in deployment.residents)
    together = f", together {taken / 1e9:.2f} GB" if len(deployment.residents) > 1 else ""
    return (
        f"Yes: {named}{together} = {gib(taken)} "
        f"({taken / deployment.usable:.0%}) of the {gib(deployment.usable)} that may be taken."
    )


def _headroom(deployment: Deployment, found: Sequence[Assessment]) -> str:
    taken = sum(resident.size for resident in deployment.residents)
    left = deployment.usable - taken
    if left <= 0:
        return f"None: the neighbours take {gib(-left)} more than there is."
    one = _teacher(found) or found[0]
    low, high = one.budget.low - taken, one.budget.high - taken
    beside = " beside the neighbours" if taken else ""
    return (
        f"{gib(left)}{beside}; {one.variant.name} takes {gib(low)} to {gib(high)}: "
        f"{one.memory}. Largest terms: {', '.join(one.largest)}."
    )


def _streams(deployment: Deployment, found: Sequence[Assessment]) -> str:
    one = _teacher(found) or found[0]
    each = kv_bytes(one.variant, replace(deployment, streams=1))
    said = (
        f"{deployment.streams:,} x {deployment.context:,} tokens; keys and values of "
        f"{one.variant.name} take {megabytes(each)} a stream, "
        f"{megabytes(deployment.streams * each)} in all. "
    )
    said += _where_it_matters(deployment, found)
    waits = ", ".join(f"{ms} ms at {n}" for n, ms in PUBLISHED.items())
    bound = one.latency.bound
    if bound is not None:
        said += (
            f" First audio takes at least {1e3 * bound:.0f} ms ({FIRST_CHUNK} steps at the peak of "
            "the card's memory)."
        )
    return (
        f"{said} Measured elsewhere, CosyVoice 2 on an L20 with TensorRT-LLM had its first chunk "
        f"after {waits} streams: what limits streams is usually time, before memory does."
    )


def _where_it_matters(deployment: Deployment, found: Sequence[Assessment]) -> str:
    """From which load on the ratio decides whether it fits on this card."""
    teacher, hybrids = _teacher(found), _hybrids(found)
    if teacher is None or not hybrids:
        return ""
    most = max(hybrids, key=lambda one: one.memory_streams or 0)
    if not most.memory_streams:
        return f"On {deployment.card.name} no ratio is sure to fit, not even one stream."
    if teacher.memory_streams is None:
        return (
            f"On {deployment.card.name} the ratio decides: one stream of the teacher is not sure "
            f"to fit, {most.variant.name} goes up to {most.memory_streams:,}."
        )
    edge = teacher.memory_streams
    if teacher.measured_out:
        return f"By memory the teacher fits up to {edge:,} streams at least, as far as measured."
    if most.memory_streams <= edge:
        return f"By memory the teacher fits up to {edge:,} streams, and no ratio goes further."
    return (
        f"By memory the teacher fits up to {edge:,} streams, {most.variant.name} up to "
        f"{most.memory_streams:,}: the ratio decides only above N x L = "
        f"{edge * deployment.context:,} tokens."
    )


def _quality(found: Sequence[Assessment], margin: float | None) -> str:
    told = [
        f"{one.variant.name} {one.quality.verdict}{_loss(one)}"
        for one in found
        if one.quality.verdict != REFERENCE
    ]
    if margin is None:
        known = [text for one, text in _losses(found)]
        return "Not asked (--quality)." + (f" Known: {'; '.join(known)}." if known else "")
    return f"At most {margin:g} points of WER may be lost. {'; '.join(told)}."


def _loss(one: Assessment) -> str:
    loss = one.quality.loss
    if loss is None:
        return ""
    interval = "" if loss.low is None else f" [{loss.low:+.2f}, {loss.high:+.2f}]"
    return f" ({loss.value:+.2f} points{interval}, {loss.source})"


def _losses(found: Sequence[Assessment]) -> list[tuple[Assessment, str]]:
    return [
        (one, f"{one.variant.name}{_loss(one)}") for one in found if one.quality.loss is not None
    ]


def _quantised(found: Sequence[Assessment]) -> str:
    teacher = _teacher(found)
    small = [one for one in found if one.variant.bits is not None and not one.variant.n_mamba]
    if teacher is None or not small:
        return "Not compared: it takes the teacher and the teacher in int8 or int4."
    saved = ", ".join(
        f"{one.variant.name} saves {megabytes(teacher.budget.mid - one.budget.mid)}"
        for one in small
    )
    said = f"{saved}. "
    if ratios := _changes(found):
        said += f"The ratio changes the total by {ratios}. "
    better = [one for one in small if one.verdict < teacher.verdict]
    if better:
        one = better[0]
        return said + f"Quantising flips the verdict from {teacher.verdict} to {one.verdict}."
    if teacher.verdict is Verdict.FITS:
        return said + "Neither is needed here: the teacher fits as it is."
    return said + "Quantising does not change the verdict here."


def _changes(found: Sequence[Assessment]) -> str:
    """How far the ratios move the total, in MB and as shares."""
    teacher, hybrids = _teacher(found), _hybrids(found)
    if teacher is None or not hybrids:
        return ""
    moved = [one.budget.mid - teacher.budget.mid for one in hybrids]
    low, high = min(moved), max(moved)
    share = max(abs(low), abs(high)) / teacher.budget.mid
    span = f"{low / 1e6:+,.1f}" if low == high else f"{low / 1e6:+,.1f} to {high / 1e6:+,.1f}"
    return f"{span} MB (at most {share:.2%} of {gib(teacher.budget.mid)})"


def _linear(deployment: Deployment, shape: Variant) -> str:
    element = cost.element_bytes(deployment.cache)
    true = {n: cost.kv_bytes(shape.config, n, element) for n in POPULAR_KV}
    factors = [POPULAR_KV[n] / size for n, size in true.items()]
    lengths, sizes = list(true), list(true.values())
    ours = ", ".join(f"{size / 1e6:.1f}" for size in sizes)
    popular = ", ".join(f"{size / 1e9:g}" for size in POPULAR_KV.values())
    return (
        f"Keys and values grow linearly, not quadratically: {lengths[-1] // lengths[0]} times the "
        f"tokens take {sizes[-1] / sizes[0]:g} times the bytes. At "
        f"{', '.join(f'{n:,}' for n in lengths)} tokens a stream of the teacher holds {ours} MB "
        f"({deployment.cache}); the popular {popular} GB are {min(factors):.0f} to "
        f"{max(factors):.0f} times too much."
    )


def _share(found: Sequence[Assessment]) -> str:
    teacher, hybrids = _teacher(found), _hybrids(found)
    if teacher is None or not hybrids:
        return ""
    saved = 1 - min(one.budget.mid for one in hybrids) / teacher.budget.mid
    said = f"The ratio changes the total here by {_changes(found)}. "
    if saved < POPULAR_SAVING:
        return said + (
            f"The popular {POPULAR_SAVING:.0%} less memory has no cause in keys, values, states "
            "and weights at this load."
        )
    return said + (
        f"At this load that is more than the popular {POPULAR_SAVING:.0%}: it is keys and values "
        "of many tokens, and no property of the model."
    )


def _swings(deployment: Deployment, shape: Variant) -> str:
    parameters = cost.parameters(shape.config)["total"]
    return (
        f"Other choices weigh more: one TensorRT context {megabytes(TENSORRT_BYTES)}, the decoder "
        f"in fp32 instead of fp16 {megabytes(2 * parameters)}."
    )


def _teacher(found: Sequence[Assessment]) -> Assessment | None:
    return next((one for one in found if one.variant.is_teacher), None)


def _hybrids(found: Sequence[Assessment]) -> list[Assessment]:
    return [one for one in found if one.variant.n_mamba and one.variant.bits is None]


def _teacher_shape(found: Sequence[Assessment]) -> Variant:
    one = _teacher(found)
    if one is not None:
        return one.variant
    shape = found[0].variant.config if found else preset(SHAPE)
    return Variant(TEACHER, shape.with_layout(tuple(range(shape.layers))))
