"""Claims about measured memory and time: from a run's profile, hybrid against its teacher.

Without a run, or with one that lacks such rows, nothing is said but what would measure it. Rows of
other decoders than CosyVoice 2's are shown and decide nothing; its shape is enough, with any
weights, for time and memory do not depend on them. The claims are of a GPU: what was measured on
another device is shown as its own and decides nothing either, but for sizes of kept tensors (keys
and values, states, weights), which are the same on every device.
"""

from __future__ import annotations

from collections.abc import Sequence

from mamtra_eval.claims.checks._shapes import TEACHER
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import (
    HOLDS,
    NEEDS_RUN,
    NOT_CHECKABLE,
    PROFILED,
    PROFILED_ELSEWHERE,
    Finding,
    register,
)
from mamtra_eval.claims.profiles import COMMAND, Pair, Profiles
from mamtra_eval.claims.words import listed, share, size

OTHER_SHAPE = "That is of other decoders than CosyVoice 2's, so it says nothing of the claim."
NO_GPU = (
    "Those are figures of a CPU: its memory is that of the process, its kernels are others, and so "
    "they say nothing of a claim about a GPU."
)
ON_ANY_DEVICE = ("memory.weights", "memory.kv", "memory.state")
"""Bytes of tensors that are kept."""


@register
def measured_saving(claim: Claim, profiles: Profiles | None) -> Finding:
    """A claimed share that a hybrid saves of a quantity, under all measured conditions."""
    quantity = str(claim.setting("quantity"))
    if profiles is None:
        return _unmeasured(quantity, "No run was given.")
    pairs, failed = profiles.pairs(quantity)
    wanted = str(claim.setting("ratio"))
    fitting = [pair for pair in pairs if pair.ratio == wanted]
    missing = f" Failed rows of it, left out: {failed}." if failed else ""
    if not fitting:
        ratios = sorted({pair.ratio for pair in pairs}) or ["none"]
        return _unmeasured(
            quantity,
            f"{profiles.origin} has no {quantity} of a {wanted} hybrid and its teacher under the "
            f"same conditions (of other ratios: {listed(ratios)}).{missing}",
        )
    counting = [pair for pair in fitting if _counts(pair, profiles)]
    others = [pair for pair in fitting if not _counts(pair, profiles)]
    own = [pair for pair in counting if _is_published(pair)]
    others = [pair for pair in others if _is_published(pair)] or others
    shown = own or counting or others
    comparisons = [claim.numbers["saving"].compare("saving", "", pair.saved) for pair in own]
    agreed = sum(comparison.agrees for comparison in comparisons)
    told = [f"{profiles.origin} {_told(shown, profiles, quantity, wanted)}"]
    if own:
        told.append(f"As much as claimed in {agreed} of {len(own)} settings.")
    elif not any(_is_published(pair) for pair in shown):
        told.append(OTHER_SHAPE)
    told.append(_shown(shown))
    if others:
        if counting:
            told.append(f"Beside that {_told(others, profiles, quantity, wanted)}")
        told.append(NO_GPU)
    return Finding(
        PROFILED if counting else PROFILED_ELSEWHERE,
        f"{_span(shown)} saved" + ("" if counting else " on a CPU"),
        " ".join(told) + missing,
        comparisons,
        best=HOLDS if own else NOT_CHECKABLE,
    )


def _counts(pair: Pair, profiles: Profiles) -> bool:
    """Whether a pair was measured where the claim is about, or is the same everywhere."""
    return pair.key.quantity in ON_ANY_DEVICE or profiles.device(pair.key.session)[1]


def _is_published(pair: Pair) -> bool:
    """Whether a pair is of CosyVoice 2's shape."""
    return pair.shape.with_layout(TEACHER.transformer) == TEACHER


def _told(pairs: Sequence[Pair], profiles: Profiles, quantity: str, ratio: str) -> str:
    devices = sorted({profiles.device(pair.key.session)[0] for pair in pairs})
    return (
        f"({listed(devices)}): of {quantity}, {ratio} saves {_span(pairs)} (negative: it takes "
        "more)."
    )


def _span(pairs: Sequence[Pair]) -> str:
    """The least and the most that is saved, or the one value."""
    ends = [share(find(pair.saved for pair in pairs), signed=True) for find in (min, max)]
    return " to ".join(dict.fromkeys(ends))


def _unmeasured(quantity: str, why: str) -> Finding:
    return Finding(
        NEEDS_RUN,
        "–",
        f"{why} {COMMAND} measures {quantity}, of shape:cosyvoice2 and shape:cosyvoice2:1:1 with "
        "random weights; then mamtra-eval claims --run RUN_DIR checks the claim.",
        best=NOT_CHECKABLE,
    )


def _shown(pairs: Sequence[Pair]) -> str:
    """The conditions with the least and the most saved, with their values."""
    ordered = sorted(pairs, key=lambda pair: pair.saved)
    ends = (
        {"Least": ordered[0], "Most": ordered[-1]} if len(ordered) > 1 else {"That is": ordered[0]}
    )
    return " ".join(
        f"{word} {_value(pair, pair.hybrid)} against {_value(pair, pair.teacher)} "
        f"(width {pair.shape.hidden}, {_condition(pair)})."
        for word, pair in ends.items()
    )


def _value(pair: Pair, value: float) -> str:
    return size(value) if pair.key.quantity.startswith("memory.") else f"{1e3 * value:,.2f} ms"


def _condition(pair: Pair) -> str:
    key = pair.key
    parts = [
        key.phase,
        f"{key.context:,} tokens" if key.context else "",
        f"{key.streams} sequence{'s' if key.streams > 1 else ''}",
        key.workload,
        key.engine,
    ]
    return ", ".join(filter(None, parts))
