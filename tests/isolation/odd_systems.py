"""A system that does what the text says, good or bad; made in guests, and here to compare."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.stage_times import stage
from mamtra_eval.systems import Request, System, Words

RATE_HZ = 8000


def _to_host() -> int:
    """The descriptor on which this guest answers."""
    return int(sys.argv[3])


def _frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


GARBAGE = {
    "a line": b"Loading weights: 100%\n",
    "huge length": struct.pack(">I", 0x7FFFFFFF) + b"x" * 100,
    "no json": _frame(b"{'type': 1}"),
    "no object": _frame(b"[1, 2]"),
    "no type": _frame(b"{}"),
    "another type": _frame(b'{"type": "done"}'),
    "another clip": _frame(b'{"type": "result", "index": 7, "stages": {}, "words": "x"}'),
    "a path": _frame(
        b'{"type": "result", "index": 0, "stages": {}, "clip": "../../etc/x", "samples": 1, '
        b'"rate_hz": 1, "source": null, "cost": {}}'
    ),
    "no file": _frame(
        b'{"type": "result", "index": 0, "stages": {}, "clip": "99", "samples": 1, '
        b'"rate_hz": 1, "source": null, "cost": {}}'
    ),
    "no rate": _frame(
        b'{"type": "result", "index": 0, "stages": {}, "clip": "99", "samples": 1, '
        b'"rate_hz": true, "source": null, "cost": {}}'
    ),
    "half a frame": struct.pack(">I", 100) + b'{"type": ',
}


class Odd(System):
    """Speaks noise of the text and the seed; ``do NAME`` in a text is done first."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = dict(options)
        self.loads = 0

    def identity(self, requests: Sequence[Request]) -> dict[str, Any]:
        self._do("identity", self.options.get("identity", ""))
        return {"options": self.options, "texts": [request.text for request in requests]}

    def prepare(self) -> None:
        if not self.loads:
            print("a library warns while it loads", file=sys.stderr)  # no clip's last words
            note = self.options.get("loads")
            if note:
                with Path(note).open("a") as file:
                    file.write(f"{os.getpid()}\n")
            self._do("prepare", self.options.get("prepare", ""))
        self.loads += 1

    def speak(self, request: Request) -> Clip | Words:
        for what in request.text.split(" do ")[1:]:
            self._do("speak", what)
        if request.text.startswith("words"):
            return Words(request.text)
        if request.text.startswith("nan"):
            return Clip(np.array([0.5, np.nan, np.inf, -np.inf, 2.0], np.float32), RATE_HZ)
        if request.text.startswith("empty"):
            return Clip(np.zeros(0, np.float32), RATE_HZ)
        with stage("decode"):
            rng = np.random.Generator(np.random.Philox(request.seed))
            samples = rng.standard_normal(100 + 10 * len(request.text), np.float32)
        return Clip(samples, RATE_HZ, cost={"tokens": len(request.text), "pid": os.getpid()})

    def stream(self, request: Request) -> Iterator[Clip]:
        whole = self.speak(request)
        assert isinstance(whole, Clip)
        try:
            for number, piece in enumerate(np.array_split(whole.samples, 4)):
                with stage("vocoder"):
                    time.sleep(0.002)
                if request.text.startswith(f"break {number}"):
                    self._do("stream", request.text.partition(":")[2])
                yield Clip(piece, RATE_HZ, cost=dict(whole.cost) if number == 3 else {})
        finally:
            if self.options.get("closed"):
                Path(self.options["closed"]).write_text(str(number))

    def _do(self, where: str, what: str) -> None:
        name, _, rest = what.partition("=")
        if name == "kill":
            print("about to be killed", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        elif name == "kill-later":
            subprocess.Popen(["sh", "-c", f"sleep {rest}; kill -9 {os.getpid()}"])
        elif name == "segfault":
            ctypes.string_at(0)
        elif name == "exit":
            os._exit(int(rest))
        elif name == "sys.exit":
            sys.exit("a library has had enough")
        elif name == "hang":
            time.sleep(600)
        elif name == "sleep":
            time.sleep(float(rest))
        elif name == "once":  # does it in the first process that gets here
            path, _, then = rest.partition(",")
            if not Path(path).exists():
                Path(path).touch()
                self._do(where, then)
        elif name == "garbage":
            os.write(_to_host(), GARBAGE[rest])
            if rest == "half a frame":
                time.sleep(600)
        elif name == "short":
            _shorten_next()
        elif name == "full":
            _fill_up()
        elif name == "fork":
            child = os.fork()
            if not child:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)
            Path(rest).write_text(str(child))
        elif name == "note":
            Path(rest).write_text(str(os.getpid()))
        elif name == "print":
            print("chatter" * int(rest))
            sys.stdout.buffer.write("été 你好\n".encode())
        elif name == "complain":
            sys.stderr.write("\x1b[31mwarning\x1b[0m \a again\r" * int(rest))
        elif name == "allocate":
            self.kept = np.ones(int(float(rest) * 2**27))  # GiB of float64
        elif name == "cuda":
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        elif name == "synthesis":
            raise SynthesisError("too long a text")
        elif name == "user":
            raise UserError("no such voice", where="voice", fix="Take another.")
        elif name == "bug":
            raise ZeroDivisionError("a bug")
        elif name == "import":
            import no_such_package_of_all  # noqa: F401
        elif name:
            raise AssertionError(f"{where}: {what}")


class Batch(Odd):
    """Makes several together: all is worked on before the first comes."""

    batch_size = 4

    def speak_many(self, requests: Sequence[Request]) -> Iterator[tuple[int, Any]]:
        made: list[Any] = []
        for request in requests:
            try:
                made.append(self.speak(request))
            except SynthesisError as error:
                made.append(error)
        for index in reversed(range(len(requests))):
            if requests[index].text != "forgotten":
                yield index, made[index]


def make(options: Mapping[str, Any]) -> System:
    """One of them."""
    if options.get("make"):
        Odd(options)._do("make", options["make"])
    return (Batch if options.get("batch") else Odd)(options)


def diagnose(options: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """As a plugin does it."""
    return [("weights", "absent", f"model is {options.get('model')}", "Fetch them.")]


def _shorten_next() -> None:
    """Let the next file of audio lose its end."""
    write = Path.write_bytes

    def short(self: Path, data: Any) -> int:
        Path.write_bytes = write  # type: ignore[method-assign]
        return write(self, bytes(data)[:-3])

    Path.write_bytes = short  # type: ignore[method-assign, assignment]


def _fill_up() -> None:
    """Let the disk be full for the next file of audio."""
    write = Path.write_bytes

    def full(self: Path, data: Any) -> int:
        Path.write_bytes = write  # type: ignore[method-assign]
        write(self, bytes(data)[:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    Path.write_bytes = full  # type: ignore[method-assign, assignment]
