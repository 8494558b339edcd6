"""The file of the collector's database: its tables, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

PATIENCE_S = 5.0
"""How long to wait for another process that writes."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, secret_sha256 TEXT NOT NULL, participant TEXT NOT NULL,
    study TEXT NOT NULL, submission TEXT NOT NULL, list TEXT NOT NULL,
    started_at TEXT NOT NULL, last_at TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 0,
    ended TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS sessions_of ON sessions (participant);
CREATE TABLE IF NOT EXISTS events (
    session TEXT NOT NULL REFERENCES sessions (session), seq INTEGER NOT NULL, line TEXT NOT NULL,
    received_at TEXT NOT NULL, PRIMARY KEY (session, seq)
) WITHOUT ROWID;
"""


def connect(path: Path, patience_s: float = PATIENCE_S) -> sqlite3.Connection:
    """The database, to be written; made if it is not there, for its owner's eyes."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = _open(path.resolve().as_uri(), patience_s)
    try:
        _use_wal(db, patience_s)
        db.execute("PRAGMA synchronous=FULL")  # answered for means on the disk
        db.executescript(f"BEGIN IMMEDIATE; {SCHEMA} COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def connect_reading(path: Path) -> sqlite3.Connection:
    """The database, to be read only."""
    return _open(f"{path.resolve().as_uri()}?mode=ro", PATIENCE_S)


def _open(uri: str, patience_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        uri, uri=True, timeout=patience_s, isolation_level=None, check_same_thread=False
    )


def _use_wal(db: sqlite3.Connection, patience_s: float) -> None:
    """Two processes that open a new file at once collide here, and SQLite does not wait for it."""
    until = time.monotonic() + patience_s
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
