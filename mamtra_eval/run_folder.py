"""A run's folder: made, locked, and the time of what is written into it."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.parts import SHARDS
from mamtra_eval.reader import DATABASE


def make(folder: Path) -> None:
    """Make a run's folder and an empty database in it, where they are not there.

    Raises:
        UserError: for a folder that can't be made or written, or holds something else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the run folder can't be made ({error.strerror})",
            where=str(folder),
            fix="Choose another --out.",
        ) from error
    strangers = [path for path in folder.iterdir() if path.name not in (".lock", SHARDS)]
    if strangers and not (folder / DATABASE).exists():
        raise UserError(
            "the folder is not empty and holds no run",
            where=str(folder),
            fix="Choose an empty or new folder with --out.",
        )
    try:
        (folder / DATABASE).touch()
    except OSError as error:
        raise UserError(
            f"the run can't be written ({error.strerror})",
            where=str(folder),
            fix="Make the folder writable, then the same command goes on from here. Reports can be "
            "made of it as it is: mamtra-eval leaderboard.",
        ) from error


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Be the only writer of a run folder; UserError if another process is."""
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "another process is writing this run",
                where=str(folder),
                fix="Wait for it, or choose another --out.",
            ) from None
        yield


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
