"""What is asked and what came back: trials, their key, sessions and refusals.

A trial as raters see it tells nothing; its key says what it was. Sessions are the normal form
that every source of ratings is brought to (``ingest/``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["rated", "gold", "trap", "repeat", "null", "practice"]


@dataclass(frozen=True)
class Trial:
    """One question, as it is in the site.

    Attributes:
        id: unique in the bundle, ``l03_07``: list and position, from 1.
        tokens: clips in the order shown.
        reference: token of the clip that is shown as the reference.
    """

    id: str
    tokens: tuple[str, ...]
    reference: str | None = None


@dataclass(frozen=True)
class TokenKey:
    """What a token is.

    Attributes:
        system: name of a system of the bundle; ``None`` for a clip of a check.
        utterance: of the run.
        repeat: of the run's clip.
        made: what was done to it: ``clip`` (as it is), ``anchor``, ``gold``, ``trap``, ``repeat``,
            ``null``, ``practice``, ``reference``, ``headphones``, ``volume``.
        source_sha256: of the file it was made from.
    """

    system: str | None
    utterance: str | None
    repeat: int
    made: str
    source_sha256: str | None = None


@dataclass(frozen=True)
class TrialKey:
    """What a trial is.

    Attributes:
        expected: the answer of a gold trial or a trap, as shown (of a pair: positive for the
            second); of a null pair 0.
        tolerance: how far from that an answer may be.
        of: the trial of the same list that a repeat repeats.
    """

    role: Role
    tokens: tuple[str, ...]
    expected: float | None = None
    tolerance: float = 0.0
    of: str | None = None


@dataclass(frozen=True)
class Response:
    """One answered trial.

    Attributes:
        position: from 1, in the order answered.
        ratings: one a token; of a pair one, positive for the second clip as shown.
        rt_ms: from the trial's appearance to its answer, in milliseconds; ``None`` if not recorded.
        heard: of each token, the share that was played, 0 to 1; ``None`` if not recorded.
        plays: of each token; ``None`` if not recorded.
        at: when it was answered, UTC, ISO 8601; ``None`` if not recorded.
    """

    trial: str
    position: int
    tokens: tuple[str, ...]
    ratings: tuple[float, ...]
    rt_ms: float | None = None
    heard: tuple[float, ...] | None = None
    plays: tuple[int, ...] | None = None
    at: str | None = None


@dataclass(frozen=True)
class Session:
    """One person's way through one list; practice is left out.

    Attributes:
        rater: salted hash of the participant's identifier; of the session's where there was none.
        list_id: which list; ``None`` where the source does not tell.
        complete: whether it came to its end.
        simulated: whether a program answered.
        source: the format it came by.
        headphones: right answers and questions of the headphone check, where there was one.
        facts: what else was recorded (browser, questionnaire, problems), JSON values.
    """

    session: str
    rater: str
    list_id: str | None
    started_at: str | None
    complete: bool
    simulated: bool
    source: str
    responses: tuple[Response, ...]
    headphones: tuple[int, int] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """What was not taken from a file: where in it (``line 7``), and why."""

    file: str
    place: str
    why: str
