"""The process of a guest and the pipes to it: messages with a deadline, its last words, its end.

Whatever goes wrong with it (it dies, hangs, writes what is no message) ends it together with its
children and is raised as ``Died``, with the last lines that it wrote to standard error.

One loop waits on all pipes, so that a guest that writes megabytes to standard error is read while
it works, by no thread, and no more than the end of that is kept.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
import weakref
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import mamtra_eval
from mamtra_eval import processes, redaction
from mamtra_eval.errors import UserError
from mamtra_eval.isolation import folders
from mamtra_eval.isolation.guest import GUEST
from mamtra_eval.isolation.messages import Message, ProtocolError, Unpacker, pack, text

SLICE_S = 0.25
"""How often the process is looked at: a child of its own may keep the pipe open after its death."""
DYING_S = 5.0
"""What it gets to be gone after it has closed its pipe."""

TAIL_LINES, TAIL_CHARACTERS, TAIL_BYTES = 10, 1200, 16384
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATHS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")


class Died(Exception):  # noqa: N818 -- it names the state, not the error
    """The guest is gone; the text says how, and what it said last."""


@dataclass(frozen=True)
class Interpreter:
    """The Python that a guest runs under.

    Attributes:
        name: of its environment.
        python: the program; not resolved, a virtual environment is known by it.
        lock: hash of the lock file that the environment was made from, if it was made from one.
        paths: further entries of its ``sys.path``.
        same: it is the host's own interpreter, with the host's packages.
        kind: the system it is for.
    """

    name: str
    python: Path
    lock: str | None = None
    paths: tuple[str, ...] = ()
    same: bool = False
    kind: str = ""

    @property
    def remedy(self) -> str:
        """What makes an environment that works, for an error."""
        if self.lock is not None:
            return f"Make it anew with: mamtra-eval env create {self.name} --recreate"
        return f"Make its environment with: mamtra-eval env create {self.kind or self.name}"


class Process:
    """A guest's process; UserError if it can't be started.

    It leads a session of its own, so Ctrl-C at a terminal does not reach it. It ends with this
    object, with this process in whatever way that ends, and with ``processes.kill_tracked``.

    Attributes:
        pid: of the process and of its group.
        folder: for audio; removed with it.
    """

    def __init__(self, interpreter: Interpreter) -> None:
        self._unpacker, self._said = Unpacker(), bytearray()
        with ExitStack() as undo:
            self.folder, lock = folders.make()
            undo.callback(folders.remove, self.folder, lock)
            self._process, self._in, self._out = _start(interpreter, self.folder, undo)
            assert self._process.stderr is not None
            self._err = self._process.stderr.fileno()
            os.set_blocking(self._err, False)
            self.pid = self._process.pid
            undo.callback(_end, self._process)
            self._undo = weakref.finalize(self, undo.pop_all().close)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._undo.alive and self._process.poll() is None

    def say(self, message: Message, seconds: float) -> None:
        """Send a message; Died if it is not taken in time."""
        deadline = time.monotonic() + seconds
        view = memoryview(pack(message))
        while view:
            self._wait(self._in, select.POLLOUT, deadline, seconds)
            try:
                view = view[os.write(self._in, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self.died(None) from error

    def forget(self) -> None:
        """Leave what was said so far out of the last words: it is of other work."""
        self._listen()
        self._said.clear()

    def hear(self, seconds: float) -> Message:
        """The next message, which has a ``type``; Died if none comes in time, or something else."""
        deadline = time.monotonic() + seconds
        try:
            while (message := self._unpacker.take()) is None:
                self._wait(self._out, select.POLLIN, deadline, seconds)
                try:
                    data = os.read(self._out, 1 << 16)
                except BlockingIOError:
                    continue
                if not data:
                    raise self.died(None)
                self._unpacker.feed(data)
            text(message, "type")
        except ProtocolError as error:
            raise self.garbage(error) from error
        return message

    def garbage(self, error: ProtocolError) -> Died:
        """End it for what it sent."""
        return self.died(f"its process was ended for what it sent: {error}")

    def died(self, reason: str | None) -> Died:
        """End it, if it isn't gone, and say how it went; without a reason, as it ended."""
        if reason is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(DYING_S)
            reason = _ending(self._process.returncode)
        processes.kill_group(self.pid)
        self._process.wait()
        for _ in range(1000):  # a child that has left the group may go on and on
            if self._err < 0 or not select.select([self._err], [], [], 0)[0] or not self._listen():
                break
        self.end()
        return Died(reason + _tail(bytes(self._said)))

    def wait(self, seconds: float) -> None:
        """Until it has ended, for some time at the most."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def end(self) -> None:
        """Kill it and its children at once; its folder goes too."""
        self._undo()
        self._err = -1

    def _wait(self, descriptor: int, event: int, deadline: float, seconds: float) -> None:
        """Until a pipe is ready; Died at the deadline, or if the process is gone."""
        if not self._undo.alive:  # its descriptors may be somebody else's by now
            raise Died("its process was ended")
        poll = select.poll()
        poll.register(descriptor, event)
        if self._err >= 0:
            poll.register(self._err, select.POLLIN)
        while True:
            patience = deadline - time.monotonic()
            if patience <= 0:
                raise self.died(f"no answer within {seconds:g} s; its process was ended")
            gone = not self.alive  # looked at before the pipes: what it has still said is read
            ready = {found for found, _ in poll.poll(1000 * min(patience, SLICE_S))}
            if self._err in ready and not self._listen():
                poll.unregister(self._err)
                self._err = -1
            if descriptor in ready:
                return
            if gone:
                raise self.died(None)

    def _listen(self) -> bool:
        """Take what it wrote to standard error; False at the end of that."""
        try:
            data = os.read(self._err, 1 << 16)
        except BlockingIOError:
            return True
        self._said += data
        del self._said[:-TAIL_BYTES]
        return bool(data)


def _start(
    interpreter: Interpreter, folder: Path, undo: ExitStack
) -> tuple[subprocess.Popen[bytes], int, int]:
    """The process, and the descriptors to write to it and to read of it."""
    package = Path(mamtra_eval.__file__).parent
    theirs: list[int] = []
    ours: list[int] = []
    with ExitStack() as passed:
        for inward in (True, False, True):  # questions, answers, life
            read, write = os.pipe()
            theirs.append(read if inward else write)
            ours.append(write if inward else read)
            passed.callback(os.close, theirs[-1])
            undo.callback(os.close, ours[-1])
        os.set_blocking(ours[0], False)
        os.set_blocking(ours[1], False)
        script = package / "isolation" / "_start.py"
        command = [interpreter.python, "-I", "-u", "-X", "utf8", script, package, *theirs, folder]
        try:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=theirs,
                env=_environment(interpreter), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UserError(
                f"this Python does not start ({error.strerror})",
                where=str(interpreter.python),
                fix=interpreter.remedy,
            ) from error
    undo.enter_context(processes.tracked(process.pid, lambda: folders.remove(folder, None)))
    return process, ours[0], ours[1]


def _environment(interpreter: Interpreter) -> dict[str, str]:
    """Of the guest: the host's, without where the host's Python finds its packages."""
    kept = {name: value for name, value in os.environ.items() if name not in _PATHS}
    programs = str(interpreter.python.parent)
    return {**kept, GUEST: "1", "PATH": os.pathsep.join([programs, kept.get("PATH", os.defpath)])}


def _end(process: subprocess.Popen[bytes]) -> None:
    processes.kill_group(process.pid)
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _ending(code: int | None) -> str:
    if code is None:
        return "its process closed the pipe and was ended"
    if code < 0:
        name = f"signal {-code}"
        with suppress(ValueError):
            name = signal.Signals(-code).name
        return f"its process died: {name}{' (out of memory?)' if name == 'SIGKILL' else ''}"
    return f"its process ended with exit code {code}"


def _tail(said: bytes) -> str:
    """The last lines of what it said, as the end of a message: printable, bounded."""
    told = redaction.hidden(said.decode("utf-8", "replace"))
    lines = re.split(r"[\r\n]+", _ESCAPES.sub("", told))
    plain = ("".join(c if c.isprintable() else " " for c in line).strip() for line in lines)
    last = [line for line in plain if line][-TAIL_LINES:]
    return f"; it said last: {' | '.join(last)[-TAIL_CHARACTERS:]}" if last else ""
