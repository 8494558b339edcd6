"""The workers of ``load``: slots that never rest, and places that take scheduled requests."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mamtra_eval.errors import describe
from mamtra_eval.profiling import spoken
from mamtra_eval.profiling.meter import Clock
from mamtra_eval.profiling.rows import CLOSED, OPEN
from mamtra_eval.profiling.spoken import Measured, Spoken
from mamtra_eval.systems import Request, System

LATE_S = 0.01
"""A request that is sent so much after its time was held up by the bound of those under way."""


@dataclass
class Load:
    """What a system did under load.

    Attributes:
        kind: ``closed`` or ``open``.
        streams: workers of a closed loop; bound of requests under way of an open one.
        measured: the requests that counted; its wall time is the time that counted.
        arrived_s: seconds of audio that arrived in that time, of whatever request.
        rate: requests a second as scheduled; of an open loop.
        late: requests that were sent late, for the bound was reached.
    """

    kind: str
    streams: int
    measured: Measured = field(default_factory=Measured)
    arrived_s: float = 0.0
    rate: float | None = None
    late: int = 0

    @property
    def throughput(self) -> float:
        """Seconds of audio a second."""
        return self.arrived_s / self.measured.wall_s


class ClosedLoop:
    """What the workers share."""

    def __init__(
        self,
        system: System,
        requests: Sequence[Request],
        streams: int,
        seconds: float,
        clock: Clock,
        warm_up: int,
    ) -> None:
        self._system, self._clock, self._seconds = system, clock, seconds
        self._next = itertools.cycle(requests)
        self._streams, self._warm_up = streams, warm_up
        self._lock = threading.Lock()
        self._warm = 0
        self._opened: float | None = None
        self._counting = 0
        self._all: list[tuple[bool, Spoken | str]] = []
        self._stopped = False

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True

    def work(self) -> None:
        """One slot, from its warm-up to the end of the last request that counts."""
        for turn in itertools.count():
            counts = self._begin()
            if counts is None:
                return
            request = self._next_request()
            made = _attempt(self._system, request, self._clock, visit=turn)
            self._end(counts, made, turn)

    def result(self) -> Load:
        """After the workers have ended."""
        load = Load(CLOSED, self._streams)
        opened = self._opened if self._opened is not None else 0.0
        closed = opened + self._seconds
        load.measured.wall_s = self._seconds
        for counts, made in self._all:
            if counts:
                _keep(load.measured, made)
            if isinstance(made, Spoken):
                load.arrived_s += _arrived(made, opened, closed)
        return load

    def _next_request(self) -> Request:
        with self._lock:
            return next(self._next)

    def _begin(self) -> bool | None:
        """Whether the next request counts; ``None`` at the end."""
        with self._lock:
            if self._stopped:
                return None
            if self._opened is None:
                return False
            if self._clock() < self._opened + self._seconds:
                self._counting += 1
                return True
            return False if self._counting else None

    def _end(self, counts: bool, made: Spoken | str, turn: int) -> None:
        with self._lock:
            self._all.append((counts, made))
            self._counting -= counts
            self._warm += turn == self._warm_up - 1
            if self._opened is None and self._warm == self._streams:
                self._opened = self._clock()


class OpenLoop:
    """Workers that take scheduled requests in their order: a queue with that many servers.

    Who is free takes the next one and waits for its time; where nobody is free, it is sent late,
    and its latency still counts from its time.
    """

    def __init__(
        self,
        system: System,
        requests: Sequence[Request],
        times: Sequence[float],
        counts_from: float,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._system, self._clock, self._sleep = system, clock, sleep
        self._due = iter(list(zip(itertools.count(), times, itertools.cycle(requests))))
        self._counts_from = counts_from
        self._lock = threading.Lock()
        self._stopped = False
        self._all: list[tuple[float, Spoken | str, bool]] = []
        self._started = clock()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True

    def work(self) -> None:
        """One of the places under way."""
        while True:
            with self._lock:
                due = next(self._due, None)
            if due is None or self._stopped:
                return
            index, offset, request = due
            at = self._started + offset
            while (wait := at - self._clock()) > 0:
                self._sleep(wait)
            late = self._clock() - at > LATE_S
            made = _attempt(self._system, request, self._clock, visit=index, requested_s=at)
            with self._lock:
                self._all.append((offset, made, late))

    def result(self, bound: int, rate: float, seconds: float) -> Load:
        """After the workers have ended: from the start of counting to the last answer."""
        load = Load(OPEN, bound, rate=rate)
        opened = self._started + self._counts_from
        ended = opened + seconds
        for offset, made, late in self._all:
            if offset >= self._counts_from:
                _keep(load.measured, made)
                load.late += late
                if isinstance(made, Spoken):
                    ended = max(ended, made.answer.arrivals[-1].time_s)
        load.measured.wall_s = ended - opened
        load.arrived_s = sum(
            _arrived(made, opened, ended) for _, made, _ in self._all if isinstance(made, Spoken)
        )
        return load


def poisson(rate_per_s: float, seconds: float, seed: int) -> list[float]:
    """Times of a Poisson process of this rate, from 0 up to ``seconds``."""
    dice = random.Random(seed)  # noqa: S311 -- a schedule, no secret
    times, at = [], dice.expovariate(rate_per_s)
    while at < seconds:
        times.append(at)
        at += dice.expovariate(rate_per_s)
    return times


def run(works: Sequence[Callable[[], None]], stop: Callable[[], None]) -> None:
    """Run workers to their end; an error of theirs, or an interrupt, ends all."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
            stop()

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop()
    if errors:
        raise errors[0]


def _attempt(
    system: System,
    request: Request,
    clock: Clock,
    *,
    visit: int,
    requested_s: float | None = None,
) -> Spoken | str:
    """What was spoken, or why it was not."""
    try:
        return spoken.listen(system, request, clock, visit=visit, requested_s=requested_s)
    except Exception as error:  # a failure is a row, never the run's end
        return describe(error)


def _keep(measured: Measured, made: Spoken | str) -> None:
    if isinstance(made, Spoken):
        measured.spoken.append(made)
    else:
        measured.failures.append(made)


def _arrived(one: Spoken, opened: float, closed: float) -> float:
    """Seconds of its audio that arrived after one time and by another."""
    return sum(piece.duration_s for piece in one.answer.arrivals if opened < piece.time_s <= closed)
