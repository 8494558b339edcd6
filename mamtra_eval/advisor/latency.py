"""Time to first audio: a bound from below by arithmetic, one from above by measurement.

From below: CosyVoice 2 waits for its first chunk until 25 tokens and 3 of lookahead are decoded
(and up to 24 more, by the reference's length), so for 28 passes of the decoder. Each reads all
weights but the embeddings once for all streams, for each stream the keys and values so far (counted
as if there were no prompt: 1 + 2 + … + 28 tokens) and its states, which it writes as well. No card
does that faster than its memory's peak. Arithmetic, launches, front end, flow decoder and queues
come on top: the bound can refuse a target and never promise one.

From above: the measured front end, prefill, 52 steps (28 and the 24) and vocoder, or the measured
time to first audio itself, on the same card, inside the measured grid.
"""

from __future__ import annotations

from dataclasses import dataclass

from mamtra_eval.advisor.deployment import Deployment, Variant
from mamtra_eval.advisor.measured import Profile, Source
from mamtra_eval.advisor.terms import Verdict
from mamtra_eval.models import cost

FIRST_CHUNK = 28
"""Tokens of CosyVoice 2's first chunk with its lookahead, at least."""
FIRST_CHUNK_MOST = 52
"""… at most."""

PUBLISHED = {1: 198, 4: 511, 6: 922, 10: 1215}
"""Milliseconds to the first chunk by streams: L20, TensorRT-LLM and a DiT flow (CosyVoice's
README of its Triton runtime). Context for the reader alone."""


@dataclass(frozen=True)
class Latency:
    """What is known of the time to first audio, in seconds.

    Attributes:
        target: ``None`` if none was asked for; it fits then.
        bound: no less than this; ``None`` if the card's bandwidth is unknown.
        measured: no more than this; ``None`` if it was not measured.
        why: the verdict's reason.
    """

    target: float | None
    bound: float | None
    measured: float | None
    verdict: Verdict
    why: str


def first_audio(variant: Variant, deployment: Deployment, profile: Profile) -> Latency:
    """The time to first audio of a variant, with the verdict on the deployment's target."""
    bound, target = _bound(variant, deployment), deployment.latency_s
    measured = _measured(variant, deployment, profile)
    if target is None:
        return Latency(None, bound, measured, Verdict.FITS, "no target")
    if bound is not None and target < bound:
        why = f"{FIRST_CHUNK} steps at the memory's peak take {1e3 * bound:,.1f} ms alone"
        return Latency(target, bound, measured, Verdict.NO, why)
    if measured is not None and measured <= target:
        why = f"measured on this card: at most {1e3 * measured:,.0f} ms"
        return Latency(target, bound, measured, Verdict.FITS, why)
    if measured is not None:
        why = f"measured on this card: up to {1e3 * measured:,.0f} ms"
    elif bound is None:
        why = f"the bandwidth of {deployment.card.name} is unknown, and nothing was measured on it"
    else:
        why = "the bound holds, but nothing was measured on this card at this load"
    return Latency(target, bound, measured, Verdict.RISKY, why)


def bytes_per_step(variant: Variant, deployment: Deployment) -> tuple[float, float]:
    """Bytes that one step reads once, and that it moves for each stream without its keys."""
    element = cost.element_bytes(deployment.weight)
    parts = cost.parameters(variant.config)
    looked_up = sum(size for name, size in parts.items() if name.endswith("embedding"))
    state = cost.state_bytes(variant.config, cost.element_bytes(deployment.state))
    return variant.weight_bytes(element) - looked_up * element, 2.0 * state


def _bound(variant: Variant, deployment: Deployment) -> float | None:
    if deployment.card.bandwidth is None:
        return None
    weights, per_stream = bytes_per_step(variant, deployment)
    kv = cost.kv_bytes(variant.config, 1, cost.element_bytes(deployment.cache))
    tokens = FIRST_CHUNK * (FIRST_CHUNK + 1) // 2
    moved = FIRST_CHUNK * weights
    moved += deployment.streams * (FIRST_CHUNK * per_stream + tokens * kv)
    return moved / deployment.card.bandwidth


def _measured(variant: Variant, deployment: Deployment, profile: Profile) -> float | None:
    source = profile.of(variant, weights=True)
    if source is None or not (source.is_cuda and source.same_card):
        return None
    whole = _at_most(source, "time.first_audio", deployment)
    if whole is not None:
        return whole
    parts = {"time.front_end": 1, "time.prefill": 1, "time.step": FIRST_CHUNK_MOST,
             "time.vocoder": 1}  # fmt: skip
    times = [(_at_most(source, quantity, deployment), n) for quantity, n in parts.items()]
    if any(seconds is None for seconds, _ in times):
        return None
    return sum(n * seconds for seconds, n in times if seconds is not None)


def _at_most(source: Source, quantity: str, deployment: Deployment) -> float | None:
    """The upper end of a measured time; rows without a context (0) stand for every one."""
    points = source.points.get(quantity, {})
    if points and all(context == 0 for context, _ in points):
        found = source.at(quantity, 0, deployment.streams)
    else:
        found = source.at(quantity, deployment.context, deployment.streams)
    return None if found is None else found.high
