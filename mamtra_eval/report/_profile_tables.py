"""Tables of profile.md about decoders: memory, cache, times, crossings, arithmetic."""

from __future__ import annotations

from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.cost import element_bytes
from mamtra_eval.profiles import Session
from mamtra_eval.profiling.rows import FIXED, REPLAY
from mamtra_eval.report._markdown import escape, table
from mamtra_eval.report._profile_cells import (
    MB,
    crossing,
    megabytes,
    megabytes_2,
    quartiles,
    share,
    tokens,
)

PARTS = {
    "base": "process",
    "context": "CUDA context",
    "weights": "weights",
    "kv": "keys, values",
    "state": "states",
    "activations": "activations",
    "fragmentation": "fragmentation",
    "rest": "rest",
}

CLOSED = {
    "cache": "cache",
    "cache_and_weights": "cache and weights",
    "decode_flops": "FLOP of a token",
    "prefill_flops": "FLOP of a pass",
}
"""Break-even contexts by closed form."""


def memory(session: Session) -> list[str]:
    """A row a system and context, one stream, at the peak of the dearest phase."""
    measured = {row.key.quantity for row in session.rows}
    parts = [part for part in PARTS if f"memory.{part}" in measured]
    rows = []
    for context in (0, *session.contexts("memory.total")):
        phase = session.phase_at(context) or ""
        base = _value(session, session.baseline, "memory.total", context, phase)
        for system in session.systems:
            total = _value(session, system, "memory.total", context, phase)
            if total is None:
                continue
            sizes = [_value(session, system, f"memory.{part}", context, phase) for part in parts]
            less = "" if base is None or system == session.baseline else share(total / base - 1)
            where = f"{context:,}" if context else "–"
            rows.append(
                [escape(system), where, phase, *map(megabytes, sizes), megabytes(total), less]
            )
    if not rows:
        return []
    titles = [
        "System",
        "Context",
        "phase",
        *(PARTS[part] for part in parts),
        "total",
        "to baseline",
    ]
    return table(titles, rows)


def cache(session: Session) -> list[str]:
    """Walked bytes of a sequence by context, and the closed form's two numbers."""
    contexts = session.contexts("memory.kv")
    rows = []
    for system in session.systems:
        footprint = session.footprint(system)
        if footprint is None or not contexts:
            continue
        walked = [_cached(session, system, context) for context in contexts]
        rows.append(
            [escape(system), f"{footprint.cache_fixed / MB:.2f}",
             f"{footprint.cache_per_token / 1e3:.2f}", *map(megabytes_2, walked)]
        )  # fmt: skip
    titles = ["System", "states, MB", "a token, kB", *(f"at {c:,}, MB" for c in contexts)]
    return table(titles, rows) if rows else []


def steps(session: Session) -> list[str]:
    """Milliseconds a step by context, and the slope."""
    lines = _by_context(session, "time.step", REPLAY, 1e3, 1)
    if not lines:
        return []
    drawn = _by_context(session, "time.step", FIXED, 1e3, 1)
    graphs = _by_context(session, "time.step", FIXED, 1e3, 1, engine="graph")
    if drawn:
        lines += ["", "The same with tokens drawn by the sampler (RAS), stops banned:", "", *drawn]
    if graphs:
        lines += ["", "… and replayed from CUDA graphs:", "", *graphs]
    return lines


def prefill(session: Session) -> list[str]:
    """Seconds a pass by context."""
    return _by_context(session, "time.prefill", REPLAY, 1.0, 3)


def streams(session: Session) -> list[str]:
    """Tokens a second by streams; nothing for a profile of one stream."""
    numbers = session.streams("time.step")
    if numbers in ([], [1]):
        return []
    rows = []
    contexts = sorted({row.key.context for row in session.rows if row.key.quantity == "time.step"})
    for context in contexts:
        for system in session.systems:
            cells = []
            for number in numbers:
                seconds = session.value(system, "time.step", context, number, workload=REPLAY)
                cells.append(f"{number / seconds:.1f} ({1e3 * seconds:.1f})" if seconds else "–")
            if {*cells} != {"–"}:
                rows.append([escape(system), f"{context:,}", *cells])
    titles = ["System", "Context", *(f"{n} stream{'s' * (n > 1)}, tokens/s (ms)" for n in numbers)]
    return table(titles, rows)


def crossings(session: Session) -> list[str]:
    """Closed form beside what was measured."""
    if session.baseline is None or session.baseline not in session.configs:
        return []
    kv, state, weights = (
        element_bytes(session.identity[key]) for key in ("kv", "state", "weights")
    )
    measured = {
        "process, measured": session.crossings("memory.total", phase="prefill"),
        "time per token, measured": session.crossings("time.step", workload=REPLAY),
        "time per token, CUDA graphs": session.crossings(
            "time.step", workload=FIXED, engine="graph"
        ),
        "pass, measured": session.crossings("time.prefill", workload=REPLAY),
    }
    found = {
        title: {one.system: one for one in lines} for title, lines in measured.items() if lines
    }
    rows = []
    for system in session.systems:
        config = session.configs.get(system)
        alike = session.bits.get(system) == session.bits.get(session.baseline)
        if config is None or system == session.baseline or not config.mamba or not alike:
            continue
        closed = break_even(config, cache_element=kv, state_element=state, weight_element=weights)
        cells = [tokens(closed[key]) for key in CLOSED]
        cells += [crossing(crossed.get(system)) for crossed in found.values()]
        rows.append([escape(system), *cells])
    return table(["System", *CLOSED.values(), *found], rows) if rows else []


def flops(session: Session) -> list[str]:
    """GFLOP of a token and TFLOP of a pass by context; how the counter compares."""
    contexts = session.contexts("flops.token")
    rows = []
    for system in session.systems:
        counted = next((row for row in session.rows if row.key.quantity == "flops.counted"
                        and row.key.system == system), None)  # fmt: skip
        if counted is None:
            continue
        cells = []
        for context in contexts:
            token = session.value(system, "flops.token", context)
            whole = session.value(system, "flops.pass", context)
            if token is None or whole is None:
                cells.append("–")
            else:
                cells.append(f"{token / 1e9:.4f} / {whole / 1e12:.4f}")
        off = f"{100 * counted.detail['relative']:+.2f} %".replace("-", "−")
        rows.append([escape(system), *cells, f"{off} at {counted.key.context:,}"])
    if not rows:
        return []
    convention = next(row for row in session.rows if row.key.quantity == "flops.token")
    titles = ["System", *(f"{c:,}: GFLOP a token / TFLOP a pass" for c in contexts), "counter"]
    return [*table(titles, rows), "", f"Convention: {convention.detail['convention']}."]


def _by_context(
    session: Session, quantity: str, workload: str, factor: float, decimals: int, *,
    engine: str = "eager",
) -> list[str]:  # fmt: skip
    """Medians with quartiles by context, and of steps the straight line's slope."""
    sloped = quantity == "time.step"
    contexts = session.contexts(quantity)
    rows = []
    for system in session.systems:
        found = [
            session.get(system, quantity, c, workload=workload, engine=engine) for c in contexts
        ]
        if not any(row and row.value is not None for row in found):
            continue
        cells = [quartiles(row, factor, decimals) for row in found]
        if sloped:
            slope = session.slope(system, quantity, workload=workload, engine=engine)
            cells.append(f"{1e9 * slope[1]:,.0f}".replace("-", "−") if slope else "–")
        rows.append([escape(system), *cells])
    if not rows:
        return []
    titles = ["System", *(f"at {c:,}" for c in contexts)]
    if sloped:
        titles.append("slope, ns a token of context")
    return [*table(titles, rows), "", _visits(session, quantity, workload, engine, contexts)]


def _visits(
    session: Session, quantity: str, workload: str, engine: str, contexts: list[int]
) -> str:
    """Of how many visits the medians are, by context."""
    told = []
    for context in contexts:
        rows = [session.get(system, quantity, context, workload=workload, engine=engine)
                for system in session.systems]  # fmt: skip
        numbers = sorted({row.n for row in rows if row is not None and row.value is not None})
        if numbers:
            few, many = numbers[0], numbers[-1]
            told.append(f"{few:,} at {context:,}" if few == many else
                        f"{few:,} to {many:,} at {context:,}")  # fmt: skip
    return f"Visits: {', '.join(told)}."


def _value(
    session: Session, system: str | None, quantity: str, context: int, shown: str
) -> float | None:
    return session.value(system, quantity, context, phase=shown) if system else None


def _cached(session: Session, system: str, context: int) -> float | None:
    sizes = [session.value(system, f"memory.{part}", context, phase="decode")
             for part in ("kv", "state")]  # fmt: skip
    return None if None in sizes else sum(size or 0.0 for size in sizes)
