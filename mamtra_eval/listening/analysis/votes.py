"""Answers joined with the key: whose votes they are, and which were given twice.

A vote is one rating of one system at one item (of a pair: of two systems). Only votes of the role
``rated`` count as such; repeats and null pairs are kept apart, and what gold trials and traps say
is ``screening``'s.

    single clip, mushra   ``system`` and its rating; mushra gives one vote a token
    pairs                 ``system`` was shown first, ``other`` second; the rating is as shown,
                          positive where the second was better
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mamtra_eval.listening.bundle import Bundle, Key
from mamtra_eval.listening.trials import Response, Session
from mamtra_eval.statistics.crossed import Votes


@dataclass(frozen=True)
class Vote:
    """One rating with its key.

    Attributes:
        list_id: of the session; ``None`` where the source does not tell.
        position: of the trial in its session, from 1.
        item: the utterance.
        other: of a pair, the system that was shown second.
        rating: on the scale, as given.
    """

    session: str
    rater: str
    list_id: str | None
    trial: str
    position: int
    item: str
    system: str
    other: str | None
    rating: float

    @property
    def unit(self) -> str:
        """What was rated: a system, or two in any order, at an item."""
        return "\t".join([*sorted(filter(None, (self.system, self.other))), self.item])


@dataclass(frozen=True)
class Again:
    """Two ratings of the same by the same rater: ``first`` and, later, ``second``."""

    session: str
    rater: str
    first: float
    second: float


@dataclass(frozen=True)
class Joined:
    """What sessions hold.

    Attributes:
        votes: of the role ``rated``.
        again: of repeats.
        null: ratings of pairs of two equal clips, as shown.
    """

    votes: tuple[Vote, ...]
    again: tuple[Again, ...]
    null: tuple[float, ...]


def join(bundle: Bundle, sessions: Iterable[Session]) -> Joined:
    """Votes and repeats of sessions, in their order."""
    pairs = bundle.kind.is_pair
    votes: list[Vote] = []
    again: list[Again] = []
    null: list[float] = []
    for session in sessions:
        answered = {one.trial: one for one in session.responses}
        for response in session.responses:
            key = bundle.key.trials[response.trial]
            if key.role == "rated":
                votes += _votes(bundle.key, session, response, pairs)
            elif key.role == "repeat" and key.of in answered:
                again += _again(bundle.key, session, answered[key.of], response, pairs)
            elif key.role == "null":
                null += response.ratings
    return Joined(tuple(votes), tuple(again), tuple(null))


def crossed(votes: Sequence[Vote]) -> Votes:
    """Ratings, raters and items as arrays, for the statistics."""
    return Votes(
        np.array([vote.rating for vote in votes], dtype=np.float64),
        np.array([vote.rater for vote in votes], dtype=np.str_),
        np.array([vote.item for vote in votes], dtype=np.str_),
    )


def first_of_unit(votes: Iterable[Vote]) -> list[Vote]:
    """Of several votes of a rater on the same unit the first: what agreement is computed of."""
    found: dict[tuple[str, str], Vote] = {}
    for vote in votes:
        found.setdefault((vote.rater, vote.unit), vote)
    return list(found.values())


def _votes(key: Key, session: Session, response: Response, pairs: bool) -> list[Vote]:
    systems = _systems(key, response)
    item = key.tokens[response.tokens[0]].utterance or ""
    rows: list[tuple[str, str | None, float]]
    if pairs:
        rows = [(systems[0], systems[1], response.ratings[0])]
    else:
        rows = [(one, None, own) for one, own in zip(systems, response.ratings, strict=True)]
    return [
        Vote(session.session, session.rater, session.list_id, response.trial, response.position,
             item, system, other, rating)
        for system, other, rating in rows
    ]  # fmt: skip


def _again(
    key: Key, session: Session, earlier: Response, later: Response, pairs: bool
) -> list[Again]:
    """Ratings of what is repeated beside those of the repeat, in the order of the former."""
    before, after = _systems(key, earlier), _systems(key, later)
    if pairs:
        sign = 1.0 if before == after else -1.0
        values = [(earlier.ratings[0], sign * later.ratings[0])]
    else:
        first = dict(zip(before, earlier.ratings, strict=True))
        values = [
            (first[system], rating)
            for system, rating in zip(after, later.ratings, strict=True)
            if system in first
        ]
    return [Again(session.session, session.rater, *both) for both in values]


def _systems(key: Key, response: Response) -> list[str]:
    """Of every clip, in the order shown."""
    return [key.tokens[token].system or "" for token in response.tokens]
