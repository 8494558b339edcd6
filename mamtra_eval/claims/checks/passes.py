"""Operations of a pass over a whole sequence: counted of the real decoder, and by closed form.

Conventions: *full* counts the whole score matrix of a pass, *causal* the half that is used; the
scan and the convolution of Mamba-2 layers count or, as counters miss fused kernels, do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from mamtra_eval.claims import _objects
from mamtra_eval.claims.checks._shapes import RATIOS, TEACHER, decoder, short_contexts
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import CLOSED_FORM, MEASURED, Finding, register
from mamtra_eval.claims.profiles import Profiles
from mamtra_eval.claims.words import flop, listed, share, tokens
from mamtra_eval.models import cost
from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.cost import TOOLS, Convention

FURTHEST = 2**24
"""Longest context that is searched for a set-up."""


@register
def pass_totals(claim: Claim, _profiles: Profiles | None) -> Finding:
    """FLOP of a pass at each ratio, counted as a tool counts that misses fused kernels."""
    length = int(claim.setting("context"))
    claimed = claim.series("flops")
    ours = {
        ratio: float(_objects.pass_flops(decoder(ratio), length, scan=False)) for ratio in claimed
    }
    gaps = [ours[ratio] - claimed[ratio] for ratio in claimed]
    causal = listed(
        f"{cost.flops_per_pass(decoder(ratio), length) / 1e12:.4f}" for ratio in claimed
    )
    return Finding(
        MEASURED,
        f"{' / '.join(f'{value / 1e12:.4f}' for value in ours.values())} TFLOP",
        f"A counter on a real pass of {length:,} tokens sees "
        f"{listed(f'{value / 1e12:.4f} ({key})' for key, value in ours.items())} TFLOP with the "
        "whole score matrix, without scan, convolution and head. The printed ones lie "
        f"{min(gaps) / 1e12:.3f} to {max(gaps) / 1e12:.3f} TFLOP below ours. Causal "
        f"and with the scan ours are {causal} TFLOP. All are of a whole pass: decoding one token "
        f"at {length:,} takes {flop(cost.flops_per_token(TEACHER, length))}.",
        claim.against("flops", ours),
    )


@register
def pass_differences(claim: Claim, _profiles: Profiles | None) -> Finding:
    """What a pass takes less than the teacher's, counted with and without the scan."""
    length = int(claim.setting("context"))
    whole = _objects.pass_flops(TEACHER, length, scan=False)
    ours, seen = {}, {}
    for ratio in claim.series("saved"):
        ours[ratio] = float(whole - _objects.pass_flops(decoder(ratio), length, scan=False))
        seen[ratio] = whole - _objects.pass_flops(decoder(ratio), length)
    return Finding(
        MEASURED,
        f"{' / '.join(f'{value / 1e12:.4f}' for value in ours.values())} TFLOP",
        "Counted on real passes, the differences are "
        f"{listed(f'{value / 1e12:.4f}' for value in ours.values())} TFLOP where the counter does "
        "not see the scan and the convolution, as with fused kernels, and "
        f"{listed(f'{value / 1e12:.4f}' for value in seen.values())} where it does. Both have the "
        "whole score matrix, of which causal attention uses half.",
        claim.against("saved", ours),
    )


@register
def pass_savings(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Share of a pass that is saved if what is used is counted: causal, with the scan."""
    length = int(claim.setting("context"))
    claimed = claim.series("saved")
    ours = {ratio: _saved(decoder(ratio), length, Convention()) for ratio in claimed}
    tools = {ratio: _saved(decoder(ratio), length, TOOLS) for ratio in claimed}
    reached = []
    for ratio, wanted in claimed.items():
        found = _first(partial(_saved, decoder(ratio)), wanted)
        reached.append(f"{found:,} ({ratio})" if found else f"never ({ratio})")
    return Finding(
        CLOSED_FORM,
        " / ".join(f"{100 * value:.1f}" for value in ours.values()) + " %",
        f"Of a pass over {length:,} tokens, causal and with the scan, "
        f"{listed(f'{share(value)} ({key})' for key, value in ours.items())} is saved.",
        claim.against("saved", ours),
        f"Counting the whole score matrix and no scan gives {listed(map(share, tools.values()))}. "
        f"Counted causally, the claimed shares are reached at {listed(reached)} tokens.",
    )


@register
def prefill_saved(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Share of a pass's FLOP that a hybrid saves at short contexts."""
    config = decoder(str(claim.setting("ratio")))
    ours = {context: _saved(config, int(context)) for context in claim.series("saved")}
    even = break_even(config)
    points = (
        f"{even['prefill_flops_half_block']:,.0f} (a scan that skips the non-causal half of its "
        f"chunks) to {tokens(even['prefill_flops'] or 0)}"
    )
    return short_contexts("a causal pass", claim, ours, points)


@register
def pass_growth(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Exponents with which a pass and its attention scores grow, counted."""
    comparisons, told = [], []
    for name, part in (("scores", _counted_scores), ("pass", _objects.pass_flops)):
        ours = {}
        for context in claim.series(name):
            small, large = part(TEACHER, int(context)), part(TEACHER, 2 * int(context))
            ours[context] = math.log2(large / small)
            told.append(f"{ours[context]:.2f} for the {name} at {int(context):,} tokens")
        comparisons += claim.against(name, ours)
    length = int(max(claim.series("pass"), key=int))
    part_of = _scores(length, "full") / _objects.pass_flops(TEACHER, length)
    return Finding(
        MEASURED,
        listed(told),
        f"When the context doubles, the teacher's work grows with exponent {listed(told)}. "
        f"Attention is quadratic, but of a pass over {length:,} tokens its scores are "
        f"{share(part_of)} even if counted whole: the rest is projections and MLPs, linear.",
        comparisons,
    )


@register
def attention_scores(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Work of the attention matrix alone, counted, and what the claimed figure is near to."""
    length, claimed = int(claim.setting("context")), claim.value("flops")
    full = _counted_scores(TEACHER, length)
    causal, whole = _scores(length, "causal"), cost.flops_per_pass(TEACHER, length)
    passes = {
        f"{ratio} ({convention})": cost.flops_per_pass(decoder(ratio), length, convention)
        for ratio in ("1:0", *RATIOS)
        for convention in (Convention(), TOOLS)
    }
    near = min(passes, key=lambda name: abs(passes[name] - claimed))
    reached = [
        f"{_first(partial(_scores, attention=kind), claimed) or 0:,} tokens ({kind})"
        for kind in ("full", "causal")
    ]
    return Finding(
        MEASURED,
        f"{flop(full)} full, {flop(causal)} causal",
        f"The score matrices of all {TEACHER.layers} layers, with the values they weigh, are "
        f"{flop(full)} of a pass over {length:,} tokens if counted whole, {flop(causal)} as far as "
        f"used. {flop(claimed)} is {claimed / full:.1f} times as much. Of whole passes, that of "
        f"{near} is nearest to it, {flop(passes[near])}; of the teacher's causal pass, "
        f"{flop(whole)}, scores are {share(causal / whole)}.",
        claim.against("flops", float(full)),
        f"The scores alone reach {flop(claimed)} at {listed(reached)}.",
    )


@register
def other_decoder(claim: Claim, _profiles: Profiles | None) -> Finding:
    """FLOP of a pass of another published decoder, from its shape."""
    length, shape = int(claim.setting("context")), claim.setting("shape")
    config = DecoderConfig(
        **shape, speech_codes=1, text_vocabulary=0, transformer=tuple(range(shape["layers"]))
    )
    ours = cost.flops_per_pass(config, length, TOOLS)
    causal = cost.flops_per_pass(config, length, Convention(head=False))
    nearer = min(
        (TOOLS, ours),
        (Convention(head=False), causal),
        key=lambda way: abs(way[1] - claim.value("flops")),
    )
    return Finding(
        CLOSED_FORM,
        f"{ours / 1e12:.4f} TFLOP",
        f"{shape['layers']} layers of width {shape['hidden']:,} give {ours / 1e12:.4f} TFLOP for "
        f"{length:,} tokens ({TOOLS}), {causal / 1e12:.4f} if causal. The printed one is nearer "
        f"to {nearer[0].attention} attention, and is that of a whole pass, not of a token.",
        claim.against("flops", float(ours)),
    )


def _counted_scores(config: DecoderConfig, length: int) -> int:
    """FLOP of the score matrices, counted whole."""
    # A pass is a L + b L^2: what it takes beyond two passes of half the length is b L^2 / 2.
    return 2 * (_objects.pass_flops(config, length) - 2 * _objects.pass_flops(config, length // 2))


def _scores(length: int, attention: str) -> int:
    """FLOP of the teacher's scores, and of the values they weigh."""
    pairs = length * (length + 1) // 2 if attention == "causal" else length**2
    return TEACHER.layers * 4 * TEACHER.inner * pairs


def _saved(config: DecoderConfig, length: int, convention: Convention | None = None) -> float:
    """Share of the teacher's pass that a decoder saves."""
    whole = cost.flops_per_pass(TEACHER, length, convention)
    return 1 - cost.flops_per_pass(config, length, convention) / whole


def _first(amount: Callable[[int], float], wanted: float) -> int | None:
    """The first context at which something that grows reaches an amount; None beyond 2^24."""
    if amount(FURTHEST) < wanted:
        return None
    low, high = 0, FURTHEST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if amount(middle) >= wanted else (middle, high)
    return high
