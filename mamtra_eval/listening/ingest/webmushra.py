"""CSV files of webMUSHRA (``lss.csv``, ``lms.csv``, ``mushra.csv``) and of pymushra.

webMUSHRA writes ``session_test_id``, the questionnaire's fields, ``trial_id``, and of Likert pages
``stimuli_rating`` (of several: ``stimuli_rating1``...), ``stimuli``, ``rating_time`` in ms; of
MUSHRA pages ``session_uuid``, ``rating_stimulus``, ``rating_score``, ``rating_time``,
``rating_comment``. pymushra delimits by semicolons, in any order of columns, with the prefixes
``wm_``, ``responses_`` and ``questionaire_`` (so spelt), and ratings as ``[4]``.

The trial is our trial's name, the stimulus our token, ``participant_id`` a field of the
questionnaire. Likert files have no session: the rows of one participant and list are one, until a
stimulus comes a second time; that begins the next. A rating of ``NA`` was not given. On a MUSHRA
page the stimulus ``reference`` is the hidden reference where the trial's own isn't among the rest.
Pages whose id begins with ``practice_`` are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ingest import checking, foreign, reading
from mamtra_eval.listening.ingest.checking import Answer, Draft
from mamtra_eval.listening.ingest.reading import Row
from mamtra_eval.listening.trials import Refusal, Session

_PEOPLE = ("participant_id", "questionaire_participant_id")
_UUIDS = ("session_uuid", "questionaire_uuid")
_TESTS = ("session_test_id", "wm_testid")
_TRIALS = ("trial_id", "wm_id")
_STIMULI = ("stimuli", "rating_stimulus", "responses_stimulus")
_RATINGS = (
    "stimuli_rating", "stimuli_rating1", "rating_score", "responses_stimulusrating",
    "responses_score",
)  # fmt: skip
_TIMES = ("rating_time", "responses_time")
_UNRATED = "NA"
_PRACTICE = "practice_"


@dataclass
class _Visit:
    """Rows of one session, by trial; what has come of it."""

    place: str
    participant: str
    uuid: str
    ordinal: int
    rows: dict[str, list[Row]] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)


def sniff(head: str) -> bool:
    """Whether its header is one of webMUSHRA's or pymushra's."""
    columns, _ = reading.header(head)
    return all(any(name in columns for name in names) for names in (_TRIALS, _STIMULI, _RATINGS))


def read(bundle: Bundle, path: Path) -> tuple[list[Session], list[Refusal]]:
    """Sessions of a file and what was refused; UserError where it can't be read at all."""
    if bundle.kind.is_pair:
        raise UserError(
            f"webMUSHRA has no page for {bundle.kind.name}: its paired comparison asks which clip "
            f"is the reference",
            where=str(path),
            fix="Give a CSV as the manual of plain says.",
        )
    table = reading.table(path)
    for names in (_TRIALS, _STIMULI, _RATINGS):
        if not any(name in table.columns for name in names):
            raise UserError(f"no column {' or '.join(names)}", where=str(path))
    name = reading.file_name(path)
    refusals = list(table.refusals)
    sessions = []
    for visit in _visits(bundle, table.rows):
        session, refused = checking.settle(bundle, name, _draft(bundle, visit))
        refusals += refused
        sessions += [session] if session is not None else []
    return sessions, refusals


def _visits(bundle: Bundle, rows: Sequence[Row]) -> list[_Visit]:
    """Rows by session."""
    lists = {trial.id: name for name, trials in bundle.lists.items() for trial in trials}
    open_: dict[tuple[str, str, str], _Visit] = {}
    counts: dict[tuple[str, str, str], int] = {}
    found: list[_Visit] = []
    for row in rows:
        uuid, person = row.get(*_UUIDS) or "", row.get(*_PEOPLE) or ""
        trial, stimulus = row.get(*_TRIALS) or "", row.get(*_STIMULI) or ""
        if trial.startswith(_PRACTICE):
            continue
        # A foreign trial belongs to whoever is answering, and is refused there.
        key = (uuid, person, "" if uuid else lists.get(trial, _last(found, person, lists)))
        visit = open_.get(key)
        if visit is None or (not uuid and (trial, stimulus) in visit.seen):
            counts[key] = counts.get(key, 0) + 1
            visit = open_[key] = _Visit(row.place, person, uuid, counts[key])
            found.append(visit)
        visit.seen.add((trial, stimulus))
        visit.rows.setdefault(trial, []).append(row)
    return found


def _last(found: list[_Visit], person: str, lists: dict[str, str]) -> str:
    """The list that a participant was last seen with."""
    for visit in reversed(found):
        if visit.participant == person:
            return next((lists[trial] for trial in visit.rows if trial in lists), "")
    return ""


def _draft(bundle: Bundle, visit: _Visit) -> Draft:
    first = next(iter(visit.rows.values()))[0]
    trial = next(iter(visit.rows))
    words = (visit.uuid,) if visit.uuid else (visit.participant, trial, visit.ordinal)
    name = checking.session_name(bundle, "webmushra", first.get(*_TESTS), *words)
    draft = Draft(visit.place, name, visit.participant, "webmushra")
    shown = {*_PEOPLE, *_UUIDS, *_TESTS, *_TRIALS, *_STIMULI, *_RATINGS, *_TIMES, "rating_comment"}
    draft.facts["questionnaire"] = {
        column: value for column, value in first.cells.items()
        if column not in shown and not column.startswith(("wm_", "responses_"))
    }  # fmt: skip
    unrated = []
    for trial, rows in visit.rows.items():
        if any((row.get(*_RATINGS) or "").strip("[]' ") in (_UNRATED, "") for row in rows):
            unrated.append(trial)
        else:
            draft.answers += _answers(bundle, trial, rows)
    draft.facts["unrated"] = unrated
    return draft


def _answers(bundle: Bundle, trial: str, rows: list[Row]) -> list[Answer]:
    """One answer of all rows of a MUSHRA trial; of single clips one a row: a second is refused."""
    groups = [rows] if bundle.kind.clips == 0 else [[row] for row in rows]
    return [_answer(bundle, trial, group) for group in groups]


def _answer(bundle: Bundle, trial: str, rows: list[Row]) -> Answer:
    lines = ", ".join(str(row.line) for row in rows)
    tokens = _tokens(bundle, trial, [row.get(*_STIMULI) or "" for row in rows])
    ratings = [_rating(row) for row, token in zip(rows, tokens, strict=True) if token is not None]
    times = [time for row in rows if (time := row.get(*_TIMES)) is not None]
    return Answer(
        f"line {lines}" if len(rows) == 1 else f"lines {lines}", trial,
        tuple(token for token in tokens if token is not None), ratings,
        rt_ms=max(times, key=lambda time: foreign.number(time) or -1.0, default=None),
    )  # fmt: skip


def _tokens(bundle: Bundle, trial: str, stimuli: list[str]) -> list[str | None]:
    """Our tokens; for ``reference`` the one that no other stimulus has, else ``None``."""
    known = bundle.key.trials.get(trial)
    rest = [token for token in (known.tokens if known else ()) if token not in stimuli]
    hidden = rest[0] if len(rest) == 1 else None
    return [hidden if stimulus == "reference" else stimulus for stimulus in stimuli]


def _rating(row: Row) -> str:
    """The one rating of a row, ``[4]`` as 4; of several the row as it is, to be refused."""
    found = row.get(*_RATINGS) or ""
    several = row.get("stimuli_rating2")
    if several is not None:
        return f"{found}, {several}"
    listed = re.fullmatch(r"\[\s*['\"]?([^,'\"\]]*)['\"]?\s*\]", found)
    return listed[1] if listed else found
