"""The inside of a Ray actor: one worker process of ours, driven on the machine where it is.

The actor itself computes nothing. It holds the same worker process that a local run has, so that a
crash or a hang of a clip costs that process alone and is told in the same words, while the loss of
the actor is the loss of its machine. What happens goes to the driver event by event.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval import provenance
from mamtra_eval.errors import UserError
from mamtra_eval.executors._hand import Gone, Hand, end
from mamtra_eval.executors.local import Starts


@dataclass(frozen=True)
class Job:
    """What an actor needs to begin with.

    Attributes:
        handler: the pickled factory of the handler, with its arguments.
        timeout_s: longest silence of its worker process.
        folder: of the run.
        token: a file's name in it, which the driver has made.
        code: hash of the driver's package; see ``provenance.code``.
    """

    handler: bytes
    timeout_s: float
    folder: Path
    token: str
    code: str


@dataclass(frozen=True)
class Result:
    """A payload is done."""

    index: int
    value: Any


@dataclass(frozen=True)
class Fell:
    """The worker process is gone; ``begun`` if it had taken the batch."""

    reason: str
    begun: bool


@dataclass(frozen=True)
class Failed:
    """This ends the whole run."""

    error: Exception


class Actor:
    """One place for work on a machine of the cluster."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._hand: Hand | None = None

    def prepare(self) -> str | None:
        """Start the worker process; a word about what is wrong with this machine, if it is."""
        if wrong := self._unfit():
            return wrong
        starts = Starts()
        while True:
            try:
                self._start()
            except Gone as gone:
                try:
                    starts.failed(str(gone))
                except UserError as error:
                    return error.what
            except UserError as error:
                return str(error)
            else:
                return None

    def work(self, payloads: Sequence[Any], together: bool) -> Iterator[Result | Fell | Failed]:
        """What comes of a batch, as it comes; after ``Fell`` there is a fresh worker process."""
        try:
            hand = self._hand or self._start()
            hand.give(payloads, together)
            yield from self._listen(hand, len(payloads))
        except Gone as gone:
            yield Fell(str(gone), begun=hand.taken)
            hand.leave()
            self._hand = None
        except Exception as error:  # told to the driver, which ends the run
            yield Failed(error)

    def close(self) -> None:
        """End the worker process."""
        if self._hand is not None:
            end([self._hand], [])

    def _listen(self, hand: Hand, count: int) -> Iterator[Result]:
        while count:
            hand.hears(hand.patience_s())
            message = hand.read()
            if message is not None:
                count -= 1
                yield Result(*message)

    def _start(self) -> Hand:
        factory, args = pickle.loads(self._job.handler)  # noqa: S301 -- from the driver, as the actor
        hand = Hand(factory, args, self._job.timeout_s)
        while not hand.ready:
            hand.hears(hand.patience_s())
            hand.read()
        self._hand = hand
        return hand

    def _unfit(self) -> str | None:
        """Why this machine would not make the same rows, or none that could be found again."""
        if not (self._job.folder / self._job.token).is_file():
            return f"it does not see the run folder {self._job.folder}"
        if provenance.code() != self._job.code:
            return "another version of mamtra_eval is installed there"
        if not os.access(self._job.folder, os.W_OK):
            return f"it can't write to {self._job.folder}"
        return None
