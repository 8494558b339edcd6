"""A CUDA device's memory as its driver tells it, sampled from outside of the process that works.

The driver's own program is asked every 10 ms, in a process of its own, and its answers are kept
with the time that it gives them. A maximum over a phase is a lower bound of the peak: what came and
went between two answers is not in it. Unlike the allocator it sees all that is on the device.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Self

from mamtra_eval.profiling import identity

EVERY_MS = 10
STAMP = "%Y/%m/%d %H:%M:%S.%f"
"""How the driver's program writes the time of a sample, which may reach us later in a block."""

MIB = 2**20


class Sampler:
    """Samples while its block lasts; without the driver's program there are no samples.

    Args:
        device: ``cuda`` or ``cuda:1``; nothing is sampled for a CPU.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._samples: list[tuple[float, int]] = []
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        program = shutil.which(identity.SMI)
        if program is None or not self._device.startswith("cuda"):
            return self
        command = [program, "--query-gpu=timestamp,memory.used", "--format=csv,noheader,nounits",
                   f"--id={identity.index(self._device)}", f"-lms={EVERY_MS}"]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None or self._thread is None:
            return
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        if self._process.stdout:
            self._process.stdout.close()

    def most(self, began: float, ended: float) -> int | None:
        """Most bytes between two times (POSIX, seconds); ``None`` without a sample."""
        return max((size for at, size in self._samples if began <= at <= ended), default=None)

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            at, _, used = line.partition(",")
            with suppress(ValueError):  # not a sample: [N/A], or a line that was cut
                when = datetime.strptime(at.strip(), STAMP).timestamp()  # in local time
                self._samples.append((when, int(used) * MIB))
