"""Times of decoders, side by side: a pass over the context, and a step at it.

All decoders are in memory at once and visited in turn (``meter``). A cell is a context and a number
of streams; its rows are ``time.prefill`` (seconds a pass, one stream) and ``time.step`` (seconds a
step of all streams together), the latter for each workload and engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch

from mamtra_eval.models import cost
from mamtra_eval.models.cache import dtype
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.profiling import memory, meter
from mamtra_eval.profiling.meter import Clock, Rules, Task
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow
from mamtra_eval.profiling.workloads import FIXED, REPLAY, Bench

SAMPLES_KEPT = 200
"""Samples that a row keeps, evenly over the time."""

ROOM = 0.8
"""Share of the free memory that caches of a cell may take."""


@dataclass(frozen=True)
class Timing:
    """How to time.

    Attributes:
        device: ``cpu`` or ``cuda``.
        kv, state: names of the caches' element types.
        steps: steps of a visit.
        workloads: of ``replay``, ``fixed``.
        graphs: CUDA graphs beside eager steps, in the workload ``fixed``.
        rules: when a task was visited enough.
        longest_prefill: tokens of the longest pass, all streams together; ``None``: no bound.
    """

    device: str = "cpu"
    kv: str = "fp32"
    state: str = "fp32"
    steps: int = 16
    workloads: tuple[str, ...] = (REPLAY, FIXED)
    graphs: bool = False
    rules: Rules = field(default_factory=Rules)
    longest_prefill: int | None = None

    def engines(self, workload: str) -> tuple[str, ...]:
        """``eager``, and ``graph`` where graphs can be replayed."""
        return ("eager", "graph") if self.graphs and workload == FIXED else ("eager",)

    def reads(self, context: int, streams: int) -> bool:
        """Whether a pass over so much is made."""
        return self.longest_prefill is None or context * streams <= self.longest_prefill


def wanted(timing: Timing, context: int, streams: int) -> list[tuple[str, str, str]]:
    """(quantity, workload, engine) of a cell."""
    steps = [("time.step", workload, engine) for workload in timing.workloads
             for engine in timing.engines(workload)]  # fmt: skip
    return [*([("time.prefill", REPLAY, "eager")] if streams == 1 else []), *steps]


def cell(
    decoders: Mapping[str, Decoder],
    context: int,
    streams: int,
    timing: Timing,
    session: str,
    clock: Clock = time.perf_counter,
) -> Iterator[ProfileRow]:
    """Rows of one cell; rows with an error where there is no room for its caches."""
    keys = {name: ProfileKey(session, name, "", "", context, streams) for name in decoders}
    try:
        _refuse_crowding(decoders, context, streams, timing)
        benches = {
            name: Bench(decoder, context, streams, timing.steps,
                        kv_dtype=dtype(timing.kv), state_dtype=dtype(timing.state))
            for name, decoder in decoders.items()
        }  # fmt: skip
        for quantity, workload, engine in wanted(timing, context, streams):
            full = {name: replace(key, quantity=quantity, workload=workload, engine=engine)
                    for name, key in keys.items()}  # fmt: skip
            yield from _timed(benches, full, quantity, workload, engine, timing, clock)
    except (MemoryError, torch.OutOfMemoryError) as error:
        reason = " ".join(str(error).split()) or "out of memory"
        for quantity, workload, engine in wanted(timing, context, streams):
            for key in keys.values():
                about = replace(key, quantity=quantity, workload=workload, engine=engine)
                yield ProfileRow(about, "s", MEASURED, None, n=0, error=reason)


def _timed(
    benches: Mapping[str, Bench],
    keys: Mapping[str, ProfileKey],
    quantity: str,
    workload: str,
    engine: str,
    timing: Timing,
    clock: Clock,
) -> Iterator[ProfileRow]:
    if quantity == "time.prefill":
        bench = next(iter(benches.values()))
        if not timing.reads(bench.context, bench.streams):
            bound = f"a pass over {bench.context:,} tokens is beyond --longest-prefill"
            for key in keys.values():
                yield ProfileRow(key, "s", MEASURED, None, n=0, error=f"not run: {bound}")
            return
        tasks: dict[str, Task] = {name: bench.prefill for name, bench in benches.items()}
        detail = {}
    else:
        for bench in benches.values():
            bench.fill()
        tasks = {name: _task(bench, workload, engine) for name, bench in benches.items()}
        detail = {"steps": next(iter(benches.values())).steps}
    found = meter.measure(tasks, timing.rules, clock, _waiting(timing.device))
    for name, samples in found.items():
        yield timed_row(keys[name], samples, timing.rules, detail)


def timed_row(
    key: ProfileKey, samples: list[float], rules: Rules, detail: Mapping[str, object]
) -> ProfileRow:
    """A row of seconds from its samples."""
    summary = meter.summarize(samples, rules.spread)
    stride = -(-len(samples) // SAMPLES_KEPT)
    kept = {"samples": samples[::stride], **summary.percentiles, **detail}
    return ProfileRow(
        key, "s", MEASURED, summary.median, n=summary.n, low=summary.q25, high=summary.q75,
        notes=(summary.unstable,) if summary.unstable else (), detail=kept,
    )  # fmt: skip


def _task(bench: Bench, workload: str, engine: str) -> Task:
    return bench.replay() if workload == REPLAY else bench.fixed(graphs=engine == "graph")


def _waiting(device: str) -> Callable[[], None] | None:
    if not device.startswith("cuda"):
        return None
    return lambda: torch.cuda.synchronize(device)


def _refuse_crowding(
    decoders: Mapping[str, Decoder], context: int, streams: int, timing: Timing
) -> None:
    """MemoryError where the caches of all decoders have no room; the kernel would kill instead."""
    kv, state = (cost.element_bytes(name) for name in (timing.kv, timing.state))
    needed = streams * sum(
        cost.kv_bytes(decoder.config, context, kv) + cost.state_bytes(decoder.config, state)
        for decoder in decoders.values()
    )
    if timing.device.startswith("cuda"):
        free = torch.cuda.mem_get_info(timing.device)[0]
    else:
        free = memory.available()
    if needed > ROOM * free:
        raise MemoryError(
            f"the caches of {len(decoders)} decoders would take {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free"
        )
