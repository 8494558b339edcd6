"""The process of ``anatomy``: loads one subject, goes through its phases, tells a line a phase.

Standard input has the cell, standard output the lines; see ``anatomy.Cell``.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mamtra_eval import processes
from mamtra_eval.errors import UserError
from mamtra_eval.models.cache import dtype
from mamtra_eval.profiling import memory, subjects, tensors
from mamtra_eval.profiling.anatomy import Cell, check_cache
from mamtra_eval.profiling.subjects import Subject
from mamtra_eval.profiling.workloads import Bench

STEPS = 8
"""Steps of the phase decode."""


class Phases:
    """Goes through the phases of a cell and tells what each took."""

    def __init__(self, cell: Cell, tell: Callable[[dict[str, Any]], None]) -> None:
        self._cell, self._tell = cell, tell
        self._meter = memory.meter(cell.device, cell.used_before)
        self._base = self._meter.base()

    def of_decoder(self, subject: Subject) -> None:
        """Weights, a pass, steps."""
        cell, made = self._cell, {}

        def load() -> None:
            made["it"] = subject.decoder(cell.device, dtype(cell.weights))
            if cell.device.startswith("cuda"):
                gc.collect()
                torch.cuda.empty_cache()  # what loading alone took is no part of what is held

        peak = self._read(load)
        decoder = made["it"]
        weights = tensors.weights(decoder)
        held = {"weights": sum(weights.values())}
        self._report("loaded", peak, held, 0, weights)
        bench = Bench(
            decoder, cell.context, cell.streams, STEPS,
            kv_dtype=dtype(cell.kv), state_dtype=dtype(cell.state),
        )  # fmt: skip
        caches = tensors.cache(bench.cache)
        check_cache(decoder.config, caches, cell)
        held |= {part: caches[part] for part in (tensors.KV, tensors.SSM, tensors.CONV)}
        works = {"prefill": _silent(bench.prefill), "decode": _silent(bench.replay())}
        if not cell.prefill:
            del works["prefill"]
            bench.fill()
        # All peaks before the first trace, which takes memory of its own.
        peaks: dict[str, dict[str, Any]] = {}
        for phase, work in works.items():
            if (found := self._read_or_tell(phase, work)) is not None:
                peaks[phase] = found
            elif phase == "prefill":
                bench.fill()  # decoding may fit where the pass does not
        for phase, peak in peaks.items():
            traced = self._meter.traced(works[phase])
            self._report(phase, peak, held, traced, weights)

    def of_system(self, subject: Subject) -> None:
        """What it holds once loaded, and while it speaks."""
        from mamtra_eval.systems import Request

        cell, system = self._cell, subject.system()
        prompt = Path(cell.prompt_audio) if cell.prompt_audio else None
        request = Request("anatomy", cell.text, cell.prompt_text, prompt)
        peak = self._read(system.prepare)
        self._report("loaded", peak, *self._held(system))
        speak = _silent(lambda: system.speak(request))
        peak = self._read(speak)
        held, _, parts = self._held(system)
        self._report("speaking", peak, held, self._meter.traced(speak), parts)
        system.close()

    def _read(self, work: Callable[[], None]) -> dict[str, Any]:
        """A phase's peaks, with when it began and ended."""
        began = time.time()  # as the driver tells it
        peak = self._meter.phase(work)
        return {"peak": peak, "began": began, "ended": time.time()}

    def _read_or_tell(self, phase: str, work: Callable[[], None]) -> dict[str, Any] | None:
        """A phase's peaks; ``None``, and a word of it, where memory ran out."""
        reason = ""
        try:
            return self._read(work)
        except torch.OutOfMemoryError as error:
            reason = " ".join(str(error).split())
        # Out here the error no longer holds on to what the phase had made.
        gc.collect()
        torch.cuda.empty_cache()
        self._tell({"phase": phase, "out_of_memory": reason})
        return None

    @staticmethod
    def _held(system: object) -> tuple[dict[str, int], int, dict[str, int]]:
        """Bytes of all tensors that a system holds, none allocated beside them, and by part."""
        parts = tensors.by_part(
            {name.strip("_"): [*tensors.tensors_in(value)] for name, value in vars(system).items()}
        )
        found = {name: size for name, size in parts.items() if size}
        return {"weights": sum(found.values())}, 0, found

    def _report(
        self,
        phase: str,
        read: dict[str, Any],
        held: dict[str, int],
        traced: int | None,
        weights: dict[str, int],
    ) -> None:
        floor = "context" if "context" in self._base else "base"
        activations = (
            traced if traced is not None else read["peak"]["allocated"] - sum(held.values())
        )
        parts = {floor: self._base["total"], **held, "activations": activations}
        self._tell({"phase": phase, **read, "parts": parts, "weights": weights})


def _silent(work: Callable[[], object]) -> Callable[[], None]:
    def done() -> None:
        work()

    return done


def main() -> None:
    """Read a cell, tell its phases."""
    processes.die_with_parent()
    told = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is not ours

    def tell(message: dict[str, Any]) -> None:
        told.write(f"{json.dumps(message)}\n")
        told.flush()

    cell = Cell(**json.loads(sys.stdin.read()))
    try:
        subject = subjects.parse(cell.name, cell.target)  # first: what it imports is no part of it
        phases = Phases(cell, tell)
        with torch.inference_mode():
            if cell.context:
                phases.of_decoder(subject)
            else:
                phases.of_system(subject)
    except UserError as error:
        tell({"user_error": str(error)})
    except torch.OutOfMemoryError as error:
        tell({"out_of_memory": " ".join(str(error).split())})


if __name__ == "__main__":
    main()
