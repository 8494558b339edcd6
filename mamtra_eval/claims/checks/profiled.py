"""Claims about measured memory and time: from a run's profile, hybrid against its teacher.

Without a run, or with one that lacks such rows, nothing is said but what would measure it. Rows of
other decoders than CosyVoice 2's are shown and decide nothing; its shape is enough, with any
weights, for time and memory do not depend on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from mamtra_eval.claims.checks._shapes import TEACHER
from mamtra_eval.claims.claim import Claim
from mamtra_eval.claims.finding import (
    HOLDS,
    IN_PART,
    NEEDS_RUN,
    NOT_CHECKABLE,
    PROFILED,
    Finding,
    register,
)
from mamtra_eval.claims.profiles import COMMAND, Pair, Profiles
from mamtra_eval.claims.words import listed, share, size

OTHER_SHAPE = "That is of other decoders than CosyVoice 2's, so it says nothing of the claim."
NO_GPU = "Not all of it is of a GPU: elsewhere it is the memory of the process."


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
        others = sorted({pair.ratio for pair in pairs}) or ["none"]
        return _unmeasured(
            quantity,
            f"{profiles.origin} has no {quantity} of a {wanted} hybrid and its teacher under the "
            f"same conditions (of other ratios: {listed(others)}).{missing}",
        )
    own = [pair for pair in fitting if pair.shape.with_layout(TEACHER.transformer) == TEACHER]
    shown = own or fitting
    devices = {profiles.device(pair.key.session) for pair in shown}
    comparisons = [claim.numbers["saving"].compare("saving", "", pair.saved) for pair in own]
    agreed = sum(comparison.agrees for comparison in comparisons)
    told = [
        f"{profiles.origin} ({listed(sorted(name for name, _ in devices))}): of {quantity}, "
        f"{wanted} saves {_span(shown)} (negative: it takes more).",
        f"As much as claimed in {agreed} of {len(own)} settings." if own else OTHER_SHAPE,
        _shown(shown) + missing,
    ]
    elsewhere = quantity.startswith("memory.") and not all(is_gpu for _, is_gpu in devices)
    if elsewhere:
        told.append(NO_GPU)
    best = NOT_CHECKABLE if not own else IN_PART if elsewhere else HOLDS
    return Finding(PROFILED, f"{_span(shown)} saved", " ".join(told), comparisons, best=best)


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
