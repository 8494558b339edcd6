"""The run folder and its database: plan, clips, readings, failures, provenance.

``run.sqlite`` (SQLite, WAL) has one row per clip (system, utterance, repeat) and one per reading
(clip, metric); both are written the moment the thing is done, in a transaction of their own, so
that a process killed at any point loses at most what was under way. A failure is a row with its
error. The plan only grows: systems, metrics, utterances and repeats may be added to a run, but
what a row depends on (texts, system identity, metric signature) is fixed with the first start.

Only one process writes; ``lock`` refuses a second. Times and durations stand in columns of their
own (``…_s``, ``…_at``), so that everything else is the same however often a run was interrupted.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.rows import (
    SCHEMA,
    SCHEMA_VERSION,
    ClipKey,
    ClipRow,
    MetricRow,
    ReadingRow,
    SystemRow,
)
from mamtra_eval.testset import Utterance

DATABASE = "run.sqlite"


class Store:
    """A run folder. Use as a context manager; closing is safe at any time."""

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.folder = folder
        path = folder / DATABASE
        if create:
            _make_folder(folder)
        elif not path.is_file():
            raise UserError(
                f"no run here ({DATABASE} is missing)",
                where=str(folder),
                fix="Give the folder that evaluate or run wrote.",
            )
        try:
            self._db = _connect(path, writable=create or os.access(folder, os.W_OK))
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"the run's database can't be opened ({error})",
                where=str(path),
                fix="Move the folder away, or give another one.",
            ) from error
        self._check_version()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; everything written so far stays."""
        self._db.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer; UserError if another process is. Ends with the process, too."""
        path = self.folder / ".lock"
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    "another process is writing this run",
                    where=str(self.folder),
                    fix="Wait for it, or choose another --out.",
                ) from None
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written inside."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- what the run is ---------------------------------------------------------------------

    def set_meta(self, key: str, value: Any) -> None:  # noqa: ANN401 -- any JSON value
        """Keep a JSON value under a key."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def meta(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 -- any JSON value
        """The JSON value kept under a key."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def add_utterances(self, utterances: Sequence[Utterance], fingerprints: dict[str, str]) -> None:
        """Add them in the order given; those that are there get their present place and paths."""
        for position, item in enumerate(utterances):
            row = (
                item.id,
                position,
                item.text,
                item.prompt_text,
                self._relative(item.prompt_audio),
                self._relative(item.ground_truth),
                fingerprints[item.id],
            )
            self._db.execute(
                "INSERT INTO utterances VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
                "SET position = excluded.position, prompt_audio = excluded.prompt_audio, "
                "ground_truth = excluded.ground_truth",
                row,
            )

    def add_system(self, row: SystemRow) -> None:
        """Add a system at the end of the list; one that is there gets its present identity."""
        values = (
            row.name,
            row.kind,
            row.target,
            row.folder,
            json.dumps(row.identity, sort_keys=True),
        )
        self._db.execute(
            "INSERT INTO systems (name, position, kind, target, folder, identity) "
            "SELECT ?, (SELECT count(*) FROM systems), ?, ?, ?, ? WHERE true "
            "ON CONFLICT (name) DO UPDATE SET identity = excluded.identity",
            values,
        )

    def add_metric(self, row: MetricRow) -> None:
        """Add a metric at the end of the list, if it is new."""
        figures = json.dumps([asdict(figure) for figure in row.figures])
        self._db.execute(
            "INSERT OR IGNORE INTO metrics (name, position, signature, note, figures) "
            "SELECT ?, (SELECT count(*) FROM metrics), ?, ?, ?",
            (row.name, row.signature, row.note, figures),
        )

    def add_failed_counts(self, metric: str, utterance: str, counts: dict[str, float]) -> None:
        """Keep the denominators of an utterance for clips that get no reading."""
        self._db.execute(
            "INSERT OR IGNORE INTO failed_counts VALUES (?, ?, ?)",
            (metric, utterance, json.dumps(counts)),
        )

    def add_clip(self, key: ClipKey, seed: int) -> None:
        """Plan a clip, if it is not planned already."""
        self._db.execute(
            "INSERT OR IGNORE INTO clips (system, utterance, repeat, seed) VALUES (?, ?, ?, ?)",
            (*_columns(key), seed),
        )

    def fingerprints(self) -> dict[str, str]:
        """Hash of each utterance's text and audio, by id."""
        return dict(self._db.execute("SELECT id, sha256 FROM utterances").fetchall())

    def utterances(self) -> list[Utterance]:
        """In list order."""
        rows = self._db.execute(
            "SELECT id, text, prompt_text, prompt_audio, ground_truth "
            "FROM utterances ORDER BY position, id"
        )
        return [
            Utterance(row[0], row[1], row[2], self._absolute(row[3]), self._absolute(row[4]))
            for row in rows
        ]

    def systems(self) -> list[SystemRow]:
        """In the order in which they joined the run."""
        rows = self._db.execute(
            "SELECT name, kind, target, folder, identity FROM systems ORDER BY position"
        )
        return [SystemRow(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]

    def metrics(self) -> list[MetricRow]:
        """In the order in which they joined the run."""
        rows = self._db.execute(
            "SELECT name, signature, note, figures FROM metrics ORDER BY position"
        )
        return [
            MetricRow(
                row[0], row[1], row[2], tuple(Figure(**figure) for figure in json.loads(row[3]))
            )
            for row in rows
        ]

    def failed_counts(self, metric: str) -> dict[str, dict[str, float]]:
        """Denominators by utterance."""
        rows = self._db.execute(
            "SELECT utterance, counts FROM failed_counts WHERE metric = ?", (metric,)
        )
        return {utterance: json.loads(counts) for utterance, counts in rows}

    # -- what was done -----------------------------------------------------------------------

    def clips(self) -> list[ClipRow]:
        """Every clip of the plan, in the order of systems, utterances and repeats."""
        rows = self._db.execute(
            "SELECT c.system, c.utterance, c.repeat, c.seed, c.status, c.path, c.sha256, "
            "c.duration_s, c.sample_rate_hz, c.error FROM clips c "
            "JOIN systems s ON s.name = c.system JOIN utterances u ON u.id = c.utterance "
            "ORDER BY s.position, u.position, u.id, c.repeat"
        )
        return [ClipRow(ClipKey(*row[:3]), *row[3:]) for row in rows]

    def readings(self) -> Iterator[ReadingRow]:
        """Every reading there is, in a stable order."""
        rows = self._db.execute(
            "SELECT system, utterance, repeat, metric, counts, evidence, error "
            "FROM readings ORDER BY system, utterance, repeat, metric"
        )
        for system, utterance, repeat, metric, counts, evidence, error in rows:
            reading = Reading(json.loads(counts), json.loads(evidence)) if error is None else None
            yield ReadingRow(ClipKey(system, utterance, repeat), metric, reading, error)

    def reading_keys(self) -> set[tuple[ClipKey, str]]:
        """(clip, metric) of every reading that is there, failed ones included."""
        rows = self._db.execute("SELECT system, utterance, repeat, metric FROM readings")
        return {(ClipKey(*row[:3]), row[3]) for row in rows}

    def finish_clip(
        self,
        key: ClipKey,
        *,
        path: str,
        sha256: str,
        duration_s: float,
        sample_rate_hz: int,
        synthesis_s: float,
    ) -> None:
        """The clip is made and its file in place."""
        self._db.execute(
            "UPDATE clips SET status = 'done', path = ?, sha256 = ?, duration_s = ?, "
            "sample_rate_hz = ?, error = NULL, synthesis_s = ?, finished_at = ? "
            "WHERE system = ? AND utterance = ? AND repeat = ?",
            (path, sha256, duration_s, sample_rate_hz, synthesis_s, now(), *_columns(key)),
        )

    def fail_clip(self, key: ClipKey, error: str) -> None:
        """The clip could not be made."""
        self._db.execute(
            "UPDATE clips SET status = 'failed', error = ?, finished_at = ? "
            "WHERE system = ? AND utterance = ? AND repeat = ?",
            (error, now(), *_columns(key)),
        )

    def add_reading(self, key: ClipKey, metric: str, reading: Reading, measure_s: float) -> None:
        """A metric was taken of a clip."""
        self._db.execute(
            "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, 'done', ?, ?, NULL, ?, ?)",
            (
                *_columns(key),
                metric,
                json.dumps(reading.counts),
                json.dumps(reading.evidence, ensure_ascii=False),
                measure_s,
                now(),
            ),
        )

    def fail_reading(self, key: ClipKey, metric: str, error: str) -> None:
        """A metric could not be taken of a clip."""
        self._db.execute(
            "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, 'failed', NULL, NULL, ?, NULL, ?)",
            (*_columns(key), metric, error, now()),
        )

    def forget_failures(self, systems: Sequence[str]) -> None:
        """Plan the failed clips and readings of these systems again."""
        for system in systems:
            for statement in (
                "UPDATE clips SET status = 'planned', error = NULL "
                "WHERE status = 'failed' AND system = ?",
                "DELETE FROM readings WHERE status = 'failed' AND system = ?",
            ):
                self._db.execute(statement, (system,))

    def forget_clip(self, key: ClipKey) -> None:
        """Plan a clip again, with all its readings (its file is gone, say)."""
        with self.transaction():
            self._db.execute(
                "UPDATE clips SET status = 'planned', path = NULL, sha256 = NULL "
                "WHERE system = ? AND utterance = ? AND repeat = ?",
                _columns(key),
            )
            self._db.execute(
                "DELETE FROM readings WHERE system = ? AND utterance = ? AND repeat = ?",
                _columns(key),
            )

    def _relative(self, path: Path | None) -> str | None:
        # Relative to the run, so that a checkout with its runs can be moved as a whole.
        return Path(os.path.relpath(path, self.folder)).as_posix() if path else None

    def _absolute(self, text: str | None) -> Path | None:
        return Path(os.path.normpath(self.folder.absolute() / text)) if text else None

    def _check_version(self) -> None:
        found = self.meta("schema", SCHEMA_VERSION)
        if found != SCHEMA_VERSION:
            raise UserError(
                f"the run has schema {found}, this program writes {SCHEMA_VERSION}",
                where=str(self.folder),
                fix="Choose another --out.",
            )
        if self.meta("schema") is None and os.access(self.folder, os.W_OK):
            self.set_meta("schema", SCHEMA_VERSION)


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open the database; one in a read-only folder as it lies there."""
    if not writable:
        address = f"{path.absolute().as_uri()}?immutable=1"
        return sqlite3.connect(address, uri=True, isolation_level=None)
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(SCHEMA)
    return database


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the run folder can't be made ({error.strerror})",
            where=str(folder),
            fix="Choose another --out.",
        ) from error
    strangers = [path for path in folder.iterdir() if path.name != ".lock"]
    if strangers and not (folder / DATABASE).exists():
        raise UserError(
            "the folder is not empty and holds no run",
            where=str(folder),
            fix="Choose an empty or new folder with --out.",
        )


def _columns(key: ClipKey) -> tuple[str, str, int]:
    return key.system, key.utterance, key.repeat
