"""One worker process, seen from outside: start it, hand it a batch, hear from it, end it."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

from mamtra_eval.executors._worker import TAKEN, Handler, Leaving, Ready, Stop, work

MOST_TIMES = 10
"""Times the timeout that a batch gets whose results come together."""
GRACE_S = 2.0
"""What a worker gets to end the programs it has started."""


class Hand:
    """A spawned process that makes a handler and works through what it is handed.

    Args:
        factory: picklable; makes the handler in the process.
        args: picklable arguments of ``factory``.
        timeout_s: longest silence before it counts as hanging.
        environment: variables that it starts with, over those of this process.
    """

    def __init__(
        self,
        factory: Callable[..., Handler],
        args: tuple[Any, ...],
        timeout_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self.ready = False
        self.taken = False
        """Whether it has begun with what it was handed last."""
        self._times = 1
        self._deadline = time.monotonic() + timeout_s
        context = multiprocessing.get_context("spawn")
        self.connection, there = context.Pipe()
        self._process = context.Process(target=work, args=(there, factory, args), daemon=True)
        # Blocked from its first moment: Ctrl-C reaches the whole group, and is for the parent.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        with variables(environment or {}):
            self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        there.close()

    def give(self, payloads: Sequence[Any], together: bool) -> None:
        """Hand over a batch; with results that come together at its end it gets more time."""
        self.taken = False
        self._times = min(len(payloads), MOST_TIMES) if together else 1
        self._be_patient()
        with suppress(OSError):  # it died idle: the read that follows finds that out
            self.connection.send(payloads)

    def patience_s(self) -> float:
        """How long it may still be silent."""
        return max(0.0, self._deadline - time.monotonic())

    def hears(self, within_s: float = 0.0) -> bool:
        """Whether a message (or its end) can be read within this time."""
        return bool(wait([self.connection], timeout=within_s))

    def read(self) -> tuple[int, Any] | None:
        """One message: an index with its result, or ``None`` for a word about the process itself.

        Raises:
            Gone: it has died, or was ended since it hung.
            Exception: what ends the whole run, told by the worker.
        """
        if not self.hears():
            if self.patience_s() > 0:
                return None
            stop([self])
            raise Gone(f"no result within {self._times * self.timeout_s:g} s; the worker was ended")
        try:
            message = self.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._process.join(5)
            raise Gone(_reason(self._process.exitcode)) from None
        self._be_patient()
        if isinstance(message, Stop):
            raise message.error
        if isinstance(message, Leaving):
            stop([self])
            raise Gone(message.reason)
        if isinstance(message, Ready):
            self.ready = True
        elif message == TAKEN:
            self.taken = True
        else:
            index, result = message
            return index, result
        return None

    def leave(self) -> None:
        """Close the pipe, at which an idle worker ends by itself."""
        self.connection.close()

    def ended(self, within_s: float) -> bool:
        """Whether the process is gone, after waiting for it."""
        self._process.join(within_s)
        return not self._process.is_alive()

    def terminate(self) -> None:
        """Ask it to end what it has started and itself."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.join()

    def _be_patient(self) -> None:
        self._deadline = time.monotonic() + self._times * self.timeout_s


class Gone(Exception):  # noqa: N818 -- it names the state, not the error
    """A worker process is no more; the message says why."""


def stop(hands: Sequence[Hand]) -> None:
    """Ask workers to end what they have started and themselves; after the grace, end them."""
    for hand in hands:
        hand.terminate()
    until = time.monotonic() + GRACE_S
    for hand in hands:
        if not hand.ended(max(0.0, until - time.monotonic())):
            hand.kill()


def end(idle: Sequence[Hand], busy: Sequence[Hand]) -> None:
    """End every worker: an idle one by closing its pipe, a busy one by force."""
    for hand in [*idle, *busy]:
        hand.leave()
    stop([*busy, *(hand for hand in idle if not hand.ended(GRACE_S))])


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Let what is started inside have these environment variables."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _reason(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the worker process died: {name}{hint}"
    return f"the worker process ended with exit code {exitcode}"
