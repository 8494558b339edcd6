"""Weights and process memory: what the architecture explains of a claimed saving.

The architecture accounts for weights and caches. Of a claimed saving of a process, what these two
decoders differ by is explained; the rest is code path, activations, allocator or other models.
"""

from __future__ import annotations

import math

from mamtra_eval.claims import _objects
from mamtra_eval.claims.checks._shapes import TEACHER, decoder
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import (
    CLOSED_FORM,
    IN_PART,
    MEASURED,
    QUOTED,
    Finding,
    register,
)
from mamtra_eval.claims.profiles import Profiles
from mamtra_eval.claims.words import flop, listed, share, size, tokens
from mamtra_eval.models import cost
from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.config import DecoderConfig


@register
def teacher_size(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Parameters of the teacher's modules, counted."""
    counted = _objects.parameters(TEACHER)
    language = counted["body"] + counted["text_embedding"]
    return Finding(
        MEASURED,
        f"{language:,} parameters",
        f"The modules made here have {counted['body']:,} parameters in layers and last norm and "
        f"{counted['text_embedding']:,} in the text embedding, {language:,} together; with speech "
        f"embedding and head {counted['total']:,}, that is {size(4 * counted['total'])} in fp32 "
        f"and {size(2 * counted['total'])} in fp16.",
        claim.against("parameters", float(language)),
    )


@register
def parameters_saved(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Parameters that a hybrid has more or fewer than its teacher, counted."""
    whole = _objects.parameters(TEACHER)
    ours = {
        ratio: float(_objects.parameters(decoder(ratio))["total"] - whole["total"])
        for ratio in claim.series("added")
    }
    mamba = _objects.parameters(decoder("0:1"))["mamba"]
    added = listed(f"{value / 1e6:+.2f} M at {ratio}" for ratio, value in ours.items())
    return Finding(
        MEASURED,
        added,
        f"Counted on modules made here: a Mamba-2 mixer has {mamba:,} parameters, attention "
        f"{whole['attention']:,}, so each replaced layer adds {mamba - whole['attention']:,}: "
        f"{added}, {size(4 * max(ours.values()))} in fp32 at most.",
        claim.against("added", ours),
    )


@register
def memory_explained(claim: Claim, _profiles: Profiles | None) -> Finding:
    """A claimed saving of a process: its arithmetic, and what weights and caches explain of it."""
    ratio, short = str(claim.setting("ratio")), int(claim.setting("context"))
    before, after, config = claim.value("before"), claim.value("after"), decoder(ratio)
    gone = before - after
    contexts = sorted({short, *claim.setting("contexts")})
    saved = {context: _decoder_saving(config, context) for context in contexts}
    explained = max(saved.values()) / gone  # of all contexts, the one that explains most
    told = listed(f"{size(value, signed=True)} at {key:,}" for key, value in saved.items())
    mixers = 4 * TEACHER.layers * _objects.parameters(TEACHER)["attention"]
    largest = _objects.cache_bytes(TEACHER, 4096, "fp32").kv
    return Finding(
        MEASURED,
        f"{share(-gone / before)}, of which weights and cache explain "
        f"{size(saved[short], signed=True)} of {size(gone)}",
        f"{size(before)} to {size(after)} is {share(-gone / before)}, {size(gone)}, as printed. "
        f"In fp32 the weights and the cache of the {ratio} decoder take less than the teacher's "
        f"by {told} tokens (negative: more). Even all attention mixers ({size(mixers)}) and the "
        f"teacher's whole cache of 4,096 tokens ({size(largest)}) are "
        f"{share((mixers + largest) / gone)} of the difference.",
        claim.against("saving", gone / before),
        _what_would_save(config, gone, before, claim.value("saving"), short),
        (explained, float(claim.setting("explained_share"))),
    )


def _decoder_saving(config: DecoderConfig, context: int, kv: str = "fp32") -> float:
    """Bytes of weights and cache that a decoder takes less than the teacher, counted."""
    element = cost.element_bytes(kv)
    weights = _objects.parameters(TEACHER)["total"] - _objects.parameters(config)["total"]
    caches = [_objects.cache_bytes(shape, context, kv).total for shape in (TEACHER, config)]
    return float(element * weights + caches[0] - caches[1])


def _what_would_save(
    config: DecoderConfig, gone: float, before: float, saving: float, context: int
) -> str:
    """Set-ups in which the cache, or what the code path drops, comes to as much."""
    weights = 2 * cost.parameters(TEACHER)["total"]
    alone = [
        f"{count:,.0f} of {length:,}"
        for length in (1024, 2048, 4096)
        if (count := streams_for(config, saving, weights, length)) is not None
    ]
    process = streams_for(config, saving, before, 4096)
    logits = TEACHER.text_vocabulary * 4
    parts = [
        f"{size(gone)} is the teacher's fp32 cache of "
        f"{tokens(gone / cost.kv_bytes(TEACHER, 1, 4))}.",
        f"{share(-saving)} by fp16 caches alone takes {listed(alone)} tokens at once if only the "
        "language model counts"
        + (f", {process:,.0f} of 4,096 on top of {size(before)}." if process else ".")
        if alone
        else f"No number of sequences up to 4,096 tokens saves {share(saving)} by caches.",
        f"A code path that drops the unused text logits saves {size(logits * context)} at "
        f"{context:,} tokens.",
    ]
    return " ".join(parts)


def streams_for(
    config: DecoderConfig, saving: float, fixed_bytes: float, context: int
) -> float | None:
    """Sequences at once from which on fp16 caches alone save a share of all memory.

    Args:
        config: the hybrid.
        saving: the share.
        fixed_bytes: what does not grow with sequences: weights, or a process.
        context: tokens of each sequence.

    Returns:
        The number, or ``None`` if no number saves as much.
    """
    whole = cost.kv_bytes(TEACHER, context)
    less = whole - cost.kv_bytes(config, context) - cost.state_bytes(config)
    each = less - saving * whole
    return math.ceil(saving * fixed_bytes / each) if each > 0 else None


@register
def memory_of_another(claim: Claim, _profiles: Profiles | None) -> Finding:
    """A claimed saving against another system, of which there is no closed form here."""
    before, after = claim.value("before"), claim.value("after")
    slack = float(claim.setting("reading_gb")) * 1e9
    ends = [1 - (after + sign * slack) / (before - sign * slack) for sign in (1, -1)]
    return Finding(
        QUOTED,
        share(after / before - 1),
        f"{size(before)} to {size(after)} is {share(after / before - 1)}; with bars read to "
        f"{claim.setting('reading_gb'):g} GB, from {share(-ends[0])} to {share(-ends[1])}. The "
        "other system has another decoder, codec and code, so the difference is not one of layers; "
        "the bars themselves take both systems' weights.",
        claim.against("saving", 1 - after / before),
        best=IN_PART,
    )


@register
def decoder_bytes_saved(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Weights and cache together at the test set's contexts, counted."""
    config = decoder(str(claim.setting("ratio")))
    ours = {
        context: _decoder_saving(config, int(context), "fp16") for context in claim.series("saved")
    }
    even = break_even(config)["cache_and_weights"] or 0
    dummies = (
        break_even(config, cache_element=4, weight_element=4, dummy_bytes=cost.DUMMY_BYTES)[
            "cache_and_weights"
        ]
        or 0
    )
    told = listed(f"{size(value, signed=True)} at {key}" for key, value in ours.items())
    return Finding(
        MEASURED,
        f"{told} tokens; break-even {tokens(even)}",
        f"Saved by the {claim.setting('ratio')} decoder in fp16, weights and cache of one "
        f"sequence: {told} tokens (negative: it takes more). It becomes the smaller one at "
        f"{tokens(even)}, with the dummy entries of the authors' cache at {tokens(dummies)}.",
        claim.against("saved", ours),
    )


@register
def text_head(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Work and memory of text logits that are made and not used."""
    rows = TEACHER.text_vocabulary
    logits = {context: 4.0 * rows * int(context) for context in claim.series("logits")}
    work = 2.0 * rows * TEACHER.hidden
    token = cost.flops_per_token(TEACHER, int(claim.setting("context")))
    ours = listed(f"{size(value)} at {int(key):,}" for key, value in logits.items())
    return Finding(
        CLOSED_FORM,
        f"{flop(work)} a token; {ours}",
        f"{rows:,} text logits a position cost {flop(work)} a token, {share(work / token)} of what "
        f"the decoder itself takes at {claim.setting('context'):,} tokens, and in fp32 {ours} "
        "tokens of a prefill. This package's decoder has no text head, in teacher and hybrid "
        "alike: a port that leaves it out saves that by code, not by layers.",
        [*claim.against("flops", work), *claim.against("logits", logits)],
    )


@register
def autocast_weights(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Bytes of a module's parameters, before and inside autocast, and as half precision."""
    import torch

    module = torch.nn.Linear(64, 64)

    def held() -> int:
        return sum(part.numel() * part.element_size() for part in module.parameters())

    before = held()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        kind = module(torch.zeros(1, 64)).dtype
        inside = held()
    halved = sum(part.numel() * part.element_size() for part in module.half().parameters())
    total = _objects.parameters(TEACHER)["total"]
    return Finding(
        MEASURED,
        f"factor {inside / before:.2f}",
        f"A module under autocast computes in {str(kind).removeprefix('torch.')} here, and its "
        f"parameters keep {inside / before:.2f} times their bytes: the language model stays at "
        f"{size(4 * total)}. Every use casts them anew or keeps a second copy.",
        claim.against("factor", inside / before),
        f"Weights converted once (half()) have {halved / before:.2f} times the bytes: "
        f"{size(2 * total)}.",
    )
