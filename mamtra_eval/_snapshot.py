"""A run's database as it is at one moment, to be read while its folder is left alone.

SQLite's write-ahead log is for the processes of one machine: read from another while it is written,
it may give garbage, and a reader that closes it may even damage it. So the files are copied while
nobody writes, and the copy is read.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.reader import DATABASE, RunReader


@dataclass(frozen=True)
class Snapshot:
    """A copy of a run's database.

    Attributes:
        folder: of the run.
        copy: where the copy lies.
    """

    folder: Path
    copy: Path

    @contextmanager
    def read(self) -> Iterator[RunReader]:
        """The copy's rows; paths are those of the run."""
        with RunReader(self.copy) as reader:
            reader.folder = self.folder
            yield reader


def snapshot(folder: Path, copy: Path) -> Snapshot | None:
    """Copy a run's database; ``None`` if it has no plan yet, or if somebody is writing it.

    Args:
        folder: of the run, which may be read-only.
        copy: a folder to be made.
    """
    copy.mkdir(parents=True)
    if not _copied(folder, copy):
        return None
    found = Snapshot(folder, copy)
    try:
        with found.read() as reader:
            return None if reader.meta("testset") is None else found
    except UserError as error:
        if isinstance(error.__cause__, sqlite3.Error) and "no such table" in str(error.__cause__):
            return None  # its process has made the file, and no more yet
        error.where = str(folder / DATABASE)
        raise


def _copied(folder: Path, copy: Path) -> bool:
    """Copy the database's files; False while a writer has the run's lock."""
    if not (folder / DATABASE).is_file():
        with RunReader(folder):  # which says what is wrong
            return False
    try:
        lock = (folder / ".lock").open("rb")
    except FileNotFoundError:  # copied by hand, say
        _copy_files(folder, copy)
        return True
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        _copy_files(folder, copy)
    return True


def _copy_files(folder: Path, copy: Path) -> None:
    for name in (DATABASE, f"{DATABASE}-wal"):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, copy / name)
