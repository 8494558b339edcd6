"""Helpers of these tests: isolated odd systems, and what is left of processes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mamtra_eval.audio import Clip
from mamtra_eval.isolation.keeping import Limits, Recipe
from mamtra_eval.isolation.process import Interpreter
from mamtra_eval.isolation.system import Isolated
from mamtra_eval.systems import Request

HERE = Path(__file__).parent


def interpreter(**more: Any) -> Interpreter:
    """This Python, with these test systems."""
    values = {"paths": (str(HERE),), "same": True, "kind": "odd", **more}
    return Interpreter("self", Path(sys.executable), **values)


def isolated(*, python: Interpreter | None = None, limits: Limits | None = None, **options: Any):
    """An odd system in a process of its own."""
    from odd_systems import make

    here = make({key: value for key, value in options.items() if key != "make"})
    recipe = Recipe("odd", options, factory="odd_systems:make")
    return Isolated(recipe, here, python or interpreter(), limits or Limits(timeout_s=60))


def requests(*texts: str) -> list[Request]:
    return [Request(f"u{n}", text, seed=n) for n, text in enumerate(texts)]


def told(results: Sequence[tuple[int, Any]]) -> dict[int, str]:
    """What became of each: ``clip``, or what went wrong."""
    found = {n: "clip" if isinstance(one, Clip) else str(one) for n, one in results}
    assert len(found) == len(results)
    return found


def until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def group(pid: int) -> list[int]:
    """Living processes of a group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == pid and fields[0] not in ("Z", "X"):
            found.append(int(stat.parent.name))
    return found


def pid_of(system: Isolated) -> int:
    return system._keeper._guest.process.pid


def folder_of(system: Isolated) -> Path:
    return system._keeper._guest.process.folder
