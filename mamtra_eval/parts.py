"""Parts of a plan: which of its clips one machine makes where many share the work.

Part ``3/48`` of a plan is a share of its clips that follows from test set, systems' names and
repeats alone, so that every machine deals the same. The clips of one system and repeat are sorted
by the length of their text and dealt in snake order (1 2 3 3 2 1 1 2 …), from a part that the
system's name chooses: every part gets as many clips of a system, to within one, and about as much
to say. What a row depends on is the whole plan's: a system is asked for its identity with all its
requests, so that parts can be held against each other and joined (``joining``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.systems import Request

META, DISTRIBUTED = "part", "distributed"
"""Where a run folder keeps which part it is, and how its clips came to be on several machines."""
SHARDS = "shards"
"""The folder in a run folder where its shards lie, if they lie there."""
MOST = 10_000


@dataclass(frozen=True, order=True)
class Part:
    """One of several parts of a plan.

    Attributes:
        index: counted from 1.
        count: of all parts.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        """UserError for a part that does not exist."""
        if not 1 <= self.index <= self.count <= MOST:
            raise UserError(
                f"there is no shard {self.index} of {self.count}",
                fix=f"Shards are counted from 1 to their number, at most {MOST:,}: --shard 3/48.",
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, requests: Sequence[Request], system: str) -> list[Request]:
        """This part of a system's requests, in their order.

        Args:
            requests: all of the plan's for the system.
            system: its name.
        """
        owned = owners(requests, system, self.count)
        return [one for one in requests if owned[one.utterance, one.repeat] == self.index]


def parse(text: str) -> Part:
    """A part from ``3/48``; UserError names what is wrong."""
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if found is None:
        raise UserError(f"{text!r} is no shard", fix="Write --shard 3/48: the third of 48.")
    return Part(int(found[1]), int(found[2]))


def folder(run: Path, part: Part) -> Path:
    """Where a shard of a run lies by default."""
    return run / SHARDS / f"{part.index:03d}"


def of_meta(value: Mapping[str, Any] | None) -> Part | None:
    """The part that a run folder says it is, if it is one."""
    return None if value is None else Part(value["index"], value["count"])


def to_meta(part: Part | None) -> dict[str, Any] | None:
    """The part as a run folder keeps it."""
    return None if part is None else asdict(part)


def owners(requests: Sequence[Request], system: str, count: int) -> dict[tuple[str, int], int]:
    """The index of the part that makes each clip, by utterance and repeat.

    Each repeat is dealt by itself, so that a further one moves no clip to another part.
    """
    by_repeat: dict[int, list[Request]] = {}
    for request in requests:
        by_repeat.setdefault(request.repeat, []).append(request)
    found = {}
    for repeat, own in by_repeat.items():
        start = _start(system, repeat, count)
        longest_first = sorted(own, key=lambda one: (-len(one.text), one.utterance))
        for position, request in enumerate(longest_first):
            turn, place = divmod(position, count)
            seat = place if turn % 2 == 0 else count - 1 - place
            found[request.utterance, repeat] = (start + seat) % count + 1
    return found


def _start(system: str, repeat: int, count: int) -> int:
    """Where dealing begins, so that what can't be dealt evenly does not fall on the same part."""
    digest = hashlib.sha256(f"{system}\x1f{repeat}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % count
