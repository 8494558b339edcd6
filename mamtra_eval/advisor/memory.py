"""The memory budget of a variant: one term for everything that takes memory on the card.

    total = neighbours + CUDA context + decoder + flow decoder + HiFT + front end
            + TensorRT contexts + sum over streams of (keys and values + states)
            + activations + vocoder's activations + fragmentation (+ a profile's unexplained rest)

Weights and caches are closed forms of ``models.cost`` (KV: Transformer layers x context x 2 x
kv_inner elements; state: Mamba-2 layers x (inner x head_dim + conv_channels x conv_width)); a
profile of the same shape corrects them by its measured ratio. The flow decoder of CosyVoice 2 has
112,549,360 parameters and HiFT 20,821,295 (counted on the modules, FunAudioLLM/CosyVoice
ace7c47); its checkpoint is loaded in fp32, and its fp16 option is autocast, which leaves the
weights as they are. One TensorRT context of the flow decoder takes 4,532 MiB (CosyVoice #835). All
that is in nobody's closed form is a guess of ``guesses.yaml`` until it is measured.

Prefills, and calls of the vocoder beyond its execution contexts, are taken to run one at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from mamtra_eval.advisor import terms
from mamtra_eval.advisor.deployment import Deployment, Variant
from mamtra_eval.advisor.measured import Cell, Profile, Source
from mamtra_eval.advisor.terms import CLOSED_FORM, GIVEN, MEASURED, Budget, Term
from mamtra_eval.advisor.units import MIB
from mamtra_eval.models import cost

FLOW_PARAMETERS = 112_549_360
HIFT_PARAMETERS = 20_821_295
TENSORRT_BYTES = 4532 * MIB

KV, STATE = "keys and values", "Mamba-2 states"
WEIGHTS = "decoder weights"
ACTIVATIONS = "decoder activations"
TENSORRT = "TensorRT contexts"


def budget(variant: Variant, deployment: Deployment, profile: Profile | None = None) -> Budget:
    """All terms of a variant in a deployment, measured ones where the profile has its shape."""
    profile = profile or Profile()
    source = profile.of(variant)
    context, bounded_context = _context(source, deployment)
    activations, bounded = _activations(variant, deployment, source)
    caches = _caches(variant, deployment, source)
    moving = [*caches, *activations]
    fragmentation, bounded_fragments = _fragmentation(moving, deployment, source)
    neighbours = deployment.residents
    found = [
        *(terms.exact(one.name, one.size, GIVEN, "as given, at its peak") for one in neighbours),
        context,
        _weights(variant, deployment, profile.of(variant, weights=True)),
        *_vocoder(deployment),
        terms.guessed("front end", terms.guess("front_end_mib") * MIB,
                      terms.reason("front_end_mib")),
        *moving,
        fragmentation,
        *_rest(deployment, source),
    ]  # fmt: skip
    return Budget(
        tuple(term for term in found if term.high > 0),
        bounded=bounded or bounded_fragments or bounded_context,
    )


def kv_bytes(variant: Variant, deployment: Deployment) -> int:
    """Keys and values of all streams."""
    element = cost.element_bytes(deployment.cache)
    return deployment.streams * cost.kv_bytes(variant.config, deployment.context, element)


def state_bytes(variant: Variant, deployment: Deployment) -> int:
    """Mamba-2 states of all streams."""
    element = cost.element_bytes(deployment.state)
    return deployment.streams * cost.state_bytes(variant.config, element)


def _weights(variant: Variant, deployment: Deployment, source: Source | None) -> Term:
    element = cost.element_bytes(deployment.weight)
    size = variant.weight_bytes(element)
    how = f"{cost.parameters(variant.config)['total']:,} parameters, {deployment.weight}"
    if variant.bits is not None:
        how += f", the matrices of its layers in {variant.bits} bits with their fp16 scales"
    if source is None:
        return terms.exact(WEIGHTS, size, CLOSED_FORM, how)
    expected = variant.weight_bytes(source.element_bytes)
    return _corrected(WEIGHTS, size, how, source, "memory.weights", lambda _: expected)


def _caches(variant: Variant, deployment: Deployment, source: Source | None) -> list[Term]:
    kv, state = kv_bytes(variant, deployment), state_bytes(variant, deployment)
    told = f"{deployment.streams:,} x {deployment.context:,} tokens"
    how = f"{told}, {len(variant.config.transformer)} Transformer layers, {deployment.cache}"
    how_state = f"{deployment.streams:,} streams, {variant.n_mamba} Mamba-2 layers, "
    how_state += f"{deployment.state}, whatever the length"
    if source is None:
        return [
            terms.exact(KV, kv, CLOSED_FORM, how),
            terms.exact(STATE, state, CLOSED_FORM, how_state),
        ]

    def kv_elements(cell: Cell) -> float:
        length, streams = cell
        return streams * cost.kv_bytes(variant.config, length, 1) if length else 0.0

    def state_elements(cell: Cell) -> float:
        return cell[1] * cost.state_bytes(variant.config, 1)

    return [
        _corrected(KV, kv, how, source, "memory.kv", kv_elements),
        _corrected(STATE, state, how_state, source, "memory.state", state_elements),
    ]


def _corrected(
    name: str, size: float, how: str, source: Source, quantity: str,
    closed: Callable[[Cell], float],
) -> Term:  # fmt: skip
    """A closed form times what a profile measured of it."""
    ratio = source.factor(quantity, closed)
    if ratio is None or ratio.high is None:
        return terms.exact(name, size, CLOSED_FORM, how)
    # Of caches the profile's element type is not on record: the nearest size of an element it is.
    element = 1 if quantity == "memory.weights" else min((1, 2, 4), key=_distance(ratio.low))
    low, high = ratio.low / element, ratio.high / element
    why = f"{how}; measured {high:.4f} of the closed form ({source.told})"
    return Term(name, size * low, size * (low + high) / 2, size * high, MEASURED, why)


def _distance(value: float) -> Callable[[int], float]:
    return lambda size: abs(math.log(value / size))


def _vocoder(deployment: Deployment) -> list[Term]:
    """Flow decoder, HiFT, TensorRT, and what a call takes."""
    element = cost.element_bytes(deployment.vocoder)
    calls = max(1, deployment.tensorrt)
    per_call = terms.guess("vocoder_fixed_mib") * MIB
    tokens = min(deployment.context, terms.guess("vocoder_most_tokens"))
    per_call += terms.guess("vocoder_bytes_per_token") * tokens
    found = [
        terms.exact("flow decoder", FLOW_PARAMETERS * element, CLOSED_FORM,
                    f"{FLOW_PARAMETERS:,} parameters, {deployment.vocoder}"),
        terms.exact("HiFT vocoder", HIFT_PARAMETERS * element, CLOSED_FORM,
                    f"{HIFT_PARAMETERS:,} parameters, {deployment.vocoder}"),
        terms.guessed("vocoder activations", calls * per_call,
                      terms.reason(
                "vocoder_fixed_mib", "vocoder_bytes_per_token", "vocoder_most_tokens")),
    ]  # fmt: skip
    if deployment.tensorrt:
        size = deployment.tensorrt * TENSORRT_BYTES
        why = f"{deployment.tensorrt} x 4,532 MiB (FunAudioLLM/CosyVoice #835)"
        found.append(terms.elsewhere(TENSORRT, size, why))
    return found


def _context(source: Source | None, deployment: Deployment) -> tuple[Term, bool]:
    size = terms.guess("cuda_context_mib") * MIB
    default = terms.guessed("CUDA context", size, terms.reason("cuda_context_mib"))
    # It is the driver's and the card's alone: any cell tells it.
    points = source.points.get("memory.context") if source and source.is_cuda else None
    if source is None or not points:
        return default, False
    return _measured("CUDA context", min(points.values()), max(points.values()), source), False


def _activations(
    variant: Variant, deployment: Deployment, source: Source | None
) -> tuple[list[Term], bool]:
    element = cost.element_bytes(deployment.weight)
    config = variant.config
    per_token = terms.guess("prefill_mlp_widths") * config.mlp
    per_token += terms.guess("prefill_hidden_widths") * config.hidden
    logits = deployment.streams * config.speech_rows * 4
    size = per_token * element * (deployment.context + deployment.streams) + logits
    default = terms.guessed(ACTIVATIONS, size, terms.reason("prefill_mlp_widths"))
    if source is None:
        return [default], False
    scale = element / source.element_bytes
    return _replaced(default, source, "memory.activations", deployment, scale)


def _fragmentation(
    moving: list[Term], deployment: Deployment, source: Source | None
) -> tuple[Term, bool]:
    share, fixed = terms.guess("fragmentation_share"), terms.guess("fragmentation_fixed_mib") * MIB
    default = terms.guessed(
        "allocator's fragmentation", fixed + share * sum(term.settled for term in moving),
        terms.reason("fragmentation_share", "fragmentation_fixed_mib"),
    )  # fmt: skip
    if source is None:
        return default, False
    found, bounded = _replaced(default, source, "memory.fragmentation", deployment, 1.0)
    return found[0], bounded


def _rest(deployment: Deployment, source: Source | None) -> list[Term]:
    """What a profile on CUDA could not explain."""
    points = source.points.get("memory.rest") if source and source.is_cuda else None
    if source is None or not points:
        return []
    return [_measured("unexplained rest", 0.0, max(points.values()), source)]


def _replaced(
    default: Term, source: Source, quantity: str, deployment: Deployment, scale: float
) -> tuple[list[Term], bool]:
    """A default's measured successor; outside the grid the default, from what was measured up.

    And whether there is only that bound.
    """
    found = source.at(quantity, deployment.context, deployment.streams)
    if found is None:
        return [default], False
    if found.high is not None:
        return [_measured(default.name, found.low * scale, found.high * scale, source)], False
    # No less than anywhere inside, or a larger load could seem to take less than a measured one.
    most = max(source.points[quantity].values()) * scale * terms.spread_of("measured")
    low = max(default.low, found.low * scale / terms.spread_of("measured"))
    mid, high = max(default.mid, low, most), max(default.high, low, most)
    why = f"outside of what was measured ({source.told}): no less than there; {default.why}"
    return [Term(default.name, low, mid, high, default.tag, why)], True


def _measured(name: str, low: float, high: float, source: Source) -> Term:
    """A measured interval, widened by how far a measurement may be off."""
    spread = terms.spread_of("measured")
    return Term(name, low / spread, (low + high) / 2, high * spread, MEASURED, source.told)
