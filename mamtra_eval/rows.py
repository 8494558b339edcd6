"""Rows of a run's database: their schema and the values they become.

Rows are what stages hand to each other and all that reports read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.profiling.rows import SCHEMA as PROFILES

SCHEMA_VERSION = 2
SCHEMA = (
    PROFILES
    + """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS utterances (
    id TEXT PRIMARY KEY, position INTEGER NOT NULL, text TEXT NOT NULL, prompt_text TEXT,
    prompt_audio TEXT, ground_truth TEXT, sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS systems (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL,
    folder TEXT NOT NULL UNIQUE, identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS metrics (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL, signature TEXT NOT NULL, note TEXT NOT NULL,
    figures TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failed_counts (
    metric TEXT NOT NULL, utterance TEXT NOT NULL, counts TEXT NOT NULL,
    PRIMARY KEY (metric, utterance));
CREATE TABLE IF NOT EXISTS clips (
    system TEXT NOT NULL, utterance TEXT NOT NULL, repeat INTEGER NOT NULL, seed INTEGER NOT NULL,
    status TEXT NOT NULL DEFAULT 'planned' CHECK (status IN ('planned', 'done', 'failed')),
    path TEXT, sha256 TEXT, duration_s REAL, sample_rate_hz INTEGER, error TEXT,
    synthesis_s REAL, cost TEXT, finished_at TEXT, envelope TEXT,
    PRIMARY KEY (system, utterance, repeat));
CREATE TABLE IF NOT EXISTS readings (
    system TEXT NOT NULL, utterance TEXT NOT NULL, repeat INTEGER NOT NULL, metric TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed')),
    counts TEXT, evidence TEXT, error TEXT, measure_s REAL, finished_at TEXT,
    PRIMARY KEY (system, utterance, repeat, metric));
"""
)
ADDED = {"clips": {"envelope": "TEXT"}}
"""Columns that runs of the same schema version may lack: a reader finds none there, a writer adds
them. They hold views only, which nothing else is worked out from."""


class ClipKey(NamedTuple):
    """What a clip is called: one row of the plan.

    A tuple, since runs have millions of these as keys.
    """

    system: str
    utterance: str
    repeat: int


@dataclass(frozen=True)
class ClipRow:
    """One clip as the database has it.

    ``path`` is relative to the run folder. ``synthesis_s`` is the worker's time for it, of a
    batch the first clip has all; none for a recording. ``cost`` is what its maker
    counted (``audio.Clip``). ``envelope`` is its outline (``mamtra_eval.envelope``), where there is
    one.
    """

    key: ClipKey
    seed: int
    status: str
    path: str | None
    sha256: str | None
    duration_s: float | None
    sample_rate_hz: int | None
    error: str | None
    synthesis_s: float | None = field(default=None, compare=False)  # a clock's, never the same
    cost: dict[str, float] = field(default_factory=dict)
    envelope: str | None = field(default=None, compare=False)  # a view, which older runs lack


@dataclass(frozen=True)
class ReadingRow:
    """One reading; ``reading`` is absent where ``error`` says why."""

    key: ClipKey
    metric: str
    reading: Reading | None
    error: str | None


@dataclass(frozen=True)
class SystemRow:
    """A system of the run."""

    name: str
    kind: str
    target: str
    folder: str
    identity: dict[str, Any]


@dataclass(frozen=True)
class MetricRow:
    """A metric of the run with everything that reports need, so that they load no plugin."""

    name: str
    signature: str
    note: str
    figures: tuple[Figure, ...]
