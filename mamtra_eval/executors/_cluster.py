"""A Ray cluster, as far as we need it: join it, see its machines, hold actors on them."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.executors._actor import Actor, Failed, Fell, Job, Result
from mamtra_eval.executors._work import Batch
from mamtra_eval.extras import import_extra

WHAT = ("the executor ray", "ray", "ray")
"""What needs which package, by which extra."""
AHEAD = 16
"""Results of an actor that may wait for the driver, before the actor waits for it."""
KNOCK_S = 10.0
CLOSE_S = 3.0
"""What an actor gets to end its worker process in good order."""


@dataclass(frozen=True)
class Machine:
    """A node of the cluster that is alive."""

    id: str
    name: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Unfit:
    """The machine can't do this work."""

    why: str


@dataclass(frozen=True)
class Lost:
    """The actor is gone, with its machine or without."""

    why: str


@dataclass(frozen=True)
class Ended:
    """The actor has nothing more to say about its batch."""


Event = Result | Fell | Failed | Unfit | Lost | Ended | None


def join(address: str | None) -> None:
    """Connect this process to a cluster that is there; UserError if none answers."""
    ray = _ray()
    if ray.is_initialized():
        return
    where = address or os.environ.get("RAY_ADDRESS") or "auto"
    try:
        _knock(where)
        ray.init(
            address=where, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True,
            namespace="mamtra-eval", runtime_env={"env_vars": _passed_on(os.environ)},
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise UserError(
            f"no Ray cluster answers ({first})",
            where=where,
            fix="Start one with ray start --head, and the other machines with ray start "
            "--address HOST:6379, with the Ray and Python of this environment.",
        ) from error


def _knock(where: str) -> None:
    """OSError if nobody is at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = where.rpartition(":")
    if where.startswith("ray://"):
        raise ValueError("a Ray Client address; give the cluster's own, HOST:6379")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()


def machines() -> list[Machine]:
    """Those that are alive."""
    return [
        Machine(
            node["NodeID"],
            str(node["NodeManagerHostname"]),
            float(node["Resources"].get("CPU", 0)),
            float(node["Resources"].get("GPU", 0)),
        )
        for node in _ray().nodes()
        if node["Alive"]
    ]


class Member:
    """An actor on a machine, with what it is working on."""

    def __init__(self, job: Job, machine: Machine, cpus: float, gpus: float) -> None:
        self.machine = machine
        self.ready = False
        self.batch: Batch | None = None
        self._stream: Any = None
        self._deadline = float("inf")
        self._silence_s = 0.0
        strategies = import_extra("ray.util.scheduling_strategies", *WHAT)
        place = strategies.NodeAffinitySchedulingStrategy(machine.id, soft=False)
        made = _ray().remote(Actor).options(
            num_cpus=cpus, num_gpus=gpus, max_restarts=0, scheduling_strategy=place
        )  # fmt: skip
        self._actor = made.remote(job)
        self._prepared = self._actor.prepare.remote()

    @property
    def idle(self) -> bool:
        """Ready and without work."""
        return self.ready and self.batch is None

    @property
    def watched(self) -> Any:  # noqa: ANN401 -- what ray.wait takes
        """What the next word comes from."""
        return self._stream if self.ready else self._prepared

    @property
    def late(self) -> bool:
        """Whether it has been silent for longer than its worker process may be."""
        return time.monotonic() > self._deadline

    def give(self, batch: Batch, together: bool, silence_s: float) -> None:
        """Hand over a batch; it may be silent so long (a batch's results may come together)."""
        self.batch = batch
        self._silence_s = silence_s * (len(batch.payloads) if together else 1)
        self._deadline = time.monotonic() + self._silence_s
        self._stream = self._actor.work.options(
            num_returns="streaming", _generator_backpressure_num_objects=AHEAD
        ).remote(batch.payloads, together)

    def hear(self) -> Event:
        """Its next word; ``None`` for one that it is ready."""
        ray = _ray()
        try:
            if self.late and not is_ready(self.watched):
                return Lost(f"nothing heard of it for {self._silence_s:g} s")
            if not self.ready:
                wrong = ray.get(self._prepared)
                self.ready = wrong is None
                return Unfit(wrong) if wrong else None
            event: Event = ray.get(next(self._stream))
        except StopIteration:
            return Ended()
        except ray.exceptions.RayError as error:
            return Lost(f"its machine {self.machine.name} is gone ({type(error).__name__})")
        self._deadline = time.monotonic() + self._silence_s
        return event

    def close(self) -> None:
        """End it with its worker process, in good order where it is idle."""
        if self.idle:
            with suppress(_ray().exceptions.RayError):
                _ray().get(self._actor.close.remote(), timeout=CLOSE_S)
        self.kill()

    def kill(self) -> None:
        """End it at once; its worker process ends with it."""
        with suppress(Exception):  # it may be gone already, in ways that differ by version
            _ray().kill(self._actor)


def heard(members: Sequence[Member], within_s: float) -> list[Member]:
    """Members of which there is a word, after waiting for the first; and those that are late."""
    by_stream = {member.watched: member for member in members if not member.idle}
    if not by_stream:
        time.sleep(within_s / 10)
        return []
    ready, _ = _ray().wait([*by_stream], num_returns=len(by_stream), timeout=0.0, fetch_local=False)
    if not ready:
        ready, _ = _ray().wait([*by_stream], num_returns=1, timeout=within_s, fetch_local=False)
    late = [member for member in members if member.late and not member.idle]
    found = [by_stream[one] for one in ready]
    return found + [member for member in late if member not in found]


def is_ready(stream: Any) -> bool:  # noqa: ANN401 -- what ray.wait takes
    """Whether there is a word of it."""
    return bool(_ray().wait([stream], timeout=0.0)[0])


def _passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Where our files lie. Nothing else, a key say: a cluster's dashboard shows it to anyone."""
    names = ("MAMTRA_EVAL_ENVS", "MAMTRA_EVAL_LOCKS", "MAMTRA_EVAL_TESTSETS")
    return {name: environment[name] for name in names if name in environment}


def _ray() -> Any:  # noqa: ANN401 -- an optional package
    return import_extra("ray", *WHAT)
