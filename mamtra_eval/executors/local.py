"""Worker processes on this machine, one task at a time each.

A *handler* is made once in every worker by ``factory(*args)`` and then works through batches:
``handler(payloads)`` yields ``(index, result)`` as each is done. Results reach the parent one by
one, so that what is finished is kept whatever happens next.

What a worker can't survive (a crash in native code, out of memory, a hang) costs one payload: the
worker is ended and replaced, what else was in its batch is handed out again alone, and the payload
that was being worked on is reported as lost. A worker says when it is ready and when it has taken
a batch, so that no payload is blamed for a death before it was touched. A worker that can't even
start ends the run, as does a ``UserError``.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, Self

from mamtra_eval.errors import UserError
from mamtra_eval.executors._worker import TAKEN, Handler, Ready, Stop, work


class Settings(Protocol):
    """What a configuration says of the pool."""

    workers: int | None
    timeout_s: float


OnResult = Callable[[Any, Any], None]
OnLost = Callable[[Any, str], None]

MAX_DEFAULT_WORKERS = 16
"""Without a number asked for: each worker holds the models of all metrics in memory."""
MOST_TIMES = 10
"""Times the timeout that a batch gets whose results come together."""
GRACE_S = 2.0
"""What a worker gets to end the programs it has started."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass
class _Worker:
    """One process with what it is working on."""

    process: Any
    connection: Connection
    deadline: float
    ready: bool = False
    taken: bool = False
    times: int = 1
    """How many times the timeout it may be silent."""
    batch: list[Any] = field(default_factory=list)
    pending: set[int] = field(default_factory=set)

    @property
    def idle(self) -> bool:
        """Ready and without work."""
        return self.ready and not self.pending


class LocalExecutor:
    """A pool of spawned processes for one stage of a run."""

    def __init__(self, workers: int | None = None, timeout_s: float = 300.0) -> None:
        self.workers = workers or min(_cores(), MAX_DEFAULT_WORKERS)
        self.timeout_s = timeout_s

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The pool that a run's configuration asks for."""
        return cls(settings.workers, settings.timeout_s)

    def run(
        self,
        factory: Callable[..., Handler],
        args: tuple[Any, ...],
        batches: Iterable[Sequence[Any]],
        on_result: OnResult,
        on_lost: OnLost,
        workers: int | None = None,
        together: bool = False,
    ) -> None:
        """Work through all batches; returns when each payload had a result or was lost.

        Args:
            factory: picklable; makes the handler in the worker.
            args: picklable arguments of ``factory``.
            batches: lists of picklable payloads.
            on_result: called in this process with (payload, result).
            on_lost: called with (payload, reason) where its worker died or hung.
            workers: at most this many processes, instead of the executor's own number.
            together: results of a batch come at its end; it gets the time of several (at most 10).

        Raises:
            UserError: from a worker, or because workers can't start.
        """
        queue = deque(list(batch) for batch in batches)
        count = min(workers or self.workers, len(queue))
        pool: list[_Worker] = []
        with _single_threaded(count):
            try:
                pool.extend(self._start(factory, args) for _ in range(count))
                while queue or any(worker.pending for worker in pool):
                    self._hand_out(pool, queue, together)
                    for worker in self._ready(pool):
                        if not self._receive(worker, on_result):
                            self._bury(worker, queue, on_lost)
                            pool[pool.index(worker)] = self._start(factory, args)
            finally:
                _end(pool)

    def _start(self, factory: Callable[..., Handler], args: tuple[Any, ...]) -> _Worker:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, factory, args), daemon=True)
        # Blocked from its first moment: Ctrl-C reaches the whole group, and is for the parent.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        there.close()
        return _Worker(process, here, time.monotonic() + self.timeout_s)

    def _hand_out(self, pool: list[_Worker], queue: deque[list[Any]], together: bool) -> None:
        for worker in pool:
            if queue and worker.idle:
                worker.batch = queue.popleft()
                worker.pending = set(range(len(worker.batch)))
                worker.taken = False
                worker.times = min(len(worker.batch), MOST_TIMES) if together else 1
                worker.deadline = time.monotonic() + worker.times * self.timeout_s
                with suppress(OSError):  # it died idle: the read that follows finds that out
                    worker.connection.send(worker.batch)

    def _ready(self, pool: list[_Worker]) -> list[_Worker]:
        """Workers with a message, or past their deadline (those are ended first)."""
        watched = [worker for worker in pool if not worker.idle]
        patience = max(0.0, min(worker.deadline for worker in watched) - time.monotonic())
        wait([worker.connection for worker in watched], timeout=patience + 0.01)
        ready = []
        for worker in watched:
            if worker.connection.poll():
                ready.append(worker)
            elif time.monotonic() > worker.deadline:
                _stop([worker])
                ready.append(worker)
        return ready

    def _receive(self, worker: _Worker, on_result: OnResult) -> bool:
        """Take one message; False if the worker is gone."""
        try:
            message = worker.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return False
        worker.deadline = time.monotonic() + worker.times * self.timeout_s
        if isinstance(message, Stop):
            raise message.error
        if isinstance(message, Ready):
            worker.ready = True
        elif message == TAKEN:
            worker.taken = True
        else:
            index, result = message
            worker.pending.discard(index)
            on_result(worker.batch[index], result)
        return True

    def _bury(self, worker: _Worker, queue: deque[list[Any]], on_lost: OnLost) -> None:
        late = time.monotonic() > worker.deadline
        worker.process.join(5)
        reason = _reason(worker.process.exitcode)
        if late:
            reason = f"no result within {worker.times * self.timeout_s:g} s; the worker was ended"
        worker.connection.close()
        if not worker.ready:
            raise UserError(
                f"a worker process did not start: {reason}",
                fix="Workers import the main script: in one of yours, call evaluate() below "
                "`if __name__ == '__main__':`. Else memory or execution.timeout_s may be short.",
            )
        left = [worker.batch[index] for index in sorted(worker.pending)]
        if worker.taken and len(left) == 1:
            on_lost(left[0], reason)
        else:  # which of them did it shows when each is tried alone
            queue.extendleft([payload] for payload in reversed(left))


def _reason(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the worker process died: {name}{hint}"
    return f"the worker process ended with exit code {exitcode}"


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _end(pool: list[_Worker]) -> None:
    """End every worker: an idle one by closing its pipe, a busy one by force."""
    for worker in pool:
        worker.connection.close()
    for worker in pool:
        if worker.idle:
            worker.process.join(GRACE_S)
    _stop([worker for worker in pool if worker.process.is_alive()])


def _stop(workers: list[_Worker]) -> None:
    """Ask workers to end what they have started and themselves; after the grace, end them."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + GRACE_S
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


@contextmanager
def _single_threaded(count: int) -> Iterator[None]:
    """Let workers that share the cores start with one numeric thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    if count > 1:
        os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
