"""Folders for the audio between a host and a guest: made, removed, and swept if left behind.

They lie in memory (``/dev/shm``) where there is room, else among the temporary files. A host that
ends removes its folder; of one that is killed, the guest's guard does (``_start``). Should both be
killed, whoever makes the next folder finds it: a living host holds a lock in its own, which the
kernel releases with the process, whatever namespace it lived in.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 -- folders of mkdtemp's names and modes within
ROOM = 512 * 2**20
"""Bytes that must be free there: a clip of the longest length has about 350 MB."""

PREFIX = "mamtra-eval-guest-"
LOCK = "host"
YOUNG_S = 60.0
"""A folder younger than this is nobody's to sweep: its host may be about to lock it."""


def make() -> tuple[Path, int]:
    """A new folder and the descriptor that keeps it locked."""
    base = _base()
    _sweep(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def remove(folder: Path, lock: int | None) -> None:
    """Remove a folder that ``make`` made; the lock is left to the end of a process without one."""
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _base() -> Path:
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
            return MEMORY
    return Path(tempfile.gettempdir())


def _sweep(base: Path) -> None:
    """Remove folders of hosts that are gone."""
    for folder in base.glob(f"{PREFIX}*"):
        with suppress(OSError):  # in use, or gone meanwhile
            seen = folder.lstat()
            if seen.st_uid != os.geteuid() or time.time() - seen.st_mtime < YOUNG_S:
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
