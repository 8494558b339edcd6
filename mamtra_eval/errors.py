"""What can go wrong, said so that the reader knows what to do.

``UserError`` is the caller's to mend and ends the command (exit code 2). ``SynthesisError`` and
``MeasurementError`` concern one clip: the pipeline turns them into a failure row and goes on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """Bad input: what is wrong, where it stands, what to do about it."""

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what, self.fix]
        return " ".join(_sentence(part) for part in parts if part)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel from worker processes; the default would lose the keyword arguments.
        return _restore, (type(self), self.what, self.where, self.fix)


class MissingExtra(UserError):  # noqa: N818 -- it names the state, not the error
    """What only some installations have (a package, weights) is needed and absent or broken.

    It concerns something that was chosen by name, so nothing is left out quietly for its sake.
    """


class SynthesisError(Exception):
    """A system made no clip for an utterance. The message becomes the failure row."""


class MeasurementError(Exception):
    """A metric could not be taken of a clip. The message becomes the failure row."""


class Unusable(Exception):  # noqa: N818 -- it names the state, not the error
    """This process can compute nothing more: another one must go on. The message says why."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is none of ``known``, with the nearest ones first."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    return UserError(f"there is no {kind} named {name!r}", fix=f"{hint}Known: {', '.join(known)}.")


def describe(error: BaseException) -> str:
    """One line for a failure row: the message alone of an expected error, else with its class."""
    message = " ".join(str(error).split())
    if isinstance(error, SynthesisError | MeasurementError | UserError | Unusable):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _restore(cls: type[UserError], what: str, where: str | None, fix: str | None) -> UserError:
    error = cls.__new__(cls)
    UserError.__init__(error, what, where=where, fix=fix)
    return error


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!", ":")) else f"{text}."
