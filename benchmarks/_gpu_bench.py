"""What the parts of the GPU benchmark share: the command line, the device, and where lines go."""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from _models import build, shape

from mamtra_eval.models.cache import dtype
from mamtra_eval.models.decoder import Decoder

PASSES = 3


class Bench:
    """What every part needs: the command line, the device, and where lines go."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.device = torch.device(given.device)
        self.cuda = self.device.type == "cuda"
        self.dtype = dtype(given.dtype)
        self.steps = 4 if given.quick else 48
        self._path: Path | None = given.output
        if self._path is None and self.cuda:
            label = re.sub(r"\W+", "-", torch.cuda.get_device_name()).strip("-").lower()
            self._path = Path(__file__).parent / "results" / f"gpu-decoding-{label}.txt"
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("", encoding="utf-8")

    def say(self, line: str) -> None:
        """Print a line and keep it at once, so that a crash later costs nothing."""
        print(line, flush=True)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")

    def attempt(self, what: str, work: Callable[[], str]) -> None:
        """Say what ``work`` tells, or that and why it failed."""
        try:
            told = work()
        except Exception as failure:  # one line's failure must not cost the others
            told = f"failed: {type(failure).__name__}: {' '.join(str(failure).split())[:300]}"
        self.say(f"  {what:<46} {told}")
        if self.cuda:
            torch.cuda.empty_cache()

    def seconds(self, work: Callable[[], object], repeats: int) -> float:
        """Of one call: median of a few passes of ``repeats`` calls, the device waited for."""
        work()
        found = []
        for _ in range(PASSES):
            self.wait()
            start = time.perf_counter()
            for _ in range(repeats):
                work()
            self.wait()
            found.append((time.perf_counter() - start) / repeats)
        return statistics.median(found)

    def wait(self) -> None:
        """Until the device has done everything."""
        if self.cuda:
            torch.cuda.synchronize()

    def decoder(self, ratio: str, of: torch.dtype | None = None) -> Decoder:
        """A decoder on the device."""
        return build(shape(self.given.size, ratio), self.device, of or self.dtype)
