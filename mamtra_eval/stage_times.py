"""Where the time of a clip goes: a probe that systems put around their stages.

A system writes ``with stage("vocoder"): …`` around what it does. While somebody collects, the
seconds are added up by name; otherwise it does nothing and costs a fraction of a microsecond::

    with collecting() as collector:
        clip = system.speak(request)
    collector.seconds  # {"front_end": 0.01, "prefill": 0.02, "decode": 1.3, "vocoder": 0.2}

Stages do not nest: within a stage another one is not noticed, its time belongs to the outer one,
so that the stages of a clip never add up to more than the clip. A thread has a collector of its
own: what a system does in other threads is not seen. A stage must not stay open over a ``yield``:
the time of whoever takes the chunk would be counted.

Names in use: ``front_end`` (text to input ids, voice of the prompt), ``prefill`` (up to the first
speech token), ``decode`` (the speech tokens after it), ``decoder`` (both, where they are not told
apart), ``vocoder`` (speech tokens to samples).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar


class Collector:
    """Seconds by stage.

    Attributes:
        seconds: by stage, added up over all of its visits.
    """

    def __init__(
        self, clock: Callable[[], float], synchronize: Callable[[], None] | None = None
    ) -> None:
        self.seconds: dict[str, float] = {}
        self._clock, self._synchronize = clock, synchronize
        self._open = False

    def enter(self) -> float | None:
        """The time at which a stage begins; ``None`` within another one."""
        if self._open:
            return None
        self._open = True
        return self._now()

    def leave(self, name: str, started: float | None) -> None:
        """Add what has passed since ``started``."""
        if started is not None:
            self.seconds[name] = self.seconds.get(name, 0.0) + self._now() - started
            self._open = False

    @property
    def synchronizes(self) -> bool:
        """Whether a device is waited for at both ends of a stage."""
        return self._synchronize is not None

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what another process has collected; nothing within a stage, which holds that time."""
        if not self._open:
            for name, value in seconds.items():
                self.seconds[name] = self.seconds.get(name, 0.0) + value

    def _now(self) -> float:
        if self._synchronize is not None:
            self._synchronize()
        return self._clock()


_active: ContextVar[Collector | None] = ContextVar("stage_times", default=None)


def active() -> Collector | None:
    """The collector of this thread, if somebody collects."""
    return _active.get()


class stage:  # noqa: N801 -- reads as a statement: with stage("vocoder")
    """A stretch of work that belongs to one stage; also counted if it ends in an error."""

    __slots__ = ("_collector", "_name", "_started")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._collector = _active.get()
        if self._collector is not None:
            self._started = self._collector.enter()

    def __exit__(self, *error: object) -> None:
        if self._collector is not None:
            self._collector.leave(self._name, self._started)


@contextmanager
def collecting(
    clock: Callable[[], float] = time.perf_counter,
    synchronize: Callable[[], None] | None = None,
) -> Iterator[Collector]:
    """Collect the stages of this thread while the block runs.

    Args:
        clock: seconds from any fixed point.
        synchronize: waits for a device's work; called at both ends of a stage, before the clock is
            read. Waiting costs time of its own, so that the total is better taken in a run without.
    """
    collector = Collector(clock, synchronize)
    token = _active.set(collector)
    try:
        yield collector
    finally:
        _active.reset(token)
