"""A profile as a terminal and as a program read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.cost import element_bytes
from mamtra_eval.profiles import Crossing, Session
from mamtra_eval.profiling.rows import CLOSED, NATURAL, REPLAY

MB = 1e6
LINES = {"time.step": ("time per token", REPLAY, ""), "time.prefill": ("a pass", REPLAY, ""),
         "memory.total": ("the process's memory", "", "prefill")}  # fmt: skip
"""What is compared with the baseline over the context: title, workload, phase."""


def text(sessions: Sequence[Session]) -> str:
    """What was measured in a few lines a system, and from where on ratios pay."""
    return "\n\n".join("\n".join(_lines(session)) for session in sessions)


def document(folder: str, sessions: Sequence[Session]) -> dict[str, Any]:
    """All of it as one JSON-able document."""
    return {
        "run": folder,
        "sessions": [
            {
                "session": session.key,
                "identity": session.identity,
                "baseline": session.baseline,
                "systems": list(session.systems),
                "break_even": {
                    quantity: [asdict(one) for one in session.crossings(
                        quantity, workload=workload, phase=phase)]
                    for quantity, (_, workload, phase) in LINES.items()
                },
                "rows": [{**asdict(row.key), **_plain(asdict(row))} for row in session.rows],
            }
            for session in sessions
        ],
    }  # fmt: skip


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "key"}


def _lines(session: Session) -> Iterator[str]:
    yield f"{session.identity['device']}, weights {session.identity['weights']}"
    width = max(map(len, session.systems))
    for system in session.systems:
        told = [*_decoder(session, system), *_speech(session, system)]
        yield f"  {system:<{width}}  {'; '.join(told) or 'nothing was measured'}"
    if session.baseline is None or session.baseline not in session.configs:
        return
    for system in session.systems:
        config = session.configs.get(system)
        alike = session.bits.get(system) == session.bits.get(session.baseline)
        if config is None or not config.mamba or system == session.baseline or not alike:
            continue
        kv, state, weight = (element_bytes(session.identity[key]) for key in
                             ("kv", "state", "weights"))  # fmt: skip
        closed = break_even(config, cache_element=kv, state_element=state, weight_element=weight)
        known = [
            f"{title} {_tokens(closed[key])}"
            for key, title in (("cache", "cache"), ("cache_and_weights", "with weights"))
        ]
        yield (
            f"  {system} takes less than {session.baseline} from so many tokens on: "
            f"{', '.join([*known, *_measured(session, system)])}"
        )


def _decoder(session: Session, system: str) -> Iterator[str]:
    """Memory at the longest context that was measured of it, and times; else its arithmetic."""
    sizes = [
        (context, phase, total)
        for context in session.contexts("memory.total")
        if (phase := session.phase_at(context) or "")
        and (total := session.value(system, "memory.total", context, phase=phase)) is not None
    ]
    if sizes:
        context, phase, total = sizes[-1]
        kv, state = (session.value(system, f"memory.{part}", context, phase=phase)
                     for part in ("kv", "state"))  # fmt: skip
        yield (
            f"{total / MB:,.0f} MB at {context:,} tokens, "
            f"{((kv or 0) + (state or 0)) / MB:,.1f} of them cache"
        )
    steps = [(context, session.get(system, "time.step", context, workload=REPLAY))
             for context in session.contexts("time.step")]  # fmt: skip
    shown = [
        f"{1e3 * row.value:,.1f} ms at {context:,}{_mark(row.notes)}"
        for context, row in steps
        if row is not None and row.value is not None
    ]
    if shown:
        yield f"a token {', '.join(shown)}"
    flop = [
        f"{value / 1e9:.4f} GFLOP a token at {context:,}"
        for context in session.contexts("flops.token")
        if (value := session.value(system, "flops.token", context)) is not None
    ]
    if flop and not shown and not sizes:
        yield ", ".join(flop)


def _speech(session: Session, system: str) -> Iterator[str]:
    for quantity, title in (("time.first_audio", "first audio"), ("rate.rtf", "real-time factor")):
        row = session.get(system, quantity, workload=NATURAL)
        if row is not None and row.value is not None:
            unit = " s" if quantity.startswith("time") else ""
            yield f"{title} {row.value:.3f}{unit}{_mark(row.notes)}"
        elif row is not None:
            yield f"{title}: {row.error}"
    best = session.get(system, "streams.at_slo", workload=CLOSED)
    if best is not None and best.value is not None:
        limit = 1e3 * best.detail["first_audio_s"]
        yield f"{best.value:.0f} clients within {limit:g} ms to first audio"


def _mark(notes: Sequence[str]) -> str:
    if any(note.startswith("not a speed-up") for note in notes):
        other = any("%" in note for note in notes if note.startswith("not a speed-up"))
        return " (not comparable: other lengths)" if other else " (not comparable)"
    return " (unstable)" if any(note.startswith("unstable") for note in notes) else ""


def _measured(session: Session, system: str) -> Iterator[str]:
    for quantity, (title, workload, phase) in LINES.items():
        for one in session.crossings(quantity, workload=workload, phase=phase):
            if one.system == system:
                yield f"{title} {_crossing(one)}"


def _crossing(one: Crossing) -> str:
    if one.at is None:
        return "never (measured)"
    if one.at < 1:
        return "always (measured)"
    if one.single:
        return f"{one.at:,.0f} (from single samples{', extrapolated' if one.beyond else ''})"
    ends = [f"{end:,.0f}" if end is not None else "∞" for end in (one.low, one.high)]
    beyond = ", extrapolated" if one.beyond else ""
    return f"{one.at:,.0f} [{', '.join(ends)}] (measured{beyond})"


def _tokens(value: float | None) -> str:
    return "never" if value is None else f"{value:,.0f}"
