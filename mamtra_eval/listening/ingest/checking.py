"""Answers held against the bundle: what fits becomes a session, what doesn't becomes a refusal.

Every format hands over drafts: sessions with answers as they stood in the file. One answer that
can't be is refused alone, with where it stood and why; the session's others are kept. A session is
refused whole where it belongs to another bundle, or its list can't be told.

An answer is refused where its trial is unknown, of another list or answered before in the session
(the first stays); its tokens are unknown or not the trial's; a rating is no finite number, or none
of the scale's; its time or position is impossible. What a format doesn't record is ``None`` and not
checked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ingest.foreign import moment, number, shown, stamp
from mamtra_eval.listening.trials import Refusal, Response, Session, Trial

BACKWARDS = timedelta(minutes=1)
"""How far an answer's time may lie before that of the one before it."""
AHEAD = timedelta(days=1)
"""How far a time may lie in the future: clocks of raters are not ours."""
_LONGEST_MS = 86_400_000.0
_SESSION = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True)
class Answer:
    """One answer as a file has it.

    Attributes:
        place: where it stands, ``line 7``.
        trial: its name; ``None`` to find it by its tokens.
        tokens: as shown; of a pair the first, then the second; ``None`` for those of the trial.
        ratings: numbers or texts; of a pair one, positive for the second of ``tokens``.
        heard: shares, one a token.
        plays: numbers, one a token.
        at: ISO 8601.
    """

    place: str
    trial: str | None
    tokens: tuple[str, ...] | None
    ratings: Sequence[object]
    position: object = None
    rt_ms: object = None
    heard: Sequence[object] | None = None
    plays: Sequence[object] | None = None
    at: object = None


@dataclass
class Draft:
    """A session as a file has it; ``list_id`` is found by the answers where it is ``None``."""

    place: str
    session: str
    participant: str
    source: str
    list_id: str | None = None
    started_at: object = None
    complete: bool = True
    simulated: bool = False
    headphones: tuple[int, int] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)


class _Unfit(Exception):  # noqa: N818 -- says why an answer is refused; never leaves this module
    pass


def rater(bundle: Bundle, participant: str) -> str:
    """The name of a participant in tables: salted hash, so that it tells nothing."""
    salted = f"{bundle.key.salt}{participant}".encode("utf-8", "surrogatepass")
    return f"r_{hashlib.sha256(salted).hexdigest()[:16]}"


def session_name(bundle: Bundle, *words: object) -> str:
    """A name for a session of a format that gives it none: the same at every reading."""
    text = "|".join([bundle.key.salt, bundle.id, *map(str, words)])
    return f"x_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}"


def settle(bundle: Bundle, file: str, draft: Draft) -> tuple[Session | None, list[Refusal]]:
    """The session of a draft with the answers that fit, and what was refused.

    The session is ``None`` where it can't be one of this bundle, or had answers and none fits.
    """
    if not _SESSION.fullmatch(draft.session):
        why = f"the session is named {shown(draft.session)}: letters, digits, '-', '_', '.' only"
        return None, [Refusal(file, draft.place, why)]
    list_id = draft.list_id if draft.list_id is not None else _list_of(bundle, draft.answers)
    if draft.answers and list_id is None:
        return None, [
            Refusal(file, one.place, f"nothing here is of this bundle: {_names(one)}")
            for one in draft.answers
        ]
    if list_id is not None and list_id not in bundle.lists:
        why = f"the bundle has no list {shown(list_id)}"
        return None, [Refusal(file, draft.place, why)]
    answers = _Answers(bundle, list_id)
    started = moment(draft.started_at)
    if started is not None and started > answers.latest_possible:
        return None, [Refusal(file, draft.place, f"it began in the future ({stamp(started)})")]
    responses, refusals = [], []
    for answer in draft.answers:
        try:
            responses.append(answers.take(answer))
        except _Unfit as why:
            refusals.append(Refusal(file, answer.place, str(why)))
    if draft.answers and not responses:
        return None, refusals
    who = rater(bundle, draft.participant or f"session {draft.session}")
    session = Session(
        draft.session, who, list_id, None if started is None else stamp(started), draft.complete,
        draft.simulated, draft.source, tuple(responses), draft.headphones, draft.facts,
    )  # fmt: skip
    return session, refusals


class _Answers:
    """The answers of one session as they are taken, one after the other."""

    def __init__(self, bundle: Bundle, list_id: str | None) -> None:
        self.bundle = bundle
        self.list_id = list_id
        self.trials = {trial.id: trial for trial in bundle.lists.get(list_id or "", ())}
        self.taken: set[str] = set()
        self.positions: set[int] = set()
        self.before: datetime | None = None
        created = moment(bundle.manifest["created"]) or datetime.now(UTC)
        self.latest_possible = max(datetime.now(UTC), created) + AHEAD

    def take(self, answer: Answer) -> Response:
        """The response; raises ``_Unfit``."""
        if len(self.taken) >= len(self.trials):
            raise _Unfit(f"more answers than {self.list_id} has trials ({len(self.trials)})")
        trial = self._trial(answer)
        tokens = self._tokens(answer, trial)
        ratings = self._ratings(answer, tokens)
        rt_ms = self._rt(answer.rt_ms)
        heard = _each(answer.heard, tokens, 1.0, "share heard")
        plays = _each(answer.plays, tokens, 10_000.0, "number of plays")
        position = self._position(answer.position)
        at = self._at(answer.at)
        self.taken.add(trial.id)
        self.positions.add(position)
        return Response(
            trial.id, position, tokens, ratings, rt_ms, heard,
            None if plays is None else tuple(round(one) for one in plays), at,
        )  # fmt: skip

    def _trial(self, answer: Answer) -> Trial:
        if answer.trial is None:
            return self._trial_by_tokens(answer)
        trial = self.trials.get(answer.trial)
        if trial is None:
            if answer.trial in self.bundle.key.trials:
                raise _Unfit(f"trial {answer.trial} is not of list {self.list_id}")
            raise _Unfit(f"the bundle has no trial {shown(answer.trial)}")
        if trial.id in self.taken:
            raise _Unfit(f"trial {trial.id} was answered before in this session: the first stays")
        return trial

    def _trial_by_tokens(self, answer: Answer) -> Trial:
        found = [
            trial for trial in self.trials.values()
            if answer.tokens is not None and sorted(trial.tokens) == sorted(answer.tokens)
        ]  # fmt: skip
        if not found:
            self._known(answer.tokens or ())
            raise _Unfit(f"list {self.list_id} has no trial of {_names(answer)}")
        free = [trial for trial in found if trial.id not in self.taken]
        if not free:
            raise _Unfit(f"{_names(answer)} was answered before in this session: the first stays")
        return free[0]

    def _known(self, tokens: Sequence[str]) -> None:
        for token in tokens:
            if token not in self.bundle.key.tokens:
                raise _Unfit(f"the bundle has no token {shown(token)}")

    def _tokens(self, answer: Answer, trial: Trial) -> tuple[str, ...]:
        if answer.tokens is None:
            return trial.tokens
        self._known(answer.tokens)
        foreign = [token for token in answer.tokens if token not in trial.tokens]
        if foreign:
            raise _Unfit(f"token {foreign[0]} is not of trial {trial.id}")
        if sorted(answer.tokens) != sorted(trial.tokens):
            raise _Unfit(
                f"{len(set(answer.tokens))} of the {len(trial.tokens)} tokens of trial {trial.id}"
            )
        return answer.tokens

    def _ratings(self, answer: Answer, tokens: tuple[str, ...]) -> tuple[float, ...]:
        kind = self.bundle.kind
        wanted = 1 if kind.is_pair else len(tokens)
        if len(answer.ratings) != wanted:
            raise _Unfit(f"{len(answer.ratings)} ratings where {wanted} belong")
        found = []
        for value in answer.ratings:
            rating = number(value)
            if rating is None:
                raise _Unfit(f"the rating {shown(value)} is no number")
            if not kind.scale.admits(rating):
                scale = f"{kind.scale.low:g} to {kind.scale.high:g} by {kind.scale.step:g}"
                raise _Unfit(f"the rating {rating:g} is off the scale ({scale})")
            found.append(rating)
        return tuple(found)

    @staticmethod
    def _rt(value: object) -> float | None:
        if value is None:
            return None
        rt_ms = number(value)
        if rt_ms is None or not 0 <= rt_ms <= _LONGEST_MS:
            raise _Unfit(f"the time to answer, {shown(value)} ms, is impossible")
        return rt_ms

    def _position(self, value: object) -> int:
        if value is None:
            return len(self.taken) + 1
        position = number(value)
        if position is None or position != round(position) or not 1 <= position <= len(self.trials):
            raise _Unfit(
                f"the position {shown(value)} is impossible (1 to {len(self.trials)} in "
                f"{self.list_id})"
            )
        if position in self.positions:
            raise _Unfit(f"position {position:g} was taken before in this session")
        return round(position)

    def _at(self, value: object) -> str | None:
        if value is None:
            return None
        at = moment(value)
        if at is None:
            raise _Unfit(f"the time {shown(value)} is not ISO 8601")
        if at > self.latest_possible:
            raise _Unfit(f"the time {stamp(at)} lies in the future")
        before, self.before = self.before, at  # so that a clock set back costs one answer
        if before is not None and at < before - BACKWARDS:
            raise _Unfit(f"the time {stamp(at)} lies before the answer before it ({stamp(before)})")
        return stamp(at)


def _each(
    values: Sequence[object] | None, tokens: tuple[str, ...], most: float, what: str
) -> tuple[float, ...] | None:
    if values is None:
        return None
    found = [number(value) for value in values]
    good = [value for value in found if value is not None and 0 <= value <= most]
    if len(good) != len(tokens) or len(found) != len(tokens):
        listed = shown(", ".join(str(value)[:20] for value in list(values)[:12]))
        raise _Unfit(f"the {what}, {listed}, is impossible ({len(tokens)} between 0 and {most:g})")
    return tuple(good)


def _list_of(bundle: Bundle, answers: Sequence[Answer]) -> str | None:
    """The list that most of the answers are of; the first of several."""
    fitting: dict[str, int] = {}
    for name, trials in bundle.lists.items():
        ids = {trial.id for trial in trials}
        sets = {tuple(sorted(trial.tokens)) for trial in trials}
        fitting[name] = sum(
            answer.trial in ids if answer.trial is not None
            else tuple(sorted(answer.tokens or ())) in sets
            for answer in answers
        )  # fmt: skip
    best = max(fitting, key=lambda name: fitting[name], default=None)
    return best if best is not None and fitting[best] else None


def _names(answer: Answer) -> str:
    if answer.trial is not None:
        return f"trial {shown(answer.trial)}"
    return "token " + ", ".join(shown(token) for token in answer.tokens or ())
