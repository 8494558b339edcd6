"""The loop of a guest: do what the host asks, one thing at a time, until it closes the pipe.

=============  ==================================  ===========================================
asked          with                                answered
=============  ==================================  ===========================================
``setup``      ``paths``, ``memory_bytes``         ``done``
``make``       ``kind``, ``options``, ``factory``  ``done``
``prepare``                                        ``done``
``identity``   ``requests``                        ``identity``, ``distributions``
``diagnose``   ``kind``, ``options``, ``factory``  ``checks``
``speak``      ``requests``, ``collect``           ``taken``, ``result``, …, ``end``
``stream``     ``requests``, ``collect``           ``taken``, ``result``, …, ``end``
``close``                                          ``done``, and it ends
=============  ==================================  ===========================================

Any may be answered with ``failed`` and an ``error``. Clips come as they are pulled: ahead of each
the guest says which it is at work on (``taken``), hands one over (``result``) and waits for
``next`` or ``stop``. So the host's clock sees what it would see of a system in its own process, a
host that loses interest stops the work, and no clip is blamed for a death before it was touched.
"""

from __future__ import annotations

import faulthandler
import hashlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import distributions
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from mamtra_eval import offline, registry, stage_times
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.isolation import carrying
from mamtra_eval.isolation.messages import Message, ProtocolError, Unpacker, pack
from mamtra_eval.systems import Request, System, Words

GUEST = "MAMTRA_EVAL_GUEST"
"""Set in the environment of a guest: a system is made in this very process then."""

Result = Clip | Words | Exception


def serve(inward: int, out: int, folder: str) -> NoReturn:
    """Answer the host until it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to handle
    faulthandler.enable()
    offline.stay()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash of a large model fills no disk
    guest = _Guest(inward, out, Path(folder))
    try:
        guest.run()
    except _HostGone:
        os._exit(0)
    os._exit(1)


class _HostGone(BaseException):
    """The pipe has no other end. No ``Exception``: what a system catches must not hide it."""


class _Guest:
    """One system and the pipes."""

    def __init__(self, inward: int, out: int, folder: Path) -> None:
        self._inward, self._out, self._folder = inward, out, folder
        self._unpacker = Unpacker()
        self._names = map(str, count())
        self._system: System | None = None
        self._rest: Mapping[str, float] = {}

    def run(self) -> NoReturn:
        """Until the pipe ends (_HostGone) or the host says so."""
        asked: dict[str, Callable[[Message], None]] = {
            "setup": self._setup, "make": self._make, "prepare": self._prepare,
            "identity": self._identity, "diagnose": self._diagnose, "speak": self._speak,
            "stream": self._stream, "close": self._close,
        }  # fmt: skip
        while True:
            message = self._hear()
            try:
                asked[message["type"]](message)
            except Exception as error:  # told to the host, which knows what to make of it
                self._say("failed", error=carrying.pack_error(error))

    def _setup(self, message: Message) -> None:
        sys.path.extend(path for path in message["paths"] if path not in sys.path)
        limit = message["memory_bytes"]
        if limit is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        self._say("done")

    def _make(self, message: Message) -> None:
        if message["factory"]:
            module, _, name = message["factory"].partition(":")
            self._system = getattr(import_module(module), name)(message["options"])
        else:
            load(message["kind"])
            self._system = registry.create("systems", message["kind"], message["options"])
        self._say("done")

    def _prepare(self, message: Message) -> None:
        self._made.prepare()
        self._say("done")

    def _identity(self, message: Message) -> None:
        identity = self._made.identity(_requests(message))
        self._say("identity", identity=identity, distributions=_installed())

    def _diagnose(self, message: Message) -> None:
        if message["factory"]:
            module: Any = import_module(message["factory"].partition(":")[0])
        else:
            module = load(message["kind"])
        self._say("checks", checks=diagnose(module, message["options"]))

    def _speak(self, message: Message) -> None:
        requests = _requests(message)
        collect = message["collect"]
        if type(self._made).speak_many is System.speak_many:  # one after the other
            for index, request in enumerate(requests):
                if not self._hand_over(_one(self._made, index, request), [index], collect):
                    break
        else:
            self._hand_over(self._made.speak_many(requests), list(range(len(requests))), collect)
        self._say("end", stages=self._rest)

    def _stream(self, message: Message) -> None:
        [request] = _requests(message)
        pieces = ((0, piece) for piece in self._made.stream(request))
        self._hand_over(pieces, [0], message["collect"], again=True)
        self._say("end", stages=self._rest)

    def _hand_over(
        self,
        results: Iterator[tuple[int, Result]],
        due: list[int],
        collect: str,
        *,
        again: bool = False,
    ) -> bool:
        """Pull results and send each; False if the host wants no more.

        Stage times of what was done after the last result are kept in ``_rest``.

        Args:
            results: index and what came of it.
            due: indices that are still to come.
            collect: whether to collect stage times: ``no``, ``yes``, or ``device`` to wait for the
                device at both ends of a stage.
            again: whether an index comes more than once, as the pieces of a stream do.
        """
        self._rest = {}
        try:
            while True:
                self._say("taken", indices=due)
                with _collecting(collect) as collector:
                    index, result = next(results, (-1, None))
                if result is None:
                    self._rest = collector.seconds
                    return True
                if index not in due:
                    raise SynthesisError(f"the system gave clip {index!r}, which is not due")
                if not again:
                    due.remove(index)
                self._send(index, result, collector.seconds)
                if self._hear()["type"] != "next":
                    return False
                if not due:
                    return True
        finally:
            if hasattr(results, "close"):
                results.close()

    def _send(self, index: int, result: Result, stages: Mapping[str, float]) -> None:
        try:
            told = carrying.pack_result(result, self._folder, next(self._names))
        except OSError as error:
            told = carrying.pack_result(
                SynthesisError(f"no room for the clip in {self._folder} ({error.strerror})"),
                self._folder, "",
            )  # fmt: skip
        try:
            pack({"type": "result", "index": index, "stages": dict(stages), **told})
        except ProtocolError as error:  # too long: it is this clip's failure, and the turn is kept
            told = carrying.pack_result(SynthesisError(str(error)), self._folder, "")
        self._say("result", index=index, stages=stages, **told)

    def _close(self, message: Message) -> None:
        if self._system is not None:
            self._system.close()
        self._say("done")
        sys.stderr.flush()
        os._exit(0)

    @property
    def _made(self) -> System:
        if self._system is None:
            raise RuntimeError("asked before a system was made")
        return self._system

    def _say(self, kind: str, /, **fields: object) -> None:
        try:
            frame = pack({"type": kind, **fields})
        except ProtocolError as error:
            frame = pack({"type": "failed", "error": carrying.pack_error(error)})
        view = memoryview(frame)
        try:
            while view:
                view = view[os.write(self._out, view) :]
        except BrokenPipeError as error:
            raise _HostGone from error

    def _hear(self) -> Message:
        while (message := self._unpacker.take()) is None:
            data = os.read(self._inward, 1 << 16)
            if not data:
                raise _HostGone
            self._unpacker.feed(data)
        return message


def load(kind: str) -> ModuleType:
    """A system's plugin; ImportError if that does not work here, UserError if there is none."""
    try:
        return registry.load("systems", kind)
    except UserError as error:
        if isinstance(error.__cause__, ImportError):
            raise error.__cause__ from None
        raise


def diagnose(module: ModuleType, options: Mapping[str, Any]) -> list[list[str]]:
    """What a plugin finds of its packages and weights, as lists of four texts; it may have none."""
    look = getattr(module, "diagnose", None)
    return [] if look is None else [[str(part) for part in check] for check in look(dict(options))]


def _one(system: System, index: int, request: Request) -> Iterator[tuple[int, Result]]:
    """As ``System.speak_many`` does it."""
    try:
        yield index, system.speak(request)
    except Exception as error:  # a failure is a row, never the run's end
        yield index, error


def _collecting(how: str) -> Any:  # noqa: ANN401 -- a context manager of a Collector
    synchronize = None
    torch = sys.modules.get("torch")
    if how == "device" and torch is not None and torch.cuda.is_initialized():
        synchronize = torch.cuda.synchronize
    return stage_times.collecting(synchronize=synchronize)


def _requests(message: Message) -> list[Request]:
    return [carrying.unpack_request(one) for one in message["requests"]]


def _installed() -> str:
    """Hash of names and versions of all that is installed here."""
    found = {f"{one.name}=={one.version}" for one in distributions()}
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()
