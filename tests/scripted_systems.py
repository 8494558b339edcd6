"""Systems that take the time they are told to, by a clock that only they move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mamtra_eval.audio import Clip
from mamtra_eval.stage_times import stage
from mamtra_eval.systems import Request, System

RATE_HZ = 1000


class FakeClock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def speech(seconds: float, silence: float = 0.0, **more: Any) -> Clip:
    """Full scale after some silence, at 1,000 samples a second."""
    samples = np.ones(round(seconds * RATE_HZ), np.float32)
    samples[: round(silence * RATE_HZ)] = 0
    return Clip(samples, RATE_HZ, **more)


Step = tuple[float, Clip | Exception]
"""Seconds of work, and what comes of it."""


class Scripted(System):
    """Works through the steps that a function gives for each request."""

    def __init__(
        self,
        clock: FakeClock,
        script: Callable[[Request, int], Sequence[Step]],
        log: list[str] | None = None,
        name: str = "",
    ) -> None:
        self.clock, self.script, self.name = clock, script, name
        self.log = [] if log is None else log
        self.calls = 0

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        return {}

    def speak(self, request: Request) -> Clip:
        raise AssertionError("profiles time streams")

    def stream(self, request: Request) -> Iterator[Clip]:
        self.log.append(f"{self.name}{request.utterance}")
        self.calls += 1
        for seconds, made in self.script(request, self.calls - 1):
            with stage("vocoder"):
                self.clock.pass_by(seconds)
            if isinstance(made, Exception):
                raise made
            yield made


class Patient(System):
    """A server with a number of places, which counts who is there; for real threads."""

    concurrent = True

    def __init__(self, work: Callable[[], None], places: int) -> None:
        self._work, self._places = work, threading.Semaphore(places)
        self._lock = threading.Lock()
        self.waiting = 0
        self.seen: list[int] = []

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        return {}

    def speak(self, request: Request) -> Clip:
        with self._lock:
            self.waiting += 1
            self.seen.append(self.waiting)
        with self._places:
            self._work()
        with self._lock:
            self.waiting -= 1
        return speech(0.5)
