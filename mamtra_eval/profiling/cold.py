"""Cold start: from the start of a fresh process to the first audio in its hands.

It holds what warm measurements throw away: imports, weights, compilation, caches that fill. The
operating system's file cache is as it is: the first start after a boot is slower than those here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mamtra_eval import processes
from mamtra_eval.profiling.meter import summarize
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow
from mamtra_eval.systems import Request

LONGEST_COMPLAINT = 300
PARTS = ("import", "make", "first_audio")


class _ColdError(Exception):
    """The process found no time."""


def cold_start(
    target: str, request: Request, key: ProfileKey, *, starts: int = 3, timeout_s: float = 600.0
) -> ProfileRow:
    """Row ``time.cold``: the median of several starts.

    Args:
        target: as on the command line, without a name.
        request: what the process says first.
        key: whose row it is.
        starts: fresh processes, one after the other.
        timeout_s: longest time of one, then it is ended.

    Its ``detail`` has the medians of the parts: ``import`` (start of the process to the system's
    module), ``make`` (the system made and prepared: weights) and ``first_audio`` (from there on).
    """
    about = replace(key, quantity="time.cold")
    try:
        found = [_start(target, request, timeout_s) for _ in range(max(1, starts))]
    except _ColdError as error:
        return ProfileRow(about, "s", MEASURED, None, n=0, error=str(error))
    summary = summarize([sum(parts.values()) for parts in found])
    detail = {part: summarize([parts[part] for parts in found]).median for part in PARTS}
    return ProfileRow(
        about, "s", MEASURED, summary.median, n=summary.n, low=summary.q25, high=summary.q75,
        notes=(summary.unstable,) if summary.unstable else (), detail=detail,
    )  # fmt: skip


def _start(target: str, request: Request, timeout_s: float) -> dict[str, float]:
    """Seconds by part of one start."""
    with TemporaryDirectory(prefix="mamtra-eval-", ignore_cleanup_errors=True) as name:
        job, result, log = (Path(name) / each for each in ("job.json", "result.json", "log"))
        said = {"target": target, "request": vars(request)}
        job.write_text(json.dumps(said, default=str), "utf-8")
        command = [sys.executable, "-m", "mamtra_eval.profiling._cold", str(job), str(result)]
        with log.open("wb") as output:
            started = time.monotonic()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=processes.environment(), start_new_session=True,
            )  # fmt: skip
            with processes.tracked(process.pid):
                ended = _wait(process, timeout_s)
        if not result.is_file():
            raise _ColdError(ended or f"its process told nothing: {_last_line(log)}")
        found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    if "error" in found:
        raise _ColdError(found["error"])
    marks = [started, found["imported"], found["made"], found["first_audio"]]
    return {part: marks[i + 1] - marks[i] for i, part in enumerate(PARTS)}


def _wait(process: subprocess.Popen[bytes], timeout_s: float) -> str:
    """Wait for its end; why it was ended, if it was."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return f"it took longer than {timeout_s:g} s to the first audio"
    finally:
        processes.kill_group(process.pid)  # what it may have started goes with it
        process.wait()
    return ""


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "(silent)")[:LONGEST_COMPLAINT]
