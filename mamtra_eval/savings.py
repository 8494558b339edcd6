"""What the variants of a family save: by closed form, as the workers saw it, and as a profile did.

Cache and FLOP follow from the decoder's shape, the real-time factor from the run's own clips;
memory and time per token are a profile's (``profiles``), at the measured context nearest to the
one that is asked for, and times only where they were taken in turn with the baseline's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mamtra_eval.profiling.rows import REPLAY
from mamtra_eval.results import Results, SystemResult


@dataclass(frozen=True)
class Saving:
    """Something that variants save.

    Attributes:
        key: a file name for it.
        unit: ``bytes``, ``flop``, ``factor`` or ``s``.
        amounts: by system.
        saved: by system, as a share of the baseline's; negative where it takes more.
    """

    key: str
    title: str
    unit: str
    amounts: dict[str, float]
    saved: dict[str, float]


def of_family(
    results: Results, baseline: SystemResult, variants: Sequence[SystemResult], context: int
) -> list[Saving]:
    """What a baseline's variants save, where two of them or more have an amount.

    Args:
        results: of the run, with its profiles.
        baseline: whose amounts are the whole.
        variants: of its family.
        context: tokens at which cache and FLOP are told.
    """
    family = [baseline, *variants]
    closed = {system.row.name: system.footprint for system in family if system.footprint}
    wanted = [
        ("cache", f"Cache at {context:,} tokens", "bytes",
         {name: float(one.cache_bytes(context)) for name, one in closed.items()}),
        ("flops", f"FLOP of a token at {context:,}", "flop",
         {name: float(one.flops(context)) for name, one in closed.items()}),
        ("speed", "Real-time factor", "factor",
         {s.row.name: s.cost.rtf for s in family if s.cost.rtf is not None}),
        *_profiled(results, baseline.row.name, [s.row.name for s in family], context),
    ]  # fmt: skip
    found = []
    for key, title, unit, amounts in wanted:
        whole = amounts.get(baseline.row.name)
        if whole and len(amounts) > 1:
            saved = {name: 1.0 - amount / whole for name, amount in amounts.items()}
            found.append(Saving(key, title, unit, amounts, saved))
    return found


def _profiled(
    results: Results, baseline: str, names: Sequence[str], context: int
) -> list[tuple[str, str, str, dict[str, float]]]:
    """Measured memory and time per token of the first session that has the baseline."""
    session = next((one for one in results.profiles if one.baseline == baseline), None)
    if session is None:
        return []
    found = []
    for key, title, unit, quantity, workload in (
        ("memory", "Memory", "bytes", "memory.total", ""),
        ("step", "Time per token", "s", "time.step", REPLAY),
    ):
        contexts = session.contexts(quantity)
        if not contexts:
            continue
        nearest = min(contexts, key=lambda measured: abs(measured - context))
        phase = session.phase_at(nearest) or "" if quantity == "memory.total" else ""
        rows = {name: session.get(name, quantity, nearest, phase=phase, workload=workload)
                for name in (baseline, *names)}  # fmt: skip
        amounts = {
            name: row.value
            for name, row in rows.items()
            if row is not None and row.value and session.in_turn(row, rows[baseline])
        }
        where = f"{title} at {nearest:,} tokens, measured ({session.identity['device']})"
        found.append((key, where, unit, amounts))
    return found
