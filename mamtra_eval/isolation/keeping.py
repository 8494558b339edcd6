"""Keeping a guest at hand: started, made and loaded; replaced when it is gone; given up in the end.

A guest that can't even be loaded the first time is the user's to mend (UserError): nothing was
made yet. Later it is a death like any other. After so many deaths in a row, without a clip in
between, the system is *quarantined*: it is started no more, and says why to everybody who asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.isolation.carrying import OutOfMemory, Unloadable
from mamtra_eval.isolation.host import Guest
from mamtra_eval.isolation.messages import Message
from mamtra_eval.isolation.process import Died, Interpreter


class Quarantined(SynthesisError):  # noqa: N818 -- it names the state, not the error
    """The system died too often and is started no more."""


@dataclass(frozen=True)
class Recipe:
    """What the guest is to make.

    Attributes:
        kind: name of the plugin.
        options: of its ``create``; plain JSON values.
        factory: ``module:function`` in place of a plugin: the function is called with the options,
            and a ``diagnose`` of its module is used. For tests of this room.
    """

    kind: str
    options: Mapping[str, Any]
    factory: str | None = None

    def message(self) -> Message:
        """As ``make`` and ``diagnose`` take it."""
        return {"kind": self.kind, "options": dict(self.options), "factory": self.factory}


@dataclass(frozen=True)
class Limits:
    """What a guest may take.

    Attributes:
        timeout_s: for one clip, or one piece of a stream.
        load_s: for loading, and for saying what it is.
        memory_gb: of address space (GiB); ``None`` is no bound.
        deaths: in a row until it is quarantined.
    """

    timeout_s: float = 240.0
    load_s: float = 900.0
    memory_gb: float | None = None
    deaths: int = 3


class Keeper:
    """Holds at most one guest of a system."""

    def __init__(self, recipe: Recipe, interpreter: Interpreter, limits: Limits) -> None:
        self.recipe, self.interpreter, self.limits = recipe, interpreter, limits
        self._guest: Guest | None = None
        self._is_loaded = self._worked = self._forgiven = False
        self._deaths = 0
        self._quarantine: str | None = None

    def made(self) -> Guest:
        """A guest in which the system is made; UserError or Died if that does not work."""
        if self._guest is None or not self._guest.usable:
            self.drop()
            guest = Guest(self.interpreter, self.limits.memory_gb)
            try:
                guest.ask(self.limits.load_s, "make", **self.recipe.message())
            except BaseException:
                guest.process.end()
                raise
            self._guest = guest
        return self._guest

    def diagnosis(self) -> object:
        """What the plugin's ``diagnose`` finds there, without a system; UserError if it can't."""
        with self.demanding("can't be looked at"):
            guest = self._guest = Guest(self.interpreter, self.limits.memory_gb)
            return guest.ask(self.limits.load_s, "diagnose", **self.recipe.message())["checks"]

    def loaded(self) -> Guest:
        """A guest that is ready to speak; Quarantined, or UserError if it never was."""
        while self._quarantine is None:
            try:
                guest = self.made()
                if not self._is_loaded:
                    guest.ask(self.limits.load_s, "prepare")
                    self._is_loaded = self._worked = True
            except (Died, SynthesisError) as error:
                self.drop()
                if not self._worked:
                    raise self.unusable("can't be loaded", error) from error
                self.lost(str(error))
            else:
                return guest
        raise Quarantined(self._quarantine)

    def warm(self) -> None:
        """Have one ready if there can be one."""
        if self._quarantine is None:
            with _unless_quarantined():
                self.loaded()

    def lost(self, reason: str, *, idle: bool = False) -> None:
        """Count a death; the first one out of idleness, from outside most likely, is forgiven."""
        self.drop()
        if idle and not self._forgiven:
            self._forgiven = True
            return
        self._deaths += 1
        if self._deaths >= self.limits.deaths:
            times = "once" if self._deaths == 1 else f"{self._deaths} times in a row"
            self._quarantine = (
                f"{self.recipe.kind} is quarantined, it died {times}; the last time: {reason}"
            )

    def proved(self) -> None:
        """It has answered: deaths are counted from here."""
        self._deaths, self._forgiven = 0, False

    def drop(self) -> None:
        """End the guest; the next one is started when it is needed."""
        if self._guest is not None:
            self._guest.process.end()
        self._guest, self._is_loaded = None, False

    def close(self) -> None:
        """Let the guest release what it holds, and end it."""
        if self._guest is not None:
            self._guest.close()
        self.drop()

    def unusable(self, what: str, error: Exception) -> UserError:
        """The error for a system that does not work in its environment at all."""
        kind, name = self.recipe.kind, self.interpreter.name
        fix = f"What it needs is shown by: mamtra-eval doctor {kind}"
        if isinstance(error, OutOfMemory) and self.limits.memory_gb is not None:
            fix = (
                f"It is bound by env_memory_gb={self.limits.memory_gb:g}: give more, or leave it "
                "out."
            )
        elif isinstance(error, Unloadable):
            fix = self.interpreter.remedy
        return UserError(
            f"{kind} {what} in the environment {name}: {error}",
            where=str(self.interpreter.python),
            fix=fix,
        )

    @contextmanager
    def demanding(self, what: str) -> Iterator[None]:
        """Whatever goes wrong inside becomes a UserError."""
        try:
            yield
        except (Died, SynthesisError) as error:
            self.drop()
            raise self.unusable(what, error) from error


@contextmanager
def _unless_quarantined() -> Iterator[None]:
    try:
        yield
    except Quarantined:
        return
