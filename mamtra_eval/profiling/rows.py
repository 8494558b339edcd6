"""Rows of a profile: one measured or computed quantity of one system in one setting.

Quantities have dotted names; the first word is their kind:

``memory.…``  bytes, with a ``phase``: ``loaded``, ``prefill``, ``decode``, ``speaking``
``time.…``    seconds: ``front_end``, ``prefill``, ``step``, ``vocoder``, ``first_audio``, …
``rate.…``    ratios: ``rtf``, ``continuity``, …
``flops.…``   floating-point operations: ``token``, ``pass``, ``counted``
``audio.…``, ``tokens.…``, ``streams.…``  how much was spoken; how many clients a level allows
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MEASURED, CLOSED_FORM = "measured", "closed form"
"""Sources."""

REPLAY, FIXED, NATURAL, CLOSED, OPEN = "replay", "fixed", "natural", "closed", "open"
"""Workloads."""

META = "profile"
"""Key under which a run folder keeps what is not a row (``recording``)."""

TURN, ASKED = "turn", "asked"
"""Details of a row: the word of those measured in turn with it; how systems were asked."""

BUSY = "measured on a busy device"
"""Begins a note of every row that was."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS profiles (
    session TEXT NOT NULL, system TEXT NOT NULL, quantity TEXT NOT NULL, phase TEXT NOT NULL,
    context INTEGER NOT NULL, streams INTEGER NOT NULL, workload TEXT NOT NULL,
    engine TEXT NOT NULL, unit TEXT NOT NULL, source TEXT NOT NULL, value REAL, n INTEGER NOT NULL,
    low REAL, high REAL, notes TEXT NOT NULL, detail TEXT NOT NULL, error TEXT, measured_at TEXT,
    PRIMARY KEY (session, system, quantity, phase, context, streams, workload, engine));
"""


@dataclass(frozen=True, order=True)
class ProfileKey:
    """What a row is about.

    Attributes:
        session: hash of the identity of machine and settings (``identity``).
        system: its name in the run.
        quantity: dotted name, as above.
        phase: of memory; the rate of an open load; empty elsewhere.
        context: tokens that the decoder attends to; 0 where there is no such number.
        streams: sequences decoded together, or requests under way.
        workload: ``replay``, ``fixed``, ``natural``, ``closed``, ``open``; empty for what has none.
        engine: ``eager`` or ``graph``.
    """

    session: str
    system: str
    quantity: str
    phase: str = ""
    context: int = 0
    streams: int = 1
    workload: str = ""
    engine: str = "eager"


@dataclass(frozen=True)
class ProfileRow:
    """One quantity; ``value`` is absent where ``error`` says why.

    Attributes:
        unit: ``bytes``, ``s``, ``ratio``, ``flop`` or ``tokens``.
        source: ``measured`` or ``closed form``.
        value: the median where there are several samples.
        n: samples.
        low, high: first and third quartile of the samples.
        notes: what a reader must know of it (unstable, a lower bound, …).
        detail: more figures of it: further percentiles, samples, lengths.
        error: why there is no value.
    """

    key: ProfileKey
    unit: str
    source: str
    value: float | None
    n: int = 1
    low: float | None = None
    high: float | None = None
    notes: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
