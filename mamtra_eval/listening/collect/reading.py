"""What was collected, read as of one moment; nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening.collect.database import connect_reading


@dataclass(frozen=True)
class CollectedSession:
    """What is kept of one session.

    Attributes:
        list: that it was given.
        started_at: UTC, ISO 8601.
        last_at: when something last came.
        complete: whether its ``end`` line says so, and it was not withdrawn before.
        lines: as they came, in order.
    """

    session: str
    participant: str
    study: str
    submission: str
    list: str
    started_at: str
    last_at: str
    complete: bool
    lines: tuple[str, ...]


def read_sessions(path: Path) -> Iterator[CollectedSession]:
    """Every session with its lines, as of one moment, in the order they began; writes nothing."""
    if not path.is_file():
        raise UserError(
            "nothing has been collected (there is no database of ratings)",
            where=str(path),
            fix="Collect ratings with listen serve, or give the files that raters sent.",
        )
    try:
        with closing(connect_reading(path)) as db:
            db.execute("BEGIN")
            rows = db.execute(
                "SELECT session, participant, study, submission, list, started_at, last_at, "
                "complete FROM sessions ORDER BY started_at, rowid"
            ).fetchall()
            for session, participant, study, submission, given, started_at, last_at, done in rows:
                found = db.execute(
                    "SELECT line FROM events WHERE session = ? ORDER BY seq", (session,)
                )
                lines = tuple(line for (line,) in found)
                about = (session, participant, study, submission, given, started_at, last_at)
                yield CollectedSession(*about, bool(done), lines)
    except sqlite3.Error as error:
        raise UserError(
            f"not readable as a database of ratings ({error})",
            where=str(path),
            fix="Restore the file together with its -wal file.",
        ) from error
