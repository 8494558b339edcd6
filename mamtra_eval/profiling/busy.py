"""Whether somebody else is at work on the device: then nothing is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.profiling import identity

MIB = 2**20
MOST_MIB = 600
"""Memory that a CUDA device may hold before we come: a driver with a display has about that."""

MOST_SHARE = 0.2
"""Share of the processor that others may take."""

LOOK_S = 0.5
FIX = "Wait until it is free, or give --allow-busy, and the figures are marked."


def refuse(found: str, device: str) -> None:
    """UserError for what ``look`` found of a device, if that is busy."""
    if found.startswith("busy"):
        raise UserError(f"the device is {found}", where=device, fix=FIX)


def look(device: str, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """``busy: …``, ``free: …`` or ``unknown: …``, with the figure.

    Of a CUDA device this must be asked before torch uses it: our own context would be counted.
    """
    if device.startswith("cuda"):
        held = used_mib(device)
        if held is None:
            return "unknown: the driver's program is not there to tell"
        word = "busy" if held > MOST_MIB else "free"
        return f"{word}: others hold {held:,} MiB of it"
    share = taken(Path("/proc/stat"), sleep)
    return f"{'busy' if share > MOST_SHARE else 'free'}: others take {100 * share:.0f} % of it"


def used_mib(device: str) -> int | None:
    """What a CUDA device holds, MiB; ``None`` where the driver's program is not there to tell."""
    told = identity.smi(device, ("memory.used",)).get("memory.used", "")
    return int(told) if told.isdigit() else None


def taken(stat: Path, sleep: Callable[[float], None]) -> float:
    """Share of all processor time that is not idle over half a second; 0 where it isn't told."""
    try:
        before = _times(stat)
        sleep(LOOK_S)
        after = _times(stat)
    except (OSError, ValueError, IndexError):
        return 0.0
    idle, whole = (end - start for start, end in zip(before, after, strict=True))
    return max(0.0, 1.0 - idle / whole) if whole > 0 else 0.0


def _times(stat: Path) -> tuple[float, float]:
    """Idle and whole processor time so far, in ticks (proc(5): user nice system idle iowait …)."""
    ticks = [float(word) for word in stat.read_text("ascii").splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
