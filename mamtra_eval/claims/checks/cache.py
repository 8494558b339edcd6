"""What the decoder remembers: keys, values and states, from real caches whose tensors are walked.

The paper's own cache (its Figure 5) is all fp32 and has, besides, two dummy elements a token and
Mamba-2 layer, ``cost.DUMMY_BYTES``; ours has none, so they are added where that figure is checked.
"""

from __future__ import annotations

import math
from dataclasses import replace

from mamtra_eval.claims import _objects
from mamtra_eval.claims.checks._shapes import RATIOS, TEACHER, decoder
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import MEASURED, Finding, register
from mamtra_eval.claims.profiles import Profiles
from mamtra_eval.claims.words import listed, share, size, tokens
from mamtra_eval.models import cost
from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.config import DecoderConfig

MAX_POSITIONS = 32_768
"""Longest context of the teacher's positions, of its Qwen2.5-0.5B configuration."""


@register
def mamba_state(claim: Claim, _profiles: Profiles | None) -> Finding:
    """States of real caches against the figure's, and a block of twice the width."""
    ours = {
        ratio: float(_objects.cache_bytes(decoder(ratio), 1, "fp32").state)
        for ratio in claim.series("state")
    }
    elements = _objects.cache_bytes(decoder("0:1"), 1, "fp32").state // 4 // TEACHER.layers
    scan = TEACHER.inner * TEACHER.head_dim
    double = cost.state_elements(replace(TEACHER, heads=2 * TEACHER.heads))
    return Finding(
        MEASURED,
        f"{elements:,} elements a layer; {_by_key(ours)}",
        f"A Mamba-2 layer's cache made here has {elements:,} elements: {scan:,} of the scan "
        f"({TEACHER.heads} heads x {TEACHER.head_dim} x {TEACHER.head_dim}) and "
        f"{elements - scan:,} of the convolution ({TEACHER.conv_channels:,} channels x "
        f"{TEACHER.conv_width}). In fp32 that is {_by_key(ours)}. A block of twice the inner "
        f"width (expand 2) would have {double:,}, {double / elements:.2f} times as many.",
        [*claim.against("state", ours), *claim.against("elements", float(elements))],
    )


@register
def cache_bars(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Every bar of the cache figure: keys and values as they grow, at each ratio."""
    comparisons, worst, bare = [], 0.0, 0.0
    for ratio in RATIOS:
        config, claimed = decoder(ratio), claim.series(ratio)
        ours = {}
        for length, bar in claimed.items():
            kv = _objects.cache_bytes(config, int(length), "fp32").kv
            ours[length] = float(kv + len(config.mamba) * cost.DUMMY_BYTES * int(length))
            worst = max(worst, abs(ours[length] / bar - 1))
            bare = max(bare, abs(kv / bar - 1))
        comparisons += claim.against(ratio, ours)
    agreed = sum(comparison.agrees for comparison in comparisons)
    return Finding(
        MEASURED,
        f"{agreed} of {len(comparisons)} bars, the worst off by {100 * worst:.2f} %",
        f"{len(comparisons)} bars: caches made here in fp32, with the {cost.DUMMY_BYTES} B a token "
        "and Mamba-2 layer of dummy entries in the authors' code, are off by "
        f"{100 * worst:.2f} % at worst; without the dummies, by {share(bare)}.",
        comparisons,
    )


@register
def kv_growth(claim: Claim, _profiles: Profiles | None) -> Finding:
    """The exponent with which real keys and values grow."""
    first, last = claim.setting("contexts")
    small, large = (_objects.cache_bytes(TEACHER, context).kv for context in (first, last))
    exponent = math.log(large / small) / math.log(last / first)
    scores = TEACHER.heads * last**2 * 4
    return Finding(
        MEASURED,
        f"exponent {exponent:.3f}",
        f"Keys and values of the teacher, made here in fp16, grow from {size(small)} at {first:,} "
        f"tokens to {size(large)} at {last:,}: exponent {exponent:.3f}, that is "
        f"{large // last:,} B a token.",
        claim.against("exponent", exponent),
        "Quadratic is the matrix of attention scores of a pass in plain products: "
        f"{size(scores)} in fp32 at {last:,} tokens, for one layer at a time, and freed at once; "
        "fused attention never makes it.",
    )


@register
def kv_sizes(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Keys and values of the teacher at each claimed context; what the claimed ones take."""
    claimed = claim.series("kv")
    ours = {context: float(_objects.cache_bytes(TEACHER, int(context)).kv) for context in claimed}
    double = {
        context: _objects.cache_bytes(TEACHER, int(context), "fp32").kv for context in claimed
    }
    rate = cost.kv_bytes(TEACHER, 1)
    first, *_, last = claimed
    slope = claimed[first] / int(first)
    wide = cost.kv_bytes(replace(TEACHER, kv_heads=TEACHER.heads), 1)
    times = [f"{claimed[context] / ours[context]:.0f}" for context in claimed]
    return Finding(
        MEASURED,
        _series(ours),
        f"Caches of one sequence, made here: {_series(ours)} in fp16, {_series(double)} in fp32. "
        f"The claimed ones are {listed(times)} times the fp16 ones. {size(claimed[first])} is the "
        f"fp16 cache of {tokens(claimed[first] / rate)}, {size(claimed[last])} of "
        f"{tokens(claimed[last] / rate)}; the decoder has positions for {MAX_POSITIONS:,}.",
        claim.against("kv", ours),
        f"{size(claimed[first])} at {first} tokens is {slope / 1e6:.4f} MB a token: "
        f"{claimed[first] / ours[first]:.0f} sequences in fp16 or "
        f"{claimed[first] / double[first]:.0f} in fp32 (a batch of 128 or 64 has "
        f"{128 * rate / 1e6:.3f} MB a token); with a key head for every query head, "
        f"{slope / wide:.0f} in fp16. At that rate {size(claimed[last])} stands at "
        f"{claimed[last] / slope:,.0f} tokens, not at {int(last):,}.",
    )


@register
def cache_sublinear(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Growth of whole caches: the exponent, and the slope late against early."""
    contexts = claim.setting("contexts")
    exponents, slopes, rates = {}, {}, {}
    teacher = _slope(TEACHER, contexts[-2], contexts[-1])
    for ratio in claim.series("exponent"):
        config = decoder(ratio)
        sizes = [_objects.cache_bytes(config, context, "fp32").total for context in contexts]
        exponents[ratio] = math.log(sizes[-1] / sizes[0]) / math.log(contexts[-1] / contexts[0])
        late = _slope(config, contexts[-2], contexts[-1])
        slopes[ratio] = late / _slope(config, contexts[0], contexts[1])
        rates[ratio] = late / teacher
    told = listed(f"{share(rate)} at {ratio}" for ratio, rate in rates.items())
    return Finding(
        MEASURED,
        f"exponents {listed(f'{value:.2f} ({key})' for key, value in exponents.items())}; slope "
        f"late / early {listed(sorted({f'{value:.3f}' for value in slopes.values()}))}",
        f"From {contexts[0]:,} to {contexts[-1]:,} tokens the caches grow with exponents "
        f"{listed(f'{value:.2f} ({key})' for key, value in exponents.items())}, below 1 because "
        "of the constant states. But every further token adds as much as the one before: they "
        f"are a constant and a straight line, whose slope is {told} of the teacher's.",
        [*claim.against("exponent", exponents), *claim.against("slope", slopes)],
    )


@register
def state_growth(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Growth of real states, and of the authors' with their dummy entries."""
    first, last = claim.setting("contexts")
    ours, told = {}, []
    for ratio in claim.series("growth"):
        config = decoder(ratio)
        states = [_objects.cache_bytes(config, context, "fp32").state for context in (first, last)]
        ours[ratio] = states[1] / states[0]
        told.append(f"{size(len(config.mamba) * cost.DUMMY_BYTES * last)} at {ratio}")
    return Finding(
        MEASURED,
        f"factor {listed(sorted({f'{value:.3f}' for value in ours.values()}))}",
        f"States made here are the same at {first:,} and {last:,} tokens, to the byte. What grows "
        f"in the authors' cache are its dummy entries, {cost.DUMMY_BYTES} B a token and Mamba-2 "
        f"layer: {listed(told)} at {last:,} tokens.",
        claim.against("growth", ours),
    )


@register
def cache_saved(claim: Claim, _profiles: Profiles | None) -> Finding:
    """Share of the teacher's cache that a hybrid saves at short contexts, by types of elements."""
    config = decoder(str(claim.setting("ratio")))
    comparisons, told, points = [], [], []
    for name, state in (("fp16 state", "fp16"), ("fp32 state", "fp32")):
        ours = {}
        for context in claim.series(name):
            whole = _objects.cache_bytes(TEACHER, int(context), "fp16").total
            hybrid = _objects.cache_bytes(config, int(context), "fp16", state).total
            ours[context] = 1 - hybrid / whole
        even = break_even(config, cache_element=2, state_element=cost.element_bytes(state))["cache"]
        comparisons += claim.against(name, ours)
        saved = listed(f"{share(value, signed=True)} at {key}" for key, value in ours.items())
        told.append(f"with fp16 keys and an {name}, {saved} tokens")
        points.append(f"{tokens(even or 0)} with an {name}")
    return Finding(
        MEASURED,
        f"break-even {listed(points)}",
        f"Saved of the teacher's cache: {'; '.join(told)}. A Mamba-2 layer's state is as large as "
        f"a Transformer layer's keys and values of {listed(points)}, whatever the ratio: below "
        "that, replacing layers takes more cache.",
        comparisons,
    )


@register
def longest_session(claim: Claim, _profiles: Profiles | None) -> Finding:
    """The largest cache that the teacher can have, against a claimed exhaustion of memory."""
    claimed = claim.value("memory")
    kv = _objects.cache_bytes(TEACHER, MAX_POSITIONS).kv
    return Finding(
        MEASURED,
        size(kv),
        f"At the last position that the teacher has, {tokens(MAX_POSITIONS)}, its cache made here "
        f"in fp16 is {size(kv)}, {share(kv / claimed)} of {size(claimed)}; at the "
        f"{claim.setting('context'):,} tokens of an utterance of the paper's test set it is "
        f"{size(_objects.cache_bytes(TEACHER, claim.setting('context')).kv)}.",
        claim.against("memory", float(kv)),
        f"{size(claimed)} of keys and values take {math.ceil(claimed / kv)} sequences of that "
        f"length, or one of {tokens(claimed / cost.kv_bytes(TEACHER, 1))}.",
    )


def _slope(config: DecoderConfig, first: int, last: int) -> float:
    """Bytes of an fp32 cache that a token adds between two contexts."""
    sizes = [_objects.cache_bytes(config, context, "fp32").total for context in (first, last)]
    return (sizes[1] - sizes[0]) / (last - first)


def _series(sizes: dict[str, float] | dict[str, int]) -> str:
    *_, unit = size(next(iter(sizes.values()))).split()
    scale = {"MB": 1e6, "GB": 1e9}[unit]
    return " / ".join(f"{value / scale:,.2f}" for value in sizes.values()) + f" {unit}"


def _by_key(sizes: dict[str, float]) -> str:
    return listed(f"{size(value)} at {key}" for key, value in sizes.items())
