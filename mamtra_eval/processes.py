"""Programs that a worker has started, so that they end with it, unless it is killed outright.

A program runs in a session of its own, where neither Ctrl-C nor the end of its worker reaches it.
Who starts one wraps it in ``tracked``; whoever ends this process calls ``kill_tracked`` first.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""

_groups: dict[int, Callable[[], None]] = {}


@contextmanager
def tracked(group: int, tidy: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Remember a process group until the block ends; ``tidy`` runs if it must be killed."""
    _groups[group] = tidy
    try:
        yield
    finally:
        _groups.pop(group, None)


def environment() -> dict[str, str]:
    """For a Python of ours in a process of its own: it finds this package where this one did."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def die_with_parent() -> None:
    """Let the kernel kill this process when the one that started it is gone; Linux alone.

    For a process that measures: left over after its parent was killed, it would be somebody else
    at work on the device for those that come later.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_group(group: int) -> None:
    """End a process group at once; it may be gone already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def kill_tracked() -> None:
    """End all that is tracked and tidy up after it."""
    for group, tidy in list(_groups.items()):
        kill_group(group)
        tidy()
