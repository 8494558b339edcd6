"""What is handed out, and what becomes of it when a worker is gone.

A payload whose worker died or hung while it alone was being worked on is tried again, elsewhere
where there is an elsewhere; after ``tries`` times it is quarantined: reported as lost, with the
reason. What else was in its batch is handed out again, one by one, and blamed for nothing. A batch
whose whole machine went away goes to another one; it is blamed only if that happens again and
again. Where nothing comes but deaths, ``give_up`` payloads in a row, the rest is not tried.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

OnResult = Callable[[Any, Any], None]
OnLost = Callable[[Any, str], None]


@dataclass(frozen=True)
class Need:
    """What a stage's workers need.

    Attributes:
        workers: at most this many, instead of the executor's own number.
        per_device: so many on every GPU, each of which sees a device of its own.
    """

    workers: int | None = None
    per_device: bool = False


NO_NEED = Need()

MOST_MOVES = 4
"""Machines that may vanish under a payload before it counts as a try: preemption is no fault."""


@dataclass(eq=False)
class Batch:
    """Payloads in one worker's hands, each with its number in the whole."""

    numbers: list[int]
    payloads: list[Any]
    pending: set[int] = field(default_factory=set)
    """Indices of those without a result."""

    def __post_init__(self) -> None:
        self.pending = {*range(len(self.payloads))}

    def rest(self) -> Batch:
        """Those without a result, together."""
        left = sorted(self.pending)
        return Batch([self.numbers[i] for i in left], [self.payloads[i] for i in left])

    def apart(self) -> list[Batch]:
        """Those without a result, each alone."""
        return [Batch([self.numbers[i]], [self.payloads[i]]) for i in sorted(self.pending)]


class Work:
    """The payloads of one stage, until each has a result or is lost.

    Args:
        batches: lists of payloads.
        on_result: called with (payload, result).
        on_lost: called with (payload, reason).
        tries: how often a payload may take its worker down.
        give_up: payloads in a row that took their workers down, after which the rest is not tried.
    """

    def __init__(
        self,
        batches: Iterable[Sequence[Any]],
        on_result: OnResult,
        on_lost: OnLost,
        tries: int,
        give_up: int,
    ) -> None:
        self._queue: deque[Batch] = deque()
        for batch in batches:
            first = self._queue[-1].numbers[-1] + 1 if self._queue else 0
            self._queue.append(Batch([*range(first, first + len(batch))], [*batch]))
        self._out: set[Batch] = set()
        self._on_result, self._on_lost = on_result, on_lost
        self._tries, self._give_up = tries, give_up
        self._fallen: defaultdict[int, list[str]] = defaultdict(list)
        self._moved: Counter[int] = Counter()
        self._in_a_row = 0

    @property
    def left(self) -> int:
        """Batches that wait or are out; at 0 all is done."""
        return len(self._queue) + len(self._out)

    @property
    def waiting(self) -> int:
        """Batches that nobody has."""
        return len(self._queue)

    def take(self, place: str = "", places: Collection[str] = ()) -> Batch | None:
        """The next batch for a worker at ``place``, if there is one.

        A payload that fell at a place is left for the others of ``places`` while it has not been
        tried at all of them.
        """
        for at, batch in enumerate(self._queue):
            fallen = {one for number in batch.numbers for one in self._fallen[number]}
            if place in fallen and {*places} - fallen:
                continue
            del self._queue[at]
            self._out.add(batch)
            return batch
        return None

    def done(self, batch: Batch, index: int, result: Any) -> None:  # noqa: ANN401 -- a handler's
        """A payload of the batch has its result."""
        if index not in batch.pending:  # told twice
            return
        batch.pending.discard(index)
        self._in_a_row = 0
        if not batch.pending:
            self._out.discard(batch)
        self._on_result(batch.payloads[index], result)

    def untouched(self, batch: Batch) -> None:
        """The worker was gone before it took the batch: it goes out again, nobody's fault."""
        self._out.discard(batch)
        self._queue.appendleft(batch.rest())

    def moved(self, batch: Batch, reason: str) -> None:
        """The machine is gone with the worker: what is left goes elsewhere."""
        self._out.discard(batch)
        self._moved.update(batch.rest().numbers)
        if all(self._moved[number] < MOST_MOVES for number in batch.rest().numbers):
            self._queue.appendleft(batch.rest())
        else:
            self.fell(batch, reason)

    def fell(self, batch: Batch, reason: str, place: str = "") -> None:
        """The worker died of the batch, or hung."""
        self._out.discard(batch)
        left = batch.apart()
        if len(left) != 1:  # which of them did it shows when each is tried alone
            self._queue.extendleft(reversed(left))
            return
        number = left[0].numbers[0]
        self._fallen[number].append(place)
        if len(self._fallen[number]) >= self._tries:
            self._lose(left[0], _told(reason, self._tries))
        else:
            self._queue.append(left[0])  # last: by then the neighbours' memory may be free
        self._in_a_row += len(self._fallen[number]) == 1  # a second try tells nothing new
        if self._in_a_row >= self._give_up:
            self._stop_trying(reason)

    def _lose(self, batch: Batch, reason: str) -> None:
        for payload in batch.payloads:
            self._on_lost(payload, reason)

    def _stop_trying(self, reason: str) -> None:
        """Give the rest up: a thing that only kills or hangs would take days to say so."""
        why = f"given up: {self._in_a_row} in a row took their workers down, the last: {reason}"
        while self._queue:
            self._lose(self._queue.popleft(), why)


def _told(reason: str, tries: int) -> str:
    return reason if tries == 1 else f"{reason}; quarantined after {tries} tries"
