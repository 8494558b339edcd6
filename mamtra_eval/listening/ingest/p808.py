"""Answer CSV of the P.808 toolkit, as Mechanical Turk gives it out: one row a session.

Columns, in any case: ``HITId``, ``WorkerId``, ``AssignmentId``, ``AssignmentStatus``, ``Input.*``
(the row of the publish batch), and of every question ``Answer.q1``, ``Answer.q1_url``,
``Answer.audio_n_finish_q1``. The clip's token is read out of its URL.

The comparison test names the processed clip alone (``Answer.q1_url``), with the sign turned so that
positive is for it; its partner stands in ``Input.Q0_R`` beside ``Input.Q0_P``, and the order in
``Answer.q1_order``: ``rp`` for the partner first, ``pr`` for the processed one.
"""

from __future__ import annotations

import re
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ingest import checking, foreign, reading
from mamtra_eval.listening.ingest.checking import Answer, Draft
from mamtra_eval.listening.ingest.reading import Row
from mamtra_eval.listening.trials import Refusal, Session

_QUESTION = re.compile(r"answer\.q(\d{1,3})")
_TOKEN = re.compile(r"s_[0-9a-f]{32}(?![0-9a-f])")


def sniff(head: str) -> bool:
    """Whether its header has workers and the URLs of questions."""
    columns, _ = reading.header(head)
    return "workerid" in columns and any(
        _QUESTION.fullmatch(column.removesuffix("_url")) for column in columns
    )


def read(bundle: Bundle, path: Path) -> tuple[list[Session], list[Refusal]]:
    """Sessions of a file and what was refused; UserError where it can't be read at all."""
    if bundle.kind.clips == 0:
        raise UserError(f"P.808 has no {bundle.kind.name}", where=str(path))
    table = reading.table(path)
    for column in ("workerid", "assignmentid"):
        if column not in table.columns:
            raise UserError(f"no column {column}", where=str(path))
    questions = sorted(
        int(found[1]) for column in table.columns if (found := _QUESTION.fullmatch(column))
    )
    name = reading.file_name(path)
    refusals = list(table.refusals)
    sessions = []
    for row in table.rows:
        assignment = row.get("assignmentid")
        if assignment is None:
            refusals.append(Refusal(name, row.place, "no AssignmentId"))
            continue
        draft = Draft(
            row.place, checking.session_name(bundle, "p808", assignment),
            row.get("workerid") or "", "p808", facts={"status": row.get("assignmentstatus")},
        )  # fmt: skip
        draft.answers = [
            answer for number in questions if (answer := _answer(bundle, row, number)) is not None
        ]
        session, refused = checking.settle(bundle, name, draft)
        refusals += refused
        sessions += [session] if session is not None else []
    return sessions, refusals


def _answer(bundle: Bundle, row: Row, number: int) -> Answer | None:
    """The answer of one question; ``None`` where nothing was answered."""
    rating, url = row.get(f"answer.q{number}"), row.get(f"answer.q{number}_url")
    if rating is None:
        return None
    place = f"{row.place}, q{number}"
    if bundle.kind.is_pair:
        return _pair(row, number, place, rating, url or "")
    finished = row.get(f"answer.audio_n_finish_q{number}")
    times = foreign.number(finished)
    heard = None if times is None else (1.0 if times >= 1 else 0.0,)
    return Answer(
        place, None, (_token(url or ""),), (rating,), heard=heard,
        plays=None if finished is None else (finished,),
    )  # fmt: skip


def _pair(row: Row, number: int, place: str, rating: str, processed: str) -> Answer:
    """The two clips as shown; the rating turned to the second of them."""
    partner = next(
        (
            row.cells.get(f"{column.removesuffix('_p')}_r", "")
            for column, value in row.cells.items()
            if column.startswith("input.") and column.endswith("_p") and value.strip() == processed
        ),
        "",
    )
    first, second = _token(partner), _token(processed)
    if row.get(f"answer.q{number}_order") == "pr":
        turned = foreign.number(rating)
        return Answer(place, None, (second, first), (rating if turned is None else 0.0 - turned,))
    return Answer(place, None, (first, second), (rating,))


def _token(url: str) -> str:
    """The token in a URL's last part; the URL itself where there is none, to be refused."""
    last = url.split("?")[0].rsplit("/", 1)[-1]
    found = _TOKEN.search(last)
    return found[0] if found else url
