"""The inside of a worker process: make the handler, work through batches, end with the parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from mamtra_eval import offline, processes
from mamtra_eval.errors import Unusable, UserError, describe

Handler = Callable[[Sequence[Any]], Iterable[tuple[int, Any]]]

TAKEN = "taken"
"""Sent when a batch has arrived: from here on a death may be its doing."""


@dataclass(frozen=True)
class Ready:
    """Sent once: the handler is made."""


@dataclass(frozen=True)
class Leaving:
    """Sent last: this process is of no more use, and another one is to go on."""

    reason: str


@dataclass(frozen=True)
class Stop:
    """Sent last: this ends the whole run."""

    error: Exception


def work(connection: Connection, factory: Callable[..., Handler], args: tuple[Any, ...]) -> None:
    """A worker's life: until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, _terminate)
    os.dup2(2, 1)  # what a library prints must not get into the parent's output
    _die_with_parent()
    offline.stay()
    try:
        handler = factory(*args)
        connection.send(Ready())
        while True:
            try:
                batch = connection.recv()
            except (EOFError, OSError):
                return
            connection.send(TAKEN)
            for index, result in handler(batch):
                connection.send((index, result))
    except BrokenPipeError:
        return
    except Unusable as error:
        connection.send(Leaving(describe(error)))
    except Exception as error:  # told to the parent, which ends the run
        connection.send(Stop(_as_told(error)))


def _as_told(error: Exception) -> Exception:
    """What the parent is to raise."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError):  # a full disk, a folder without permission
        return UserError(
            f"a worker could not go on ({error.strerror or error})",
            where=str(error.filename) if error.filename else None,
            fix="Mend that; the same command then goes on from here.",
        )
    return RuntimeError(f"a worker failed: {describe(error)}")


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    processes.kill_tracked()
    os._exit(1)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            processes.kill_tracked()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
