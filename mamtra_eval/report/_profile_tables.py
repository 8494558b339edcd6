"""Tables of profile.md, and what stands above and below them."""

from __future__ import annotations

from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.cost import element_bytes
from mamtra_eval.profiles import REPLAY, Crossing, Session
from mamtra_eval.profiling.rows import ProfileRow
from mamtra_eval.report._markdown import escape, table

MB = 1e6
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
SPOKEN = {
    "time.first_audio": ("first audio, s", 3),
    "rate.rtf": ("real-time factor", 3),
    "rate.rtf_system": ("of all together", 3),
    "time.front_end": ("front end, s", 3),
    "time.prefill": ("prefill, s", 3),
    "time.decode": ("decoding, s", 3),
    "time.vocoder": ("vocoder, s", 3),
    "time.underrun": ("underrun, s", 3),
    "rate.continuity": ("without gaps", 2),
    "time.cold": ("cold start, s", 2),
}
"""Columns of systems that spoke, with their decimals."""

CLOSED = {
    "cache": "cache",
    "cache_and_weights": "cache and weights",
    "decode_flops": "FLOP of a token",
    "prefill_flops": "FLOP of a pass",
}
"""Break-even contexts by closed form."""

UNSTABLE = "unstable, quartiles far apart or samples that drift"
FIXED = "fixed"
TYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


def title(session: Session) -> str:
    """The machine, and in which types it computed."""
    identity = session.identity
    return f"{escape(str(identity['device']))}, {TYPES[identity['weights']]}"


def told(session: Session) -> str:
    """The identity in a sentence."""
    identity = session.identity
    if "cores" in identity:
        where = f"{identity['cores']} cores, {identity['threads']} threads"
    else:
        where = f"driver {identity.get('driver_version', 'unknown')}, CUDA {identity.get('cuda')}"
    parts = {"weights": "weights", "keys and values": "kv", "states": "state"}
    types = ", ".join(f"{what} {TYPES[identity[key]]}" for what, key in parts.items())
    decoders = sum(name in session.configs for name in session.systems)
    held = f" Baseline: {escape(session.baseline)}." if session.baseline else ""
    return (
        f"{where}; {escape(str(identity['kernels']))}; {escape(str(identity['attention']))}; "
        f"{types}. {decoders} decoders.{held} Session `{session.key}`."
    )


def busy(session: Session) -> list[str]:
    """A warning where the device was not free."""
    marks = {note for row in session.rows for note in row.notes if note.startswith("measured on")}
    return [f"**Not to be relied on: {escape(mark)}.**\n" for mark in sorted(marks)]


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
            less = "" if base is None or system == session.baseline else _share(total / base - 1)
            where = f"{context:,}" if context else "–"
            rows.append([escape(system), where, phase, *map(_mb, sizes), _mb(total), less])
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
             f"{footprint.cache_per_token / 1e3:.2f}", *map(_mb2, walked)]
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
        cells = [_tokens(closed[key]) for key in CLOSED]
        cells += [_crossing(crossed.get(system)) for crossed in found.values()]
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


def speech(session: Session) -> list[str]:
    """A row a system that was asked to speak."""
    found = {
        (row.key.system, row.key.quantity): row
        for row in session.rows
        if row.key.workload == "natural" and row.key.streams == 1 and row.value is not None
    }
    there = [name for name in SPOKEN if any(quantity == name for _, quantity in found)]
    rows = []
    for system in session.systems:
        own = [found.get((system, name)) for name in there]
        if any(own):
            decimals = [SPOKEN[name][1] for name in there]
            cells = [_quartiles(row, 1.0, d) for row, d in zip(own, decimals, strict=True)]
            rows.append([escape(system), *cells])
    return table(["System", *(SPOKEN[name][0] for name in there)], rows) if rows else []


def load(session: Session) -> list[str]:
    """A row a system, kind of load with its rate, and number of clients (open: at the most)."""
    cells: dict[tuple[str, str, int], dict[str, ProfileRow]] = {}
    for row in session.rows:
        if row.key.workload in ("closed", "open"):
            kind = ", ".join(filter(None, (row.key.workload, row.key.phase)))
            place = (row.key.system, kind, row.key.streams)
            cells.setdefault(place, {})[row.key.quantity] = row
    wanted = {
        "time.first_audio": "first audio, s",
        "rate.rtf": "real-time factor",
        "rate.throughput": "audio s a second",
        "rate.continuity": "without gaps",
        "rate.failed": "failed",
    }
    rows = []
    for (system, kind, number), found in cells.items():
        if found.keys() & wanted.keys():
            shown = [_quartiles(found.get(name), 1.0, 3) for name in wanted]
            rows.append([escape(system), kind, f"{number:,}", *shown])
    lines = table(["System", "load", "clients", *wanted.values()], rows, words=2) if rows else []
    for system in session.systems:
        best = session.get(system, "streams.at_slo", workload="closed")
        if best is not None and best.value is not None:
            limit, most = f"{1e3 * best.detail['first_audio_s']:g} ms", f"{best.value:.0f}"
            told = f"{escape(system)} keeps a first audio within {limit}, without gaps or failures"
            lines += ["", f"{told} and faster than it plays, for {most} clients."]
    return lines


def remarks(session: Session) -> list[str]:
    """What rows have to say, each thing once: unstable samples, cells that were not run."""
    said: dict[str, list[str]] = {}
    for row in session.rows:
        for text in (*row.notes, *_apart(session, row), *([row.error] if row.error else [])):
            if text.startswith("measured on"):
                continue  # it stands above everything
            key = row.key
            size = f" {key.context:,}" if key.context else ""
            size += f" x {key.streams}" if key.streams > 1 else ""
            place = f"{key.system} {key.quantity}{size} {key.workload}".rstrip()
            what, _, more = text.partition(": ")
            if what == "unstable":  # each in its own way
                said.setdefault(UNSTABLE, []).append(f"{place} ({more})")
            else:
                said.setdefault(text, []).append(place)
    if not said:
        return []
    lines = [f"- {escape(text)}: {escape(_some(where))}." for text, where in said.items()]
    return ["### Remarks", "", *lines, ""]


def _apart(session: Session, row: ProfileRow) -> list[str]:
    """Whether a decoder's time was taken at another time than the baseline's."""
    key = row.key
    if not key.quantity.startswith("time.") or not key.context or session.baseline is None:
        return []
    theirs = session.get(session.baseline, key.quantity, key.context, key.streams,
                         workload=key.workload, engine=key.engine)  # fmt: skip
    if theirs is None or theirs.value is None or row.value is None or session.in_turn(row, theirs):
        return []
    return [f"not measured in turn with {session.baseline}, and not compared with it"]


def _some(where: list[str]) -> str:
    named = [*dict.fromkeys(" ".join(text.split()) for text in where)]
    return "; ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")


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
        cells = [_quartiles(row, factor, decimals) for row in found]
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


def _quartiles(row: ProfileRow | None, factor: float, decimals: int) -> str:
    if row is None or row.value is None:
        return "–"
    shown = f"{factor * row.value:.{decimals}f}"
    if row.low is not None and row.high is not None and row.n > 1:
        shown += f" [{factor * row.low:.{decimals}f}, {factor * row.high:.{decimals}f}]"
    mark = " (unstable)" if any(note.startswith("unstable") for note in row.notes) else ""
    return f"{shown}{mark}"


def _value(
    session: Session, system: str | None, quantity: str, context: int, shown: str
) -> float | None:
    return session.value(system, quantity, context, phase=shown) if system else None


def _cached(session: Session, system: str, context: int) -> float | None:
    sizes = [session.value(system, f"memory.{part}", context, phase="decode")
             for part in ("kv", "state")]  # fmt: skip
    return None if None in sizes else sum(size or 0.0 for size in sizes)


def _crossing(one: Crossing | None) -> str:
    if one is None:
        return "–"
    if one.at is None:
        return "never"
    if one.at < 1:
        return "always"
    ends = [f"{end:,.0f}" if end is not None else "∞" for end in (one.low, one.high)]
    spread = " (single samples)" if one.single else f" [{', '.join(ends)}]"
    return f"{one.at:,.0f}{spread}{', extrapolated' if one.beyond else ''}"


def _tokens(value: float | None) -> str:
    return "never" if value is None else f"{value:,.0f}"


def _mb(value: float | None) -> str:
    return "–" if value is None else f"{value / MB:,.1f}".replace("-", "−")


def _mb2(value: float | None) -> str:
    return "–" if value is None else f"{value / MB:,.2f}"


def _share(value: float) -> str:
    return f"{100 * value:+.1f} %".replace("-", "−")
