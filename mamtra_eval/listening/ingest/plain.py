"""A plain long CSV, one rating a row, for answers that came by any other way.

Needed columns, in any order and case: ``session``, ``rater``, ``trial``, ``token``, ``rating``.

session   any name of letters, digits, ``-``, ``_`` and ``.``; one person's way through one list.
          It is stored as it is: not what the person is known by
rater     how the study calls the person; empty for one of its own per session
trial     a trial of the bundle (``l03_07``); empty to find it by the token within the list
token     the clip; of a pair the one shown first
rating    a number of the scale; of a pair positive for the second clip as shown; empty or ``NA``
          where none was given

Optional: ``token2`` (of a pair the one shown second), ``position`` (from 1), ``list``, ``rt_ms``
(from the trial's appearance to its answer), ``heard`` (share of the clip, 0 to 1), ``plays``,
``at`` (ISO 8601). Other columns are passed over. Delimited by comma, semicolon or tab; a byte-order
mark may stand before. A MUSHRA trial has a row for each of its tokens.
"""

from __future__ import annotations

from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ingest import checking, foreign, reading
from mamtra_eval.listening.ingest.checking import Answer, Draft
from mamtra_eval.listening.ingest.reading import Row
from mamtra_eval.listening.trials import Refusal, Session

NEEDED = ("session", "rater", "trial", "token", "rating")
OPTIONAL = ("token2", "position", "list", "rt_ms", "heard", "plays", "at")


def sniff(head: str) -> bool:
    """Whether its header has every needed column."""
    columns, _ = reading.header(head)
    return all(name in columns for name in NEEDED)


def read(bundle: Bundle, path: Path) -> tuple[list[Session], list[Refusal]]:
    """Sessions of a file and what was refused; UserError where it can't be read at all."""
    table = reading.table(path)
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise UserError(
            f"no column {', '.join(missing)}",
            where=str(path),
            fix=f"Needed: {', '.join(NEEDED)}. Optional: {', '.join(OPTIONAL)}.",
        )
    name = reading.file_name(path)
    refusals = list(table.refusals)
    by_session: dict[str, list[Row]] = {}
    for row in table.rows:
        by_session.setdefault(row.get("session") or "", []).append(row)
    sessions = []
    for session, rows in by_session.items():
        settled, refused = checking.settle(bundle, name, _draft(bundle, name, session, rows,
                                                                refusals))  # fmt: skip
        refusals += refused
        sessions += [settled] if settled is not None else []
    return sessions, refusals


def _draft(
    bundle: Bundle, file: str, session: str, rows: list[Row], refusals: list[Refusal]
) -> Draft:
    first = rows[0]
    draft = Draft(first.place, session, first.get("rater") or "", "plain", first.get("list"))
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        for column, value in (("rater", draft.participant), ("list", draft.list_id or "")):
            if row.get(column) not in (None, value):
                why = f"the {column} is another than in {first.place} of the same session"
                refusals.append(Refusal(file, row.place, why))
                break
        else:
            if (row.get("rating") or "NA") != "NA":
                trial = row.get("trial")
                together = trial is not None and bundle.kind.clips == 0
                groups.setdefault((trial or "", 0 if together else row.line), []).append(row)
    draft.answers = [_answer(bundle, rows) for rows in groups.values()]
    times = [moment for row in rows if (moment := foreign.moment(row.get("at"))) is not None]
    draft.started_at = foreign.stamp(min(times)) if times else None
    return draft


def _answer(bundle: Bundle, rows: list[Row]) -> Answer:
    first = rows[0]
    lines = ", ".join(str(row.line) for row in rows)
    if bundle.kind.is_pair:
        second = first.get("token2")
        tokens: tuple[str, ...] = (first.get("token") or "", second or "")
        tokens = tokens if second is not None or first.get("token") is not None else ()
    else:
        tokens = tuple(row.get("token") or "" for row in rows)
    return Answer(
        f"line {lines}" if len(rows) == 1 else f"lines {lines}", first.get("trial"), tokens,
        [row.get("rating") for row in rows], first.get("position"), first.get("rt_ms"),
        _each(rows, "heard", len(tokens)), _each(rows, "plays", len(tokens)), first.get("at"),
    )  # fmt: skip


def _each(rows: list[Row], column: str, n: int) -> list[object] | None:
    """A column of the rows, one value a token; of a pair its one value stands for both."""
    found: list[object] = [row.get(column) for row in rows]
    if any(value is None for value in found):
        return None
    return found * n if len(found) == 1 else found
