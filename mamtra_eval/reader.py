"""Reading a run folder's database: all that reports need.

Opens what is there, whether it can be written to or not; ``store`` adds the writing.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from mamtra_eval import borders
from mamtra_eval.database import connect, damaged, explained
from mamtra_eval.errors import UserError
from mamtra_eval.evidence import Evidence
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.profiling.rows import ProfileKey, ProfileRow
from mamtra_eval.rows import (
    SCHEMA_VERSION,
    ClipKey,
    ClipRow,
    MetricRow,
    ReadingRow,
    SystemRow,
)
from mamtra_eval.testset import Utterance

DATABASE = "run.sqlite"
MOST_ALIKE = 50_000
"""Different counts that are remembered while rows are read."""


class RunReader:
    """A run folder, to be read. Use as a context manager; closing is safe at any time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / DATABASE
        if not path.is_file():
            raise UserError(
                f"no run here ({DATABASE} is missing)",
                where=str(folder),
                fix="Give the folder that evaluate or run wrote.",
            )
        try:
            self._db = connect(path)
            borders.check_schema(self._db, path)
            self._prepare()
            self._check_version()
        except sqlite3.Error as error:
            raise explained(error, path) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()
        if isinstance(error, sqlite3.Error):
            raise explained(error, self.folder / DATABASE) from error

    def close(self) -> None:
        """Close the database; everything written so far stays."""
        self._db.close()

    def meta(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 -- any JSON value
        """The JSON value kept under a key."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        try:
            return json.loads(row[0]) if row else default
        except (ValueError, RecursionError) as error:
            raise damaged(f"what it has of {key} is no JSON") from error

    def notes(self) -> list[str]:
        """What a reader must know of the run."""
        return [*(text for _, text in self.owned_notes()), *self.meta("rescued", [])]

    def owned_notes(self) -> list[tuple[str, str]]:
        """The same, each with the metric that it is about (empty for the whole run)."""
        return [
            ("", note) if isinstance(note, str) else (note[0], note[1])
            for note in self.meta("notes", [])
        ]

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
        database = self.folder / DATABASE
        return [
            SystemRow(
                row[0], row[1], row[2], borders.folder_name(row[3], database), json.loads(row[4])
            )
            for row in rows
        ]

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

    def clips(self) -> list[ClipRow]:
        """Every clip of the plan, in the order of systems, utterances and repeats."""
        cursor = self._db.cursor()
        cursor.row_factory = sqlite3.Row
        rows = cursor.execute(
            "SELECT c.* FROM clips c JOIN systems s ON s.name = c.system "
            "JOIN utterances u ON u.id = c.utterance "
            "ORDER BY s.position, u.position, u.id, c.repeat"
        )
        database = self.folder / DATABASE
        return [_clip(row, database) for row in rows]

    def clip_keys(self) -> set[ClipKey]:
        """Every clip of the plan."""
        return {ClipKey(*row) for row in
                self._db.execute("SELECT system, utterance, repeat FROM clips")}  # fmt: skip

    def made(self, system: str) -> dict[tuple[str, int], tuple[str, str | None]]:
        """Status and path of each of a system's clips, by utterance and repeat."""
        rows = self._db.execute(
            "SELECT utterance, repeat, status, path FROM clips WHERE system = ?", (system,)
        )
        return {
            (utterance, repeat): (status, borders.inside(path, self.folder / DATABASE))
            for utterance, repeat, status, path in rows
        }

    def readings(self, metrics: Collection[str] | None = None) -> Iterator[ReadingRow]:
        """Every reading there is, or those of some metrics, in a stable order."""
        rows = self._db.execute(
            "SELECT system, utterance, repeat, metric, counts, evidence, error FROM readings "
            "WHERE ? OR metric IN (SELECT value FROM json_each(?)) "
            "ORDER BY system, utterance, repeat, metric",
            (metrics is None, json.dumps(sorted(metrics or ()))),
        )
        alike: dict[str, dict[str, float]] = {}
        key = ClipKey("", "", 0)
        for system, utterance, repeat, metric, counts, evidence, error in rows:
            own = ClipKey(system, utterance, repeat)
            key = key if key == own else own  # one object for all readings of a clip
            reading = None
            if error is None:
                reading = Reading(_counts(counts, alike), Evidence(evidence))
            yield ReadingRow(key, metric, reading, error)

    def unread(self, metrics: Collection[str], *, failed: bool = True) -> dict[ClipKey, list[str]]:
        """Clips that are there and lack readings, each with the metrics.

        Args:
            metrics: that every clip should have.
            failed: whether a reading that failed is one.
        """
        found: dict[ClipKey, list[str]] = {}
        for metric in metrics:
            rows = self._db.execute(
                "SELECT system, utterance, repeat FROM clips c WHERE status = 'done' "
                "AND NOT EXISTS (SELECT 1 FROM readings r WHERE r.system = c.system "
                "AND r.utterance = c.utterance AND r.repeat = c.repeat AND r.metric = ? "
                "AND (? OR r.status = 'done'))",
                (metric, failed),
            )
            for row in rows:
                found.setdefault(ClipKey(*row), []).append(metric)
        return found

    def profiles(self) -> list[ProfileRow]:
        """Rows of profiles, as they were measured; none in runs of earlier versions."""
        if not self._columns_of("profiles"):
            return []
        rows = self._db.execute(
            "SELECT session, system, quantity, phase, context, streams, workload, engine, unit, "
            "source, value, n, low, high, notes, detail, error FROM profiles ORDER BY rowid"
        )
        return [_profile(row) for row in rows]

    def reading_keys(self, *, failed: bool = True) -> set[tuple[ClipKey, str]]:
        """(clip, metric) of every reading that is there, failed ones included or not."""
        rows = self._db.execute(
            "SELECT system, utterance, repeat, metric FROM readings WHERE ? OR status = 'done'",
            (failed,),
        )
        return {(ClipKey(*row[:3]), row[3]) for row in rows}

    def rows(
        self, table: str, where: str = "true", values: Sequence[Any] = ()
    ) -> Iterator[dict[str, Any]]:
        """Rows of a table as they are, one after another, by primary key.

        Args:
            table: of the schema.
            where: a condition, with question marks for values.
            values: for these.
        """
        cursor = self._db.cursor()
        cursor.row_factory = sqlite3.Row
        # Nothing that a user has written is put into the statement.
        query = f"SELECT * FROM {table} WHERE {where}"  # noqa: S608
        for row in cursor.execute(query, tuple(values)):
            if table == "clips":
                borders.inside(row["path"], self.folder / DATABASE)
            yield dict(row)

    def _columns_of(self, table: str) -> set[str]:
        return {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}

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

    def _prepare(self) -> None:
        """What is done to the database before anything is read from it."""


def _clip(row: sqlite3.Row, database: Path) -> ClipRow:
    """A row of clips; columns that older runs lack (``rows.ADDED``) are ``None``."""
    return ClipRow(
        ClipKey(row["system"], row["utterance"], row["repeat"]),
        row["seed"],
        row["status"],
        borders.inside(row["path"], database),
        row["sha256"],
        row["duration_s"],
        row["sample_rate_hz"],
        row["error"],
        row["synthesis_s"],
        json.loads(row["cost"] or "{}"),
        row["envelope"] if "envelope" in row.keys() else None,  # noqa: SIM118 -- keys alone
    )


def _counts(text: str, alike: dict[str, dict[str, float]]) -> dict[str, float]:
    """Counts of a reading; one object for the many that are alike."""
    found = alike.get(text)
    if found is None:
        found = json.loads(text)
        if len(alike) < MOST_ALIKE:
            alike[text] = found
    return found


def _profile(row: Sequence[Any]) -> ProfileRow:
    unit, source, value, n, low, high, notes, detail, error = row[8:]
    told, more = tuple(json.loads(notes)), json.loads(detail)
    return ProfileRow(ProfileKey(*row[:8]), unit, source, value, n, low, high, told, more, error)
