"""Sessions as the answers that the P.808 toolkit reads, to have its numbers beside ours.

One row a session with the columns that ``result_parser.py`` asks for. Its hearing, bandwidth and
environment tests were not part of our sessions: their columns are empty, which it takes for
sections that were not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.exports import shared
from mamtra_eval.listening.exports.p808_plan import Plan, Question, input_row, padded
from mamtra_eval.listening.trials import Response, Session

HEARD = 0.95
"""Share of a clip that counts as played to its end."""


def answers_csv(bundle: Bundle, sessions: Sequence[Session], path: Path, *, base_url: str) -> None:
    """Write sessions as an answer file of the toolkit.

    Args:
        bundle: that they are of, of a kind that ``p808`` holds.
        sessions: complete ones with a known list.
        path: the CSV file.
        base_url: as in the export.

    Raises:
        UserError: where a session has no list or lacks an answer.
    """
    plan = Plan(bundle)
    url = base_url if base_url.endswith("/") else f"{base_url}/"
    rows = [_row(plan, session, url) for session in sessions]
    columns = list(rows[0]) if rows else []
    shared.table(path, columns, [list(row.values()) for row in rows])


def _row(plan: Plan, session: Session, url: str) -> dict[str, str]:
    name = session.list_id
    if name is None or name not in plan.sheets:
        raise UserError(
            f"session {session.session} has no list of this bundle",
            fix="Give sessions whose list is known.",
        )
    row = {
        "HITId": name,
        "WorkerId": session.rater,
        "AssignmentId": session.session,
        "AssignmentStatus": "Submitted",
    }
    for column, value in input_row(plan, name, url).items():
        row[f"Input.{column}"] = value
    sheet = plan.sheets[name]
    checks = [one for one in (sheet.trap, sheet.gold) if one is not None]
    answered = {response.trial: response for response in session.responses}
    for number, question in enumerate([*padded(plan, sheet), *checks], 1):
        response = answered.get(question.trial)
        if response is None:
            raise UserError(
                f"session {session.session} has no answer to {question.trial}",
                fix="Give complete sessions only.",
            )
        row |= _answer(plan.method, number, question, response, url)
    empty = ("Math", "audio_n_play_math1", "t1", "2_birth_year", "8_hearing", "cmp1")
    return row | {f"Answer.{column}": "" for column in empty}


def _answer(
    method: str, number: int, question: Question, response: Response, url: str
) -> dict[str, str]:
    heard = response.heard is None or min(response.heard) >= HEARD
    played = f"q{number}" if method == "acr" else f"q_{number}"
    row = {
        f"Answer.q{number}": f"{0 + question.sign * response.ratings[0]:g}",
        f"Answer.q{number}_url": url + question.clip,
        f"Answer.audio_n_finish_{played}": str(int(heard)),
    }
    if method == "ccr":
        row[f"Answer.q{number}_order"] = "rp" if question.sign > 0 else "pr"
    return row
