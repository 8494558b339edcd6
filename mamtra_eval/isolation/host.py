"""One guest, seen from the host: greeted, asked, its clips pulled.

Nothing here decides what a death costs: see ``system``. A guest that was left in the middle of an
answer (Ctrl-C, an exception in whoever took the clips) is no longer ``usable`` and can only be
ended.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from typing import NamedTuple

import mamtra_eval
from mamtra_eval.audio import Clip
from mamtra_eval.errors import UserError
from mamtra_eval.isolation import carrying
from mamtra_eval.isolation.messages import (
    PROTOCOL,
    Message,
    ProtocolError,
    numbers,
    text,
    whole,
)
from mamtra_eval.isolation.process import Died, Interpreter, Process
from mamtra_eval.systems import Request, Words

MOST_TIMES = 10
"""Times the longest time of a clip that several get which may come together."""
HELLO_S = 180.0
"""Longest time until the other Python has started: it may lie on a slow, cold disk."""
END_S = 5.0
"""What a guest gets to release what it holds, or to stop a clip that nobody wants any more."""

OLDEST = (3, 11)
_ANSWERS = {"identity": "identity", "diagnose": "checks"}
"""Type of the answer by what was asked; of everything else ``done``."""


class Step(NamedTuple):
    """What was pulled of a guest at work.

    Attributes:
        position: of the request that it belongs to; -1 without a result.
        result: ``None`` when all is done.
        stages: seconds by stage that the guest collected since the step before.
    """

    position: int
    result: Clip | Words | Exception | None
    stages: dict[str, float]


class Guest:
    """A process that has said hello and waits to be asked.

    Attributes:
        interpreter: that it runs under.
        process: and its pipes.
        current: indices of the requests that it is at work on.

    Raises:
        UserError: the interpreter can't be started, is too old, or lacks what a guest needs.
        Died: it ended or hung before it could be asked anything.
    """

    def __init__(self, interpreter: Interpreter, memory_gb: float | None = None) -> None:
        self.interpreter = interpreter
        self.current: list[int] = []
        self._in_step = True
        self.process = Process(interpreter)
        try:
            self._check(self.process.hear(HELLO_S))
            limit = None if memory_gb is None else int(memory_gb * 2**30)
            self.ask(HELLO_S, "setup", paths=list(interpreter.paths), memory_bytes=limit)
        except BaseException:
            self.process.end()
            raise

    @property
    def usable(self) -> bool:
        """Whether it can be asked: alive, as far as that is known, and in step."""
        return self._in_step and self.process.alive

    def ask(self, seconds: float, kind: str, /, **fields: object) -> Message:
        """One question, one answer; the guest's own error is raised as it is, Died if it is gone.

        Args:
            seconds: longest time for it.
            kind: what is asked, as in ``guest``.
            fields: of the message.
        """
        self._in_step = False
        self.process.say({"type": kind, **fields}, seconds)
        answer = self.process.hear(seconds)
        self._in_step = True
        if answer["type"] == "failed":
            raise self._error(answer)
        self._expect(answer, _ANSWERS.get(kind, "done"))
        return answer

    def pull(
        self, seconds: float, kind: str, requests: Sequence[Request], collect: str = "no"
    ) -> Generator[Step, None, None]:
        """What comes of ``speak`` or ``stream``, and a last step without a result.

        Each step has ``seconds``. Raises as ``ask`` does; ``current`` says then what was being
        made. Closing it stops the guest's work, or ends the guest if it doesn't stop.
        """
        self.process.forget()
        due = set(range(len(requests)))
        packed = [carrying.pack_request(request) for request in requests]
        question: Message = {"type": kind, "requests": packed, "collect": collect}
        while True:
            self._in_step, self.current = False, []
            self.process.say(question, seconds)
            answer = self.process.hear(seconds)
            if answer["type"] == "taken":
                self.current = self._indices(answer, due)
                # Which of several is being made it does not tell, nor whether they come together.
                answer = self.process.hear(seconds * min(max(1, len(self.current)), MOST_TIMES))
            if answer["type"] != "result":
                break
            step = self._step(answer)
            self.current = []
            due -= {step.position} if kind == "speak" else set()
            try:
                yield step
            except GeneratorExit:
                self._stop()
                raise
            question = {"type": "next"}
        self._in_step = True
        if answer["type"] == "failed":
            raise self._error(answer)
        self._expect(answer, "end")
        yield Step(-1, None, self._stages(answer))

    def close(self) -> None:
        """Let it release what it holds, then end it."""
        if self.usable:
            try:
                self.ask(END_S, "close")
                self.process.wait(END_S)
            except Exception:  # it is ended anyhow
                self._in_step = False
        self.process.end()

    def _stop(self) -> None:
        try:
            self.process.say({"type": "stop"}, END_S)
            self._in_step = self.process.hear(END_S)["type"] in ("end", "failed")
        except Died:
            self._in_step = False

    def _check(self, hello: Message) -> None:
        """UserError for a guest of another kind than this host's."""
        where = str(self.interpreter.python)
        fix = self.interpreter.remedy
        try:
            python = [int(part) for part in hello["python"]]
            protocol = whole(hello, "protocol", 0, 1000)
            if tuple(python) < OLDEST:
                told = ".".join(map(str, python))
                needed = ".".join(map(str, OLDEST))
                raise UserError(
                    f"its Python is {told}; {needed} or later is needed", where=where, fix=fix
                )
            if "error" in hello:
                missing = hello.get("missing")
                lacks = f"it lacks {missing}" if missing else "a package is broken there"
                said = text(hello, "error")
                raise UserError(f"{lacks}, which every system needs ({said})", where=where, fix=fix)
            package = text(hello, "package")
        except (ProtocolError, KeyError, TypeError, ValueError) as error:
            raise self.process.died(f"its process did not say hello ({error})") from error
        if (protocol, package) != (PROTOCOL, mamtra_eval.__version__):
            raise UserError(
                f"it runs mamtra-eval {package} (messages {protocol}), this is "
                f"{mamtra_eval.__version__} (messages {PROTOCOL})",
                where=where,
                fix="Start again: the package was changed meanwhile.",
            )

    def _step(self, answer: Message) -> Step:
        try:
            index = whole(answer, "index", 0, sys.maxsize)
            if index not in self.current:
                raise ProtocolError(f"a clip of index {index}, which it is not at work on")
            stages = numbers(answer, "stages")
            return Step(index, carrying.unpack_result(answer, self.process.folder), stages)
        except ProtocolError as error:
            raise self.process.garbage(error) from error

    def _indices(self, answer: Message, due: set[int]) -> list[int]:
        indices = answer.get("indices")
        if not isinstance(indices, list) or not all(one in due for one in indices):
            raise self.process.garbage(ProtocolError(f"indices {indices!r:.60}"))
        return indices

    def _stages(self, answer: Message) -> dict[str, float]:
        try:
            return numbers(answer, "stages")
        except ProtocolError as error:
            raise self.process.garbage(error) from error

    def _error(self, answer: Message) -> Exception:
        try:
            return carrying.unpack_error(answer.get("error"))
        except ProtocolError as error:
            return self.process.garbage(error)

    def _expect(self, answer: Message, kind: str) -> None:
        if answer["type"] != kind:
            told = ProtocolError(f"{answer['type']!r:.60} where {kind!r} was due")
            raise self.process.garbage(told)
