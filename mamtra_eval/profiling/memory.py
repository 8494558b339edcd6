"""Readings of memory: of a CUDA device and its allocator, or of a process on a CPU.

A ``Meter`` is asked at the beginning and at the end of a phase, in the process that does the work.
Both kinds answer in the same words:

``total``      what the process takes in the phase, at its peak: resident set on a CPU; on a CUDA
               device what the whole device holds, less what it held before
``allocated``  peak of what torch's allocator has given out; on a CPU from its own trace of a second
               run of the phase, since tracing takes memory of its own
``reserved``   peak of what that allocator holds (CUDA alone)
``context``    what the device took for the process before any tensor (CUDA alone)

The allocator's peak is exact but blind to all that is not torch (ONNX Runtime, TensorRT, modules of
kernels); the total sees all, and where it is sampled it is a lower bound of the peak.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What ``clear_refs`` takes to forget the peak of the resident set (proc(5))."""


class Meter(Protocol):
    """Reads memory around phases."""

    def base(self) -> dict[str, int]:
        """What is taken before anything is loaded."""
        ...

    def phase(self, work: Callable[[], None]) -> dict[str, int]:
        """Do the work of a phase and read its peaks."""
        ...

    def traced(self, work: Callable[[], None]) -> int | None:
        """Peak of what the work allocates beyond what was there; ``None`` if ``phase`` has it."""
        ...


class ProcessMeter:
    """Resident set of this process, on Linux."""

    def base(self) -> dict[str, int]:
        """The resident set now."""
        return {"total": resident()}

    def phase(self, work: Callable[[], None]) -> dict[str, int]:
        """See ``Meter``; ``since_start`` is 1 where the peak could not be reset before."""
        gc.collect()
        fresh = _reset_peak()
        work()
        found = {"total": _status("VmHWM"), "after": resident()}
        return found if fresh else {**found, "since_start": 1}

    def traced(self, work: Callable[[], None]) -> int | None:
        """Peak of the bytes that torch's CPU allocator has given out during the work."""
        from torch.profiler import ProfilerActivity, profile

        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
            work()
        result: Any = trace.profiler
        events = [e for e in result.kineto_results.events() if e.name() == "[memory]"]
        now = peak = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            now += event.nbytes()
            peak = max(peak, now)
        return peak


class DeviceMeter:
    """A CUDA device that this process has to itself."""

    def __init__(self, device: str, used_before: int) -> None:
        import torch

        self._torch, self._device, self._before = torch, torch.device(device), used_before

    def base(self) -> dict[str, int]:
        """What the process takes on the device with one tensor of one number."""
        self._torch.zeros(1, device=self._device)
        self._torch.cuda.synchronize(self._device)
        reserved = self._torch.cuda.memory_reserved(self._device)
        context = max(0, self._used() - reserved)
        return {"total": context, "context": context}

    def phase(self, work: Callable[[], None]) -> dict[str, int]:
        """See ``Meter``; also the allocator's own counters."""
        cuda = self._torch.cuda
        gc.collect()
        cuda.synchronize(self._device)
        cuda.reset_peak_memory_stats(self._device)
        work()
        cuda.synchronize(self._device)
        stats = cuda.memory_stats(self._device)
        return {
            "total": self._used(),
            "allocated": cuda.max_memory_allocated(self._device),
            "reserved": cuda.max_memory_reserved(self._device),
            "requested": int(stats.get("requested_bytes.all.peak", 0)),
            "inactive_split": int(stats.get("inactive_split_bytes.all.peak", 0)),
            "alloc_retries": int(stats.get("num_alloc_retries", 0)),
            "ooms": int(stats.get("num_ooms", 0)),
        }

    def traced(self, work: Callable[[], None]) -> int | None:
        """The allocator's peak is in ``phase`` already."""
        return None

    def _used(self) -> int:
        free, total = self._torch.cuda.mem_get_info(self._device)
        return int(total - free - self._before)


def meter(device: str, used_before: int = 0) -> Meter:
    """The meter for a device; ``used_before`` is what others hold on it, in bytes."""
    return DeviceMeter(device, used_before) if device.startswith("cuda") else ProcessMeter()


def resident() -> int:
    """Resident set of this process, bytes."""
    return _status("VmRSS")


def available() -> int:
    """Memory that this machine can still give, bytes."""
    for line in Path("/proc/meminfo").read_text("ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))


def _status(key: str) -> int:
    for line in STATUS.read_text("ascii", errors="replace").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> bool:
    try:
        CLEAR.write_text(RESET_PEAK, "ascii")
    except OSError:
        return False
    return True
