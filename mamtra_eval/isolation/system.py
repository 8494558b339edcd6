"""``Isolated``: a system that is asked in a process of its own, and looks like any other.

It yields what the system in the process yields, errors too, one at a time and only when pulled. A
death, a time-out, garbage on the pipe or a short file costs the clip that was being made; what else
was in the batch is handed out again, one by one, to a fresh guest. Of a batch that is made together
nobody knows whose fault it was until each is tried alone. Memory that runs short costs its clip and
the guest, and is no death. A guest that dies idle costs nothing.

A fresh guest is loaded before the failure of a clip is told, so that no other clip's time holds
the loading; after the last clip of a batch ``prepare`` does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from mamtra_eval import stage_times
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.footprint import Footprint
from mamtra_eval.isolation.carrying import OutOfMemory, pack_request
from mamtra_eval.isolation.keeping import Keeper, Limits, Quarantined, Recipe
from mamtra_eval.isolation.process import Died, Interpreter
from mamtra_eval.systems import Request, System, Words

Outcome = tuple[int, Clip | Words | Exception]


class Isolated(System):
    """One system in another process.

    Args:
        recipe: what is made there.
        here: the same, made in this process and never loaded: it says what needs no packages.
        interpreter: that runs it.
        limits: what it may take.
    """

    def __init__(
        self, recipe: Recipe, here: System, interpreter: Interpreter, limits: Limits
    ) -> None:
        self.interpreter, self.limits = interpreter, limits
        self.batch_size, self.max_processes = here.batch_size, here.max_processes
        self.on_device = here.on_device
        self._here = here
        self._keeper = Keeper(recipe, interpreter, limits)

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        """What the system says of itself there, and the environment unless that is this one.

        Beside its lock file it goes by a hash of what is installed: that can be changed afterwards.
        """
        packed = [pack_request(request) for request in requests]
        with self._keeper.demanding("can't say what it is"):
            guest = self._keeper.made()
            answer = guest.ask(self.limits.load_s, "identity", requests=packed)
        identity = dict(answer["identity"])
        if not self.interpreter.same:
            identity["environment"] = {
                "name": self.interpreter.name,
                "lock": self.interpreter.lock,
                "distributions": answer["distributions"],
            }
        return identity

    def footprint(self) -> Footprint | None:
        """As the system in this process has it."""
        return self._here.footprint()

    def checkpoint(self) -> Path | None:
        """As the system in this process has it."""
        return self._here.checkpoint()

    def prepare(self) -> None:
        """Start and load it; UserError if that never worked. Nothing for a quarantined one."""
        self._keeper.warm()

    def speak(self, request: Request) -> Clip | Words:
        """One clip; SynthesisError if it can't be made or its maker died of it."""
        [(_, made)] = self.speak_many([request])
        if isinstance(made, Exception):
            raise made
        return made

    def speak_many(self, requests: Sequence[Request]) -> Iterator[Outcome]:
        """Several, as they come; each has a clip or an error, whatever happens to the process."""
        left = dict(enumerate(requests))
        together = True
        while left:
            group = list(left) if together else list(left)[:1]
            try:
                for index, result in self._attempt([requests[index] for index in group]):
                    del left[group[index]]
                    if isinstance(result, OutOfMemory):
                        self._replace(another=bool(left))
                    yield group[index], result
                    if isinstance(result, OutOfMemory):
                        break
            except Quarantined as error:
                yield from ((index, error) for index in left)
                return
            together = False

    def stream(self, request: Request) -> Iterator[Clip]:
        """Its pieces, as they are made there; SynthesisError as in ``speak``."""
        begun = False
        while True:
            guest = self._keeper.loaded()
            steps = guest.pull(self.limits.timeout_s, "stream", [request], _collect())
            try:
                with closing(steps):
                    for step in steps:
                        _merge(step.stages)
                        begun = True
                        if isinstance(step.result, Exception):
                            raise step.result
                        if isinstance(step.result, Clip):
                            yield step.result
                self._keeper.proved()
                return
            except Died as death:
                self._keeper.lost(str(death), idle=not guest.current)
                if begun or guest.current:
                    self._keeper.warm()
                    raise SynthesisError(str(death)) from death
            except OutOfMemory:
                self._replace(another=True)
                raise

    def close(self) -> None:
        """End the process; it is started again if it is asked once more."""
        self._keeper.close()
        self._here.close()

    def _attempt(self, group: Sequence[Request]) -> Iterator[Outcome]:
        """Outcomes of a group, as far as they come: who was not at work is left out."""
        left = set(range(len(group)))
        guest = self._keeper.loaded()
        steps = guest.pull(self.limits.timeout_s, "speak", group, _collect())
        try:
            with closing(steps):
                for step in steps:
                    _merge(step.stages)
                    if step.result is not None:
                        self._keeper.proved()
                        left.discard(step.position)
                        yield step.position, step.result
        except Died as death:
            self._keeper.lost(str(death), idle=not guest.current)
            if len(guest.current) == 1:
                [index] = guest.current
                if len(left) > 1:
                    self._keeper.warm()
                yield index, SynthesisError(str(death))
        except SynthesisError as error:  # which ended the batch
            if len(group) == 1:
                yield 0, error
            elif isinstance(error, OutOfMemory):
                self._replace(another=False)
        else:
            for index in sorted(left):
                yield index, SynthesisError("the system made no clip for it")

    def _replace(self, *, another: bool) -> None:
        self._keeper.drop()
        if another:
            self._keeper.warm()


def _collect() -> str:
    """Whether stage times are collected here, as a guest is told it."""
    collector = stage_times.active()
    if collector is None:
        return "no"
    return "device" if collector.synchronizes else "yes"


def _merge(seconds: dict[str, float]) -> None:
    collector = stage_times.active()
    if collector is not None:
        collector.add(seconds)
