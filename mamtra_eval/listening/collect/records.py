"""The collector's database: who got which list, and every line that was sent.

``key/collected.sqlite`` (SQLite, WAL, mode 0600: it has the participants' own identifiers):

sessions  one row a session: hash of its secret, participant, list, times, how it ended
events    one row a line, exactly as it came; ``seq`` has no gaps

A line is kept once it is answered for: every batch is a transaction that is on the disk before
``append`` returns. The same line again changes nothing; another one in its place is refused, and
the first stays. Of a batch with a line that is refused, the lines before it are kept.

A new session gets the list that the fewest people have: those who completed it, and those who are
at it now. Who has been silent for ``silence_s`` is taken to have left, and the list goes out again;
so does at once that of a session that ended early. Ties go by the order of the lists, so that
lists are filled one replicate of the design after the other. Who comes again before they have
completed a list gets the same one; who has completed one gets another. All of it is on record, and
screening decides what counts.

Several threads and several processes may write (on a local disk: WAL has no network file systems).
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mamtra_eval.errors import UserError
from mamtra_eval.listening.collect.database import PATIENCE_S, connect
from mamtra_eval.listening.collect.lines import SECRET, SESSION, Line, Refused, read, text_fault
from mamtra_eval.listening.collect.lists import choose

SILENCE_S = 3600.0
MAX_TEXT = 200
"""Characters of participant, study and submission."""


class Unavailable(Exception):  # noqa: N818 -- said of the database's state
    """The database can't be written now (locked, disk full); nothing of the request was kept."""


class Begun(NamedTuple):
    """A session's list, and how many of its lines are kept."""

    list: str
    next_seq: int


class Appended(NamedTuple):
    """How many lines of a session are kept, and whether its ``end`` is one of them."""

    next_seq: int
    complete: bool


class Collected:
    """The database, to be written; made if it is not there.

    Args:
        path: of the file; its folder is there.
        silence_s: after which an unfinished list goes out again, in seconds.
        patience_s: how long to wait for another process that writes, in seconds.
    """

    def __init__(
        self, path: Path, silence_s: float = SILENCE_S, patience_s: float = PATIENCE_S
    ) -> None:
        self._silence = timedelta(seconds=silence_s)
        self._lock = threading.Lock()
        try:
            self._db = connect(path, patience_s)
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"the database of ratings can't be opened ({error})",
                where=str(path),
                fix="Check that it is the collector's, on a local disk with room, and writable.",
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()

    def begin(
        self,
        session: str,
        secret: str,
        participant: str,
        study: str,
        submission: str,
        lists: Sequence[str],
        now: datetime,
    ) -> Begun:
        """Give a session its list; the same again where it has begun before.

        Args:
            session: UUID in lower case.
            secret: 32 hexadecimal digits that only its page knows.
            participant: identifier; empty where there is none.
            study: identifier, may be empty.
            submission: identifier, may be empty.
            lists: names of all, in the order of the design.
            now: with a time zone.

        Raises:
            Refused: for its form, or a secret that is not this session's.
            Unavailable: when the database can't be written.
        """
        _check_names(session, secret, (participant, study, submission))
        with self._writing() as db:
            known = db.execute("SELECT list FROM sessions WHERE session = ?", (session,)).fetchone()
            if known is None:
                chosen = choose(db, participant, lists, _stamp(now - self._silence))
                texts = (session, _hash(secret), participant, study, submission, chosen)
                db.execute(
                    "INSERT INTO sessions (session, secret_sha256, participant, study, submission, "
                    "list, started_at, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (*texts, _stamp(now), _stamp(now)),
                )
                return Begun(chosen, 0)
            self._check_secret(session, secret)
            db.execute("UPDATE sessions SET last_at = ? WHERE session = ?", (_stamp(now), session))
            return Begun(known[0], self._count(session))

    def append(self, session: str, secret: str, lines: Sequence[str], now: datetime) -> Appended:
        """Keep lines of a session that are new.

        Raises:
            Refused: for the first line that isn't taken; those before it are kept.
            Unavailable: when the database can't be written; nothing of the batch is kept.
        """
        checked, fault = read(lines)
        with self._writing() as db:
            self._check_secret(session, secret)
            refused = self._keep(session, checked, now) or fault
            count = self._count(session)
            db.execute("UPDATE sessions SET last_at = ? WHERE session = ?", (_stamp(now), session))
            ended = self._ended(session)
        if refused is not None:
            raise Refused(refused.reason, refused.what, refused.fix, count)
        return Appended(count, ended == "end")

    def _keep(self, session: str, lines: Sequence[Line], now: datetime) -> Refused | None:
        """Insert what is new, up to the first line that isn't taken."""
        due, ended = self._count(session), self._ended(session)
        for line in lines:
            if line.seq < due:
                if not self._is_kept(session, line):
                    return _refuse_conflict(f"Another line {line.seq} is kept already.")
                continue
            if line.seq > due:
                return Refused("gap", f"Line {due} is due, not {line.seq}.", f"Send from {due} on.")
            if ended == "end":
                return _refuse_conflict("The session has ended.")
            if due == 0 and (refused := self._misfit(session, line)):
                return refused
            self._insert(session, line, now)
            due += 1
            ended = line.type if line.type in ("end", "withdraw") else ended
        return None

    def _insert(self, session: str, line: Line, now: datetime) -> None:
        row = (session, line.seq, line.text, _stamp(now))
        self._db.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row)
        if line.type in ("end", "withdraw"):
            complete = line.type == "end" and line.values.get("complete") is True
            self._db.execute(
                "UPDATE sessions SET complete = (? AND ended <> 'withdraw'), ended = ? "
                "WHERE session = ?",
                (complete, line.type, session),
            )

    def _misfit(self, session: str, first: Line) -> Refused | None:
        given = self._column("list", session)
        if first.type != "session" or first.values.get("session") != session:
            return Refused(
                "form", "The first line is not this session's.", "Begin with its session line."
            )
        if first.values.get("list") != given:
            return _refuse_conflict(f"This session has the list {given}.")
        return None

    def _check_secret(self, session: str, secret: str) -> None:
        known = self._column("secret_sha256", session) if SESSION.fullmatch(session) else None
        if known is None:
            raise Refused("unknown", "There is no such session.", "Begin it first.")
        if not SECRET.fullmatch(secret) or not hmac.compare_digest(known, _hash(secret)):
            raise Refused(
                "secret", "The secret is not this session's.", "Go on in the page that began it."
            )

    def _is_kept(self, session: str, line: Line) -> bool:
        found = self._db.execute(
            "SELECT line FROM events WHERE session = ? AND seq = ?", (session, line.seq)
        )
        return bool(found.fetchone()[0] == line.text)

    def _count(self, session: str) -> int:
        found = self._db.execute("SELECT max(seq) FROM events WHERE session = ?", (session,))
        last = found.fetchone()[0]
        return 0 if last is None else int(last) + 1

    def _ended(self, session: str) -> str:
        return self._column("ended", session) or ""

    def _column(self, name: str, session: str) -> str | None:
        cursor = self._db.cursor()
        cursor.row_factory = sqlite3.Row
        found = cursor.execute("SELECT * FROM sessions WHERE session = ?", (session,)).fetchone()
        return None if found is None else str(found[name])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing of what is written inside."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise Unavailable(str(error)) from error
            finally:
                # SQLite ends a transaction itself after some errors, a full disk among them.
                with suppress(sqlite3.Error):
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")


def _check_names(session: str, secret: str, texts: Sequence[str]) -> None:
    if not SESSION.fullmatch(session):
        raise Refused("form", "The session is no UUID.", "Send it in lower case, with hyphens.")
    if not SECRET.fullmatch(secret):
        raise Refused("form", "The secret has not 32 hexadecimal digits.", "Send it in lower case.")
    for text in texts:
        fault = text_fault(text) or (f"is longer than {MAX_TEXT}" if len(text) > MAX_TEXT else None)
        if fault:
            raise Refused(
                "form", f"An identifier {fault}.", "Open the link again as you were given it."
            )


def _refuse_conflict(what: str) -> Refused:
    return Refused("conflict", what, "What is kept stays; reload the page to go on from there.")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def _stamp(now: datetime) -> str:
    """UTC, ISO 8601 with milliseconds: as text in the order of time."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
