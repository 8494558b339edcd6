"""Worker processes on this machine, one task at a time each; the default.

A *handler* is made once in every worker by ``factory(*args)`` and then works through batches:
``handler(payloads)`` yields ``(index, result)`` as each is done. Results reach the parent one by
one, so that what is finished is kept whatever happens next.

What a worker can't survive (a crash in native code, out of memory, a hang) costs one payload
(``_work``): the worker is ended and replaced, and the payload that it was working on is tried again
before it is reported as lost. A worker says when it is ready and when it has taken a batch, so that
no payload is blamed for a death before it was touched. Several in a row that can't even start end
the run, as does a ``UserError``.

What computes on a GPU gets one worker a device, each of which sees its own device alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Protocol, Self

from mamtra_eval import devices
from mamtra_eval.errors import UserError
from mamtra_eval.executors._hand import Gone, Hand, end, variables
from mamtra_eval.executors._work import NO_NEED, Batch, Need, OnLost, OnResult, Work
from mamtra_eval.executors._worker import Handler


class Settings(Protocol):
    """What a configuration says of the pool."""

    workers: int | None
    timeout_s: float
    tries: int
    give_up: int


MOST_STARTS = 3
"""Failures to start in a row that end a run, for each of its workers."""
MAX_DEFAULT_WORKERS = 16
"""Without a number asked for: each worker holds the models of all metrics in memory."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class _Worker:
    """One process with what it is working on, and the device that it has to itself."""

    hand: Hand
    device: str | None
    batch: Batch | None = None

    @property
    def idle(self) -> bool:
        """Ready and without work."""
        return self.hand.ready and self.batch is None


class LocalExecutor:
    """A pool of spawned processes for one stage of a run."""

    distributed = False
    """Whether clips are made on several machines at once."""

    def __init__(
        self,
        workers: int | None = None,
        timeout_s: float = 300.0,
        tries: int = 2,
        give_up: int = 10,
    ) -> None:
        self.workers = workers or min(_cores(), MAX_DEFAULT_WORKERS)
        self.timeout_s, self.tries, self.give_up = timeout_s, tries, give_up

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The pool that a run's configuration asks for."""
        return cls(settings.workers, settings.timeout_s, settings.tries, settings.give_up)

    def on_gpu(self, device: str | None) -> bool:
        """Whether a network that goes to this device (or to any) computes on a GPU here."""
        return devices.choose(device).startswith("cuda")

    def run(
        self,
        factory: Callable[..., Handler],
        args: tuple[Any, ...],
        batches: Iterable[Sequence[Any]],
        on_result: OnResult,
        on_lost: OnLost,
        need: Need = NO_NEED,
        together: bool = False,
    ) -> None:
        """Work through all batches; returns when each payload had a result or was lost.

        Args:
            factory: picklable; makes the handler in the worker.
            args: picklable arguments of ``factory``.
            batches: lists of picklable payloads.
            on_result: called in this process with (payload, result).
            on_lost: called with (payload, reason) where its workers died or hung.
            need: of the workers.
            together: results of a batch come at its end; it gets the time of several (at most 10).

        Raises:
            UserError: from a worker, or because workers can't start.
        """
        work = Work(batches, on_result, on_lost, self.tries, self.give_up)
        places = self._places(need)[: work.left]

        def start(device: str | None) -> _Worker:
            own = {} if device is None else {devices.VISIBLE: device}
            return _Worker(Hand(factory, args, self.timeout_s, own), device)

        pool: list[_Worker] = []
        starts = Starts(len(places))
        with _single_threaded(len(places)):
            try:
                pool.extend(start(device) for device in places)
                while work.left:
                    _hand_out(pool, work, together)
                    for worker in _heard(pool):
                        if not _receive(worker, work, starts):
                            pool[pool.index(worker)] = start(worker.device)
            finally:
                idle = [worker.hand for worker in pool if worker.idle]
                end(idle, [worker.hand for worker in pool if not worker.idle])

    def _places(self, need: Need) -> list[str | None]:
        """The device of each worker; none for one that sees what this process sees."""
        workers = min(need.workers or self.workers, self.workers)
        visible = devices.visible() if need.per_device else []
        if len(visible) < 2:
            return [None] * workers
        return [device for _ in range(workers) for device in visible]


def _hand_out(pool: list[_Worker], work: Work, together: bool) -> None:
    for worker in pool:
        if worker.idle and (batch := work.take()) is not None:
            worker.batch = batch
            worker.hand.give(batch.payloads, together)


def _heard(pool: list[_Worker]) -> list[_Worker]:
    """Workers that have something to say, or should have had it by now."""
    watched = [worker for worker in pool if not worker.idle]
    patience = min((worker.hand.patience_s() for worker in watched), default=0.0)
    wait([worker.hand.connection for worker in watched], timeout=patience + 0.01)
    return [one for one in watched if one.hand.hears() or one.hand.patience_s() <= 0]


def _receive(worker: _Worker, work: Work, starts: Starts) -> bool:
    """Take one message; False if the worker is gone, with what becomes of its batch settled."""
    batch = worker.batch
    try:
        message = worker.hand.read()
    except Gone as gone:
        worker.hand.leave()
        if not worker.hand.ready:
            starts.failed(str(gone))
        if batch is not None:
            work.fell(batch, str(gone)) if worker.hand.taken else work.untouched(batch)
        return False
    if worker.hand.ready:
        starts.succeeded()
    if message is not None and batch is not None:
        work.done(batch, *message)
        if not batch.pending:
            worker.batch = None
    return True


class Starts:
    """Workers that were gone before they could do anything.

    One may have been killed by somebody, or by the kernel for want of memory; where one after the
    other goes, none is going to start.
    """

    def __init__(self, workers: int = 1) -> None:
        self._most = MOST_STARTS * workers  # whatever kills one may kill all that start with it
        self._in_a_row = 0

    def succeeded(self) -> None:
        """One has started."""
        self._in_a_row = 0

    def failed(self, reason: str) -> None:
        """One has not; UserError for the last of too many in a row."""
        self._in_a_row += 1
        if self._in_a_row >= self._most:
            raise UserError(
                f"a worker process did not start: {reason}",
                fix="Workers import the main script: in one of yours, call evaluate() below "
                "`if __name__ == '__main__':`. Else memory or execution.timeout_s may be short.",
            )


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _single_threaded(count: int) -> Iterator[None]:
    """Let workers that share the cores start with one numeric thread each."""
    with variables(dict.fromkeys(_THREADS, "1") if count > 1 else {}):
        yield
