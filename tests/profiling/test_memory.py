"""Readings of a process, and of a device that is played by a stand-in."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch

from mamtra_eval.profiling import memory

MIB = 2**20


def test_a_phase_reads_its_own_peak() -> None:
    gc.collect()  # what other tests left must not go while this one looks
    meter = memory.ProcessMeter()
    before = meter.base()["total"]

    def work() -> None:
        torch.ones(64 * MIB // 4)  # touched, and gone at the end

    found = meter.phase(work)
    assert found["total"] >= before + 50 * MIB
    if "since_start" not in found:  # where peaks can be reset, the next phase starts afresh
        assert meter.phase(lambda: None)["total"] < found["total"] - 40 * MIB


def test_a_trace_counts_what_the_work_gives_out_at_once() -> None:
    def work() -> None:
        kept = torch.ones(4 * MIB // 4)
        for _ in range(3):  # one after the other: only one of them at a time
            torch.ones(8 * MIB // 4)
        assert kept.numel()

    peak = memory.ProcessMeter().traced(work)
    assert peak is not None
    assert 12 * MIB <= peak < 12.5 * MIB


def test_what_is_available_is_known() -> None:
    assert 2**20 < memory.available() < 2**50


class Cuda:
    """A device of 1,000 bytes on which others hold 50."""

    allocated, reserved, used = 0, 0, 50

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None

    def mem_get_info(self, _: object) -> tuple[int, int]:
        return 1000 - self.used, 1000

    def memory_reserved(self, _: object) -> int:
        return self.reserved

    max_memory_reserved = memory_reserved

    def max_memory_allocated(self, _: object) -> int:
        return self.allocated

    def memory_stats(self, _: object) -> dict[str, int]:
        return {"num_alloc_retries": 2}


def test_a_device_is_read_without_what_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda()
    meter = memory.DeviceMeter("cuda", used_before=50)

    class Torch:
        zeros = staticmethod(lambda *_, **__: setattr(cuda, "used", 150 + 20))

    Torch.cuda = cuda  # type: ignore[attr-defined]
    cuda.reserved = 20
    monkeypatch.setattr(meter, "_torch", Torch)
    assert meter.base() == {"total": 100, "context": 100}

    def work() -> None:
        cuda.used, cuda.allocated, cuda.reserved = 480, 250, 300

    found = meter.phase(work)
    assert (found["total"], found["allocated"], found["reserved"]) == (430, 250, 300)
    assert found["alloc_retries"] == 2
    assert meter.traced(work) is None
