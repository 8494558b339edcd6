"""Times of decoders, side by side: a pass over the context, and a step at it.

All decoders are in memory at once, with caches of all contexts, and every pair of the two is
visited in turn (``meter``): so decoders can be compared, and contexts too, whatever the machine did
meanwhile. Where the caches of all contexts have no room together, contexts are taken in groups.
Rows are ``time.prefill`` (seconds a pass, one stream) and ``time.step`` (seconds a step of all
streams together), the latter for each workload and engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.models import cost
from mamtra_eval.models.cache import dtype
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.profiling import memory, meter
from mamtra_eval.profiling.meter import Clock, Rules, Task
from mamtra_eval.profiling.rows import FIXED, MEASURED, REPLAY, ProfileKey, ProfileRow
from mamtra_eval.profiling.workloads import Bench

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

    def __post_init__(self) -> None:
        for name in self.workloads:
            if name not in (REPLAY, FIXED):
                error = unknown_name("workload", name, (REPLAY, FIXED))
                error.fix = f"{error.fix} Natural lengths are the part speech, of systems."
                raise error
        if self.longest_prefill is not None and self.longest_prefill < 0:
            raise UserError(f"longest_prefill must be at least 0, not {self.longest_prefill}")

    def engines(self, workload: str) -> tuple[str, ...]:
        """``eager``, and ``graph`` where graphs can be replayed."""
        return ("eager", "graph") if self.graphs and workload == FIXED else ("eager",)

    def reads(self, context: int, streams: int) -> bool:
        """Whether a pass over so much is made."""
        return self.longest_prefill is None or context * streams <= self.longest_prefill


class Place(NamedTuple):
    """Which of a cell's rows."""

    quantity: str
    workload: str
    engine: str


def wanted(timing: Timing, streams: int) -> list[Place]:
    """What a cell has rows of."""
    steps = [
        Place("time.step", workload, engine)
        for workload in timing.workloads
        for engine in timing.engines(workload)
    ]
    return [*([Place("time.prefill", REPLAY, "eager")] if streams == 1 else []), *steps]


def groups(
    decoders: Mapping[str, Decoder], contexts: Sequence[int], streams: int, timing: Timing
) -> list[list[int]]:
    """Contexts whose caches have room together, ascending; one without any room stands alone."""
    there = free(timing.device)
    found: list[list[int]] = []
    taken = 0.0
    for context in sorted(contexts):
        needed = _caches(decoders, context, streams, timing)
        if not found or taken + needed > ROOM * there:
            found.append([])
            taken = 0.0
        found[-1].append(context)
        taken += needed
    return found


def measure(
    decoders: Mapping[str, Decoder],
    contexts: Sequence[int],
    streams: int,
    place: Place,
    timing: Timing,
    session: str,
    clock: Clock = time.perf_counter,
) -> Iterator[ProfileRow]:
    """Rows of one quantity at a group of contexts; with an error where its caches have no room."""
    try:
        _refuse_crowding(decoders, contexts, streams, timing)
        benches = {
            _key(session, name, context, streams, place): Bench(
                decoder, context, streams, timing.steps,
                kv_dtype=dtype(timing.kv), state_dtype=dtype(timing.state),
            )
            for context in contexts
            for name, decoder in decoders.items()
        }  # fmt: skip
        with _current(timing.device):
            yield from _timed(benches, timing, clock)
    except (MemoryError, torch.OutOfMemoryError) as error:
        reason = " ".join(str(error).split()) or "out of memory"
        yield from absent(decoders, contexts, streams, place, session, reason)


def absent(
    names: Iterable[str],
    contexts: Sequence[int],
    streams: int,
    place: Place,
    session: str,
    reason: str,
) -> Iterator[ProfileRow]:
    """Rows of times that were not taken, and why."""
    for context in contexts:
        for name in names:
            yield _absent(_key(session, name, context, streams, place), reason)


def _timed(
    benches: Mapping[ProfileKey, Bench], timing: Timing, clock: Clock
) -> Iterator[ProfileRow]:
    """Rows of all decoders and contexts, visited in turn."""
    tasks: dict[ProfileKey, Task] = {}
    details: dict[ProfileKey, dict[str, object]] = {}
    for key, bench in benches.items():
        if key.quantity == "time.step":
            bench.fill()
            tasks[key] = _task(bench, key)
            details[key] = {"steps": bench.steps}
        else:
            tasks[key] = bench.prefill
    found = meter.measure(tasks, timing.rules, clock, _waiting(timing.device))
    for key, samples in found.items():
        yield timed_row(key, samples, timing.rules, details.get(key, {}))


def timed_row(
    key: ProfileKey, samples: list[float], rules: Rules, detail: Mapping[str, object]
) -> ProfileRow:
    """A row of seconds from its samples."""
    summary = meter.summarize(samples, rules.spread)
    stride = -(-len(samples) // SAMPLES_KEPT)
    kept = {"samples": samples[::stride], **summary.percentiles, **detail}
    notes = [summary.unstable] if summary.unstable else []
    if summary.n < rules.runs:
        notes.append(f"ended by its limit of {rules.limit_s:g} s before {rules.runs} visits")
    return ProfileRow(
        key, "s", MEASURED, summary.median, n=summary.n, low=summary.q25, high=summary.q75,
        notes=tuple(notes), detail=kept,
    )  # fmt: skip


def _key(session: str, name: str, context: int, streams: int, place: Place) -> ProfileKey:
    return ProfileKey(
        session, name, place.quantity, "", context, streams, place.workload, place.engine
    )


def _absent(key: ProfileKey, reason: str) -> ProfileRow:
    return ProfileRow(key, "s", MEASURED, None, n=0, error=reason)


def _task(bench: Bench, key: ProfileKey) -> Task:
    if key.workload == REPLAY:
        return bench.replay()
    return bench.fixed(graphs=key.engine == "graph")


def _current(device: str) -> AbstractContextManager[object]:
    """The device as torch's current one: graphs are captured there."""
    return torch.cuda.device(device) if device.startswith("cuda") else nullcontext()


def _waiting(device: str) -> Callable[[], None] | None:
    if not device.startswith("cuda"):
        return None
    return lambda: torch.cuda.synchronize(device)


def _refuse_crowding(
    decoders: Mapping[str, Decoder], contexts: Sequence[int], streams: int, timing: Timing
) -> None:
    """MemoryError where the caches have no room; the kernel would kill the process instead."""
    needed = sum(_caches(decoders, context, streams, timing) for context in contexts)
    there = free(timing.device)
    if needed > ROOM * there:
        raise MemoryError(
            f"the caches of {len(decoders)} decoders would take {needed / 2**30:.1f} GiB, and "
            f"{there / 2**30:.1f} GiB are free"
        )


def _caches(decoders: Mapping[str, Decoder], context: int, streams: int, timing: Timing) -> int:
    """Bytes of the caches of all decoders at one context."""
    kv, state = (cost.element_bytes(name) for name in (timing.kv, timing.state))
    return streams * sum(
        cost.kv_bytes(decoder.config, context, kv) + cost.state_bytes(decoder.config, state)
        for decoder in decoders.values()
    )


def free(device: str) -> int:
    """Memory that can still be taken on a device, bytes."""
    if not device.startswith("cuda"):
        return memory.available()
    # What torch holds and has not given out is free to us.
    spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + spare
