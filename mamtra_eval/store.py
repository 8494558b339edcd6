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

import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from mamtra_eval.database import damaged
from mamtra_eval.metrics import Reading
from mamtra_eval.profiling.rows import ProfileRow
from mamtra_eval.reader import RunReader
from mamtra_eval.rows import ADDED, SCHEMA, SCHEMA_VERSION, ClipKey, MetricRow, SystemRow
from mamtra_eval.run_folder import lock, make, now
from mamtra_eval.testset import Utterance


class Store(RunReader):
    """A run folder, to be written; made if it is not there."""

    def __init__(self, folder: Path) -> None:
        make(folder)
        super().__init__(folder)
        if self.meta("schema") is None:
            self.set_meta("schema", SCHEMA_VERSION)

    def _prepare(self) -> None:
        self._check_pages()
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        if any(added.keys() - self._columns_of(table) for table, added in ADDED.items()):
            with self.transaction():  # asked again inside: another process may be doing the same
                self._add_columns()

    def _check_pages(self) -> None:
        """DatabaseError for a damaged database, before anything is written into it.

        Some seconds per GB, beside what starting a run of that size takes anyway.
        """
        [found] = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(found)

    def _add_columns(self) -> None:
        for table, added in ADDED.items():
            for column in added.keys() - self._columns_of(table):
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {added[column]}")

    def lock(self) -> AbstractContextManager[None]:
        """Be the only writer; UserError if another process is. Ends with the process, too."""
        return lock(self.folder)

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

    def set_meta(self, key: str, value: Any) -> None:  # noqa: ANN401 -- any JSON value
        """Keep a JSON value under a key."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def add_utterances(self, utterances: Sequence[Utterance], fingerprints: dict[str, str]) -> None:
        """Add them in the order given; those that are there get their present place and paths."""
        for position, item in enumerate(utterances):
            row = (
                item.id, position, item.text, item.prompt_text, self._relative(item.prompt_audio),
                self._relative(item.ground_truth), fingerprints[item.id],
            )  # fmt: skip
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
            "ON CONFLICT (name) DO UPDATE SET identity = excluded.identity, "
            "target = excluded.target",
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

    def add_clips(self, clips: Iterable[tuple[ClipKey, int]]) -> None:
        """Plan clips, each with its seed, but for those that are planned already."""
        self._db.executemany(
            "INSERT OR IGNORE INTO clips (system, utterance, repeat, seed) VALUES (?, ?, ?, ?)",
            ((*_columns(key), seed) for key, seed in clips),
        )

    def add_failed_counts(self, metric: str, utterance: str, counts: dict[str, float]) -> None:
        """Keep the denominators of an utterance for clips that get no reading."""
        self._db.execute(
            "INSERT OR IGNORE INTO failed_counts VALUES (?, ?, ?)",
            (metric, utterance, json.dumps(counts)),
        )

    def add_clip(self, key: ClipKey, seed: int) -> None:
        """Plan a clip, if it is not planned already."""
        self.add_clips([(key, seed)])

    def finish_clip(
        self,
        key: ClipKey,
        *,
        path: str,
        sha256: str,
        duration_s: float | None,
        sample_rate_hz: int | None,
        synthesis_s: float | None,
        cost: Mapping[str, float] | None = None,
        envelope: str | None = None,
    ) -> None:
        """The clip is made and its file in place."""
        self._db.execute(
            "UPDATE clips SET status = 'done', path = ?, sha256 = ?, duration_s = ?, "
            "sample_rate_hz = ?, error = NULL, synthesis_s = ?, cost = ?, "
            "envelope = ?, finished_at = ? "
            "WHERE system = ? AND utterance = ? AND repeat = ?",
            (
                path,
                sha256,
                duration_s,
                sample_rate_hz,
                synthesis_s,
                json.dumps(dict(cost or {})),
                envelope,
                now(),
                *_columns(key),
            ),
        )

    def set_envelope(self, key: ClipKey, envelope: str) -> None:
        """Keep the outline of a clip that was made without one."""
        self._db.execute(
            "UPDATE clips SET envelope = ? WHERE system = ? AND utterance = ? AND repeat = ?",
            (envelope, *_columns(key)),
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
                json.dumps(dict(reading.evidence.items()), ensure_ascii=False),
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

    def add_profile(self, row: ProfileRow) -> None:
        """Keep a row of a profile, in the place of one about the same."""
        values = (
            *(getattr(row.key, field.name) for field in fields(row.key)),
            row.unit,
            row.source,
            row.value,
            row.n,
            row.low,
            row.high,
            json.dumps(row.notes),
            json.dumps(row.detail),
            row.error,
            now(),
        )
        marks = ", ".join("?" * len(values))
        # Nothing but question marks is put into the statement.
        self._db.execute(f"INSERT OR REPLACE INTO profiles VALUES ({marks})", values)  # noqa: S608

    def forget_profile(self, session: str, system: str, workload: str) -> None:
        """Drop what a profile has of a system in a workload."""
        self._db.execute(
            "DELETE FROM profiles WHERE session = ? AND system = ? AND workload = ?",
            (session, system, workload),
        )

    def forget_failures(self, systems: Sequence[str], metrics: Sequence[str]) -> None:
        """Plan failed clips of these systems again, and failed readings of these metrics."""
        for system in systems:
            self._db.execute(
                "UPDATE clips SET status = 'planned', error = NULL "
                "WHERE status = 'failed' AND system = ?",
                (system,),
            )
            for metric in metrics:
                self._db.execute(
                    "DELETE FROM readings WHERE status = 'failed' AND system = ? AND metric = ?",
                    (system, metric),
                )

    def forget_reading(self, key: ClipKey, metric: str) -> None:
        """Drop one reading."""
        self._db.execute(
            "DELETE FROM readings WHERE system = ? AND utterance = ? AND repeat = ? AND metric = ?",
            (*_columns(key), metric),
        )

    def restore(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write rows as they were read from a database like this; what does not fit is left out.

        Args:
            table: of the schema.
            rows: values by column; columns that the schema does not have are left out.
        """
        known = self._columns_of(table)
        for row in rows:
            with suppress(sqlite3.IntegrityError):
                self._put(table, row, known)

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """Write a row as another run has it, in the place of one with the same key."""
        self._put(table, row, self._columns_of(table))

    def _put(self, table: str, row: Mapping[str, Any], known: Collection[str]) -> None:
        values = {name: value for name, value in row.items() if name in known}
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        # Names of the schema alone are put into the statement.
        command = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        self._db.execute(command, tuple(values.values()))

    def forget_clip(self, key: ClipKey) -> None:
        """Plan a clip again, with all its readings (its file is gone, say)."""
        with self.transaction():
            self._db.execute(
                "UPDATE clips SET status = 'planned', path = NULL, sha256 = NULL, envelope = NULL "
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


def _columns(key: ClipKey) -> tuple[str, str, int]:
    return key.system, key.utterance, key.repeat
