"""A run's database: opening it, and what ails it, in words that say what to do about it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from mamtra_eval.errors import UserError

WAIT_S = 30.0
"""How long another program's lock on the database is waited for."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the database; one in a read-only folder by way of a copy."""
    if os.access(path.parent, os.W_OK):
        return sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
    # SQLite reads no write-ahead log where it can't write: a killed run is read from a copy.
    memory = sqlite3.connect(":memory:", isolation_level=None)
    with TemporaryDirectory() as folder:
        for part in (path, path.with_name(f"{path.name}-wal")):
            if part.exists():
                shutil.copy(part, folder)
        copy = sqlite3.connect(Path(folder) / path.name)
        copy.backup(memory)
        copy.close()
    return memory


def damaged(how: str) -> sqlite3.DatabaseError:
    """The error that SQLite itself would raise, had it met the damage."""
    error = sqlite3.DatabaseError(how)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def explained(error: sqlite3.Error, path: Path) -> UserError:
    """What went wrong with a run's database, and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary of an extended code
    go_on = "then the same command goes on from here."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        what = "another program has locked the run's database"
        fix = f"End it (a database browser, a backup), {go_on}"
    elif code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        what = f"the run's database can't be written or read ({error})"
        fix = f"Make room on the disk, or see what ails it; {go_on}"
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        what = f"the run's database can't be written ({error})"
        fix = f"Make the folder writable, {go_on}"
    elif code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        what = f"the run's database is damaged ({error})"
        fix = f"Save what is left of it with: mamtra-eval rescue {path.parent}"
    elif "no such table" in str(error):
        what = "the run's database is empty: its first start ended at once, or its log is lost"
        fix = "Start it again with evaluate; if that says the same, save what is left with: "
        fix += f"mamtra-eval rescue {path.parent}"
    else:
        what, fix = f"the run's database can't be used ({error})", "Move the folder away."
    return UserError(what, where=str(path), fix=fix)
