"""Operations and memory traffic of one decoded token: counted, and by closed form.

A counter sees the matrix products of a step, the rotation of queries and keys among them, and not
what is multiplied number by number; the closed form has all of the scan and no rotation.
"""

from __future__ import annotations

from mamtra_eval.claims import _objects
from mamtra_eval.claims.checks._shapes import TEACHER, decoder, short_contexts
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import CLOSED_FORM, MEASURED, Finding, register
from mamtra_eval.claims.profiles import Profiles
from mamtra_eval.claims.words import flop, listed, share, tokens
from mamtra_eval.models import cost
from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.cost import TOOLS


@register
def saved_per_token(claim: Claim, _profiles: Profiles | None) -> Finding:
    """FLOP that a hybrid saves at one decoded token."""
    length, ratio = int(claim.setting("context")), str(claim.setting("ratio"))
    claimed, config = claim.value("flops"), decoder(ratio)
    counted = _objects.step_flops(TEACHER, length) - _objects.step_flops(config, length)
    form = cost.flops_per_token(TEACHER, length) - cost.flops_per_token(config, length)
    mean = cost.flops_per_pass(TEACHER, length) - cost.flops_per_pass(config, length)
    whole = cost.flops_per_pass(TEACHER, length, TOOLS) - cost.flops_per_pass(config, length, TOOLS)
    return Finding(
        CLOSED_FORM,
        flop(form),
        f"At {length:,} tokens {ratio} takes {flop(form)} less for a token, with all of the scan; "
        f"a counter on a real step, which misses part of the scan and sees the rotation of queries "
        f"and keys, has {flop(counted)}. On average over a causal pass it is {flop(mean / length)} "
        f"a token. The claim is {claimed / form:,.0f} times the closed form's, and "
        f"{claimed / cost.flops_per_token(TEACHER, length):,.0f} times all that a token takes.",
        claim.against("flops", float(form)),
        f"A whole pass over {length:,} tokens saves {flop(whole)} ({TOOLS}).",
    )


@register
def step_growth(claim: Claim, _profiles: Profiles | None) -> Finding:
    """How a decoding step's work grows with the context, counted."""
    first, last = claim.setting("contexts")
    ours = {
        ratio: _objects.step_flops(decoder(ratio), last)
        / _objects.step_flops(decoder(ratio), first)
        for ratio in claim.series("growth")
    }
    whole = _objects.step_flops(TEACHER, last) - _objects.step_flops(TEACHER, first)
    slopes = []
    for ratio in claim.setting("slopes"):
        config = decoder(ratio)
        rise = _objects.step_flops(config, last) - _objects.step_flops(config, first)
        slopes.append(f"{share(rise / whole)} at {ratio} ({len(config.transformer)} of 24 layers)")
    return Finding(
        MEASURED,
        f"factors {listed(f'{value:.3f} ({key})' for key, value in ours.items())}",
        f"Counted on real steps, a token at {last:,} tokens takes "
        f"{listed(f'{value:.3f} ({key})' for key, value in ours.items())} times what it takes at "
        f"{first:,}. Without Transformer layers (0:1) it is constant; a hybrid's step grows as the "
        f"teacher's does, with a smaller slope: {listed(slopes)} of the teacher's.",
        claim.against("growth", ours),
    )


@register
def decode_saved(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Share of a decoded token's FLOP that a hybrid saves at short contexts."""
    config = decoder(str(claim.setting("ratio")))
    ours = {
        context: 1
        - cost.flops_per_token(config, int(context)) / cost.flops_per_token(TEACHER, int(context))
        for context in claim.series("saved")
    }
    even = break_even(config)["decode_flops"] or 0
    return short_contexts("a decoded token", claim, ours, tokens(even))


@register
def decode_traffic(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Bytes that a decoding step reads and writes, hybrid against teacher, by sequences at once."""
    context, ratio = int(claim.setting("context")), str(claim.setting("ratio"))
    config = decoder(ratio)
    ours = {
        streams: 1
        - _traffic(config, int(streams), context) / _traffic(TEACHER, int(streams), context)
        for streams in claim.series("saved")
    }
    later = int(claim.setting("longer"))
    long = {
        streams: 1 - _traffic(config, int(streams), later) / _traffic(TEACHER, int(streams), later)
        for streams in ours
    }
    even = {
        state: break_even(config, state_element=cost.element_bytes(state))["decode_traffic"] or 0
        for state in ("fp16", "fp32")
    }
    return Finding(
        CLOSED_FORM,
        f"{listed(f'{share(value, signed=True)} ({key})' for key, value in ours.items())}",
        f"Weights are read once a step, keys and values once a sequence, states (fp32) read and "
        f"written. At {context:,} tokens {ratio} saves "
        f"{listed(f'{share(value, signed=True)} with {key}' for key, value in ours.items())} "
        f"sequences at once (negative: it moves more), at {later:,} tokens "
        f"{listed(f'{share(value, signed=True)} with {key}' for key, value in long.items())}. A "
        f"sequence's own traffic breaks even at "
        f"{listed(f'{tokens(point)} with {state} states' for state, point in even.items())}.",
        claim.against("saved", ours),
    )


def _traffic(config: DecoderConfig, streams: int, context: int) -> float:
    """Bytes a step: fp16 weights and keys, fp32 states; embeddings are looked up, not read."""
    parts = cost.parameters(config)
    read = sum(parts[name] for name in ("attention", "mamba", "mlp", "norms", "head"))
    each = cost.kv_bytes(config, context) + 2 * cost.state_bytes(config, 4)
    return 2 * read + streams * each
