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


def refuse(device: str, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """UserError on a busy device; otherwise a word on how free it was."""
    found = look(device, sleep=sleep)
    if found.startswith("busy"):
        raise UserError(f"the device is {found}", where=device, fix=FIX)
    return found


def look(device: str, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """``busy: …`` or ``free: …``, with the figure."""
    if device.startswith("cuda"):
        held = used_mib(device)
        word = "busy" if held > MOST_MIB else "free"
        return f"{word}: others hold {held:,} MiB of it"
    share = taken(Path("/proc/stat"), sleep)
    return f"{'busy' if share > MOST_SHARE else 'free'}: others take {100 * share:.0f} % of it"


def used_mib(device: str) -> int:
    """What a CUDA device holds, MiB; 0 where the driver's program is not there to tell."""
    told = identity.smi(device, ("memory.used",)).get("memory.used", "0")
    return int(told) if told.isdigit() else 0


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
