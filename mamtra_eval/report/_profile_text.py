"""What stands around the decoders' tables of profile.md: the machine, systems at work, remarks."""

from __future__ import annotations

from mamtra_eval.profiles import Session
from mamtra_eval.profiling.rows import BUSY, CLOSED, NATURAL, OPEN, ProfileRow
from mamtra_eval.report._markdown import escape, table
from mamtra_eval.report._profile_cells import quartiles

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

UNSTABLE = "unstable, quartiles far apart or samples that drift"
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
    marks = {note for row in session.rows for note in row.notes if note.startswith(BUSY)}
    return [f"**Not to be relied on: {escape(mark)}.**\n" for mark in sorted(marks)]


def speech(session: Session) -> list[str]:
    """A row a system that was asked to speak."""
    found = {
        (row.key.system, row.key.quantity): row
        for row in session.rows
        if row.key.workload == NATURAL and row.key.streams == 1 and row.value is not None
    }
    there = [name for name in SPOKEN if any(quantity == name for _, quantity in found)]
    rows = []
    for system in session.systems:
        own = [found.get((system, name)) for name in there]
        if any(own):
            decimals = [SPOKEN[name][1] for name in there]
            cells = [quartiles(row, 1.0, d) for row, d in zip(own, decimals, strict=True)]
            rows.append([escape(system), *cells])
    return table(["System", *(SPOKEN[name][0] for name in there)], rows) if rows else []


def load(session: Session) -> list[str]:
    """A row a system, kind of load with its rate, and number of clients (open: at the most)."""
    cells: dict[tuple[str, str, int], dict[str, ProfileRow]] = {}
    for row in session.rows:
        if row.key.workload in (CLOSED, OPEN):
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
            shown = [quartiles(found.get(name), 1.0, 3) for name in wanted]
            rows.append([escape(system), kind, f"{number:,}", *shown])
    lines = table(["System", "load", "clients", *wanted.values()], rows, words=2) if rows else []
    for system in session.systems:
        best = session.get(system, "streams.at_slo", workload=CLOSED)
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
            if text.startswith(BUSY):
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
    spoken = key.quantity == "time.first_audio" and key.workload == NATURAL
    stepped = key.quantity.startswith("time.") and key.context
    if not (spoken or stepped) or session.baseline is None:
        return []
    theirs = session.get(session.baseline, key.quantity, key.context, key.streams,
                         workload=key.workload, engine=key.engine)  # fmt: skip
    if theirs is None or theirs.value is None or row.value is None or session.in_turn(row, theirs):
        return []
    return [f"not measured in turn with {session.baseline}, and not compared with it"]


def _some(where: list[str]) -> str:
    named = [*dict.fromkeys(" ".join(text.split()) for text in where)]
    return "; ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
