"""The ratings of a bundle in one SQLite file: sessions, their responses, what was refused and why.

A file is one transaction: a kill in between leaves what was there before. A file is known by the
SHA-256 of its content, so that taking it again does nothing. A session that is there already from
another file is

- left alone where the two say the same, or the new one is a shorter version of the one here;
- replaced where the new one is a longer version (every response here is in it, unchanged);
- emptied where the participant withdrew;
- refused otherwise: one session can't have gone two ways.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.listening.trials import Refusal, Response, Session

VERSION = 1
WITHDRAWN = "withdrawn"
"""Key of the facts of a session whose participant withdrew; it has no responses."""
_SCHEMA = """
CREATE TABLE files (sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, format TEXT NOT NULL);
CREATE TABLE sessions (
    session TEXT PRIMARY KEY, file TEXT NOT NULL REFERENCES files, rater TEXT NOT NULL,
    list TEXT, started_at TEXT, complete INTEGER NOT NULL, simulated INTEGER NOT NULL,
    source TEXT NOT NULL, headphones TEXT NOT NULL, facts TEXT NOT NULL
);
CREATE TABLE responses (
    session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE, place INTEGER NOT NULL,
    trial TEXT NOT NULL, position INTEGER NOT NULL, tokens TEXT NOT NULL, ratings TEXT NOT NULL,
    rt_ms REAL, heard TEXT NOT NULL, plays TEXT NOT NULL, at TEXT, PRIMARY KEY (session, trial)
);
CREATE TABLE refusals (file TEXT NOT NULL, place TEXT NOT NULL, why TEXT NOT NULL,
    UNIQUE (file, place, why));
"""


@dataclass(frozen=True)
class FileRecord:
    """A file that was taken: SHA-256 of its content, name, format."""

    sha256: str
    name: str
    format: str


@dataclass(frozen=True)
class Added:
    """What a file brought: sessions new or replaced, refusals, and notes in words."""

    sessions: tuple[Session, ...]
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]


class Ratings:
    """The database at a path; made where there is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if not version and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in _SCHEMA.split(";\n"):
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise UserError(
                    f"ratings of version {version}; this is version {VERSION}",
                    where=str(path),
                    fix="Move it away and take the files again.",
                )

    def add(
        self, file: FileRecord, sessions: Sequence[Session], refusals: Sequence[Refusal]
    ) -> Added:
        """Store what a file has, all or nothing.

        A file that is there already (by its SHA-256) changes nothing, and a note says so.
        """
        with self._transaction() as db:
            if _file(db, file.sha256) is not None:
                return Added((), (), (f"{file.name} was taken before: nothing to do",))
            db.execute("INSERT INTO files VALUES (?, ?, ?)", (file.sha256, file.name, file.format))
            taken: dict[str, Session] = {}
            refused, notes = list(refusals), []
            for session in sessions:
                note, why = _place(db, file, session)
                if why is not None:
                    refused.append(Refusal(file.name, f"session {session.session}", why))
                elif note is None or note.startswith("replaced"):
                    taken[session.session] = session
                if note is not None:
                    notes.append(f"session {session.session}: {note}")
            db.executemany(
                "INSERT OR IGNORE INTO refusals VALUES (?, ?, ?)",
                [(one.file, one.place, one.why) for one in refused],
            )
        return Added(tuple(taken.values()), tuple(refused), tuple(notes))

    def refuse(self, refusal: Refusal) -> None:
        """Store why a file couldn't be read; it may be tried again."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO refusals VALUES (?, ?, ?)",
                (refusal.file, refusal.place, refusal.why),
            )

    def sessions(self) -> list[Session]:
        """All sessions with their responses, in the order they came."""
        with self._transaction() as db:
            names = [row[0] for row in db.execute("SELECT session FROM sessions ORDER BY rowid")]
            return [one for name in names if (one := _session(db, name)) is not None]

    def refusals(self) -> list[Refusal]:
        """All that was refused, in the order it came."""
        with self._transaction() as db:
            rows = db.execute("SELECT file, place, why FROM refusals ORDER BY rowid")
            return [Refusal(*row) for row in rows]

    def files(self) -> list[FileRecord]:
        """The files that were taken, in their order."""
        with self._transaction() as db:
            rows = db.execute("SELECT sha256, name, format FROM files ORDER BY rowid")
            return [FileRecord(*row) for row in rows]

    def file(self, sha256: str) -> FileRecord | None:
        """The file of this content, where it was taken."""
        with self._transaction() as db:
            return _file(db, sha256)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as db:
                db.execute("PRAGMA foreign_keys = ON")
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
        except sqlite3.Error as error:
            raise UserError(
                f"not usable as a database of ratings ({error})",
                where=str(self.path),
                fix="Move it away and take the files again.",
            ) from error


def _place(db: sqlite3.Connection, file: FileRecord, new: Session) -> tuple[str | None, str | None]:
    """Store a session where it may be; a note and the reason of a refusal, where there are such."""
    old = _session(db, new.session)
    if old is None:
        _insert(db, file, new)
        return None, None
    source = db.execute(
        "SELECT name FROM sessions JOIN files ON file = sha256 WHERE session = ?", (new.session,)
    ).fetchone()[0]
    if WITHDRAWN in old.facts:
        return f"the participant withdrew, as {source} says: nothing is kept", None
    if WITHDRAWN in new.facts:
        _insert(db, file, new)
        return "replaced: the participant withdrew, nothing is kept", None
    here, there = _content(old), _content(new)
    same_person = (old.rater, old.list_id) == (new.rater, new.list_id) or not (here and there)
    if same_person and there.items() <= here.items() and old.complete >= new.complete:
        longer = "the same" if here == there else "a longer version"
        return f"{longer} is here from {source}: left alone", None
    if same_person and here.items() <= there.items() and new.complete >= old.complete:
        _insert(db, file, new)
        return f"replaced the shorter version from {source}", None
    return None, f"duplicate: the session is here from {source} with other answers, which stay"


def _content(session: Session) -> dict[str, tuple[object, ...]]:
    """What makes two versions of a session agree: how each trial was answered."""
    return {one.trial: (one.tokens, one.ratings, one.at) for one in session.responses}


def _insert(db: sqlite3.Connection, file: FileRecord, new: Session) -> None:
    db.execute("DELETE FROM sessions WHERE session = ?", (new.session,))
    db.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.session, file.sha256, new.rater, new.list_id, new.started_at, new.complete,
            new.simulated, new.source, json.dumps(new.headphones), json.dumps(new.facts),
        ),
    )  # fmt: skip
    db.executemany(
        "INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                new.session, place, one.trial, one.position, json.dumps(one.tokens),
                json.dumps(one.ratings), one.rt_ms, json.dumps(one.heard), json.dumps(one.plays),
                one.at,
            )
            for place, one in enumerate(new.responses)
        ],
    )  # fmt: skip


def _file(db: sqlite3.Connection, sha256: str) -> FileRecord | None:
    row = db.execute("SELECT sha256, name, format FROM files WHERE sha256 = ?", (sha256,))
    found = row.fetchone()
    return None if found is None else FileRecord(*found)


def _session(db: sqlite3.Connection, name: str) -> Session | None:
    row = db.execute(
        "SELECT session, rater, list, started_at, complete, simulated, source, headphones, facts "
        "FROM sessions WHERE session = ?",
        (name,),
    ).fetchone()
    if row is None:
        return None
    rows = db.execute(
        "SELECT trial, position, tokens, ratings, rt_ms, heard, plays, at FROM responses "
        "WHERE session = ? ORDER BY place",
        (name,),
    )
    responses = tuple(
        Response(trial, position, tuple(json.loads(tokens)), tuple(json.loads(ratings)), rt_ms,
                 _tuple(heard), _tuple(plays), at)
        for trial, position, tokens, ratings, rt_ms, heard, plays, at in rows
    )  # fmt: skip
    session, rater, list_id, started_at, complete, simulated, source, headphones, facts = row
    return Session(
        session, rater, list_id, started_at, bool(complete), bool(simulated), source, responses,
        _tuple(headphones), json.loads(facts),
    )  # fmt: skip


def _tuple(text: str) -> tuple[Any, ...] | None:
    value = json.loads(text)
    return None if value is None else tuple(value)
