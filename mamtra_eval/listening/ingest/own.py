"""The page's own sessions: JSON lines as downloaded, and the collector's database.

A file may have several sessions one after the other; each begins with its ``session`` line. Lines
count up by ``seq``; one that is there twice is read once. A session of another bundle, or of other
words or audio than this bundle's (``content_sha256``), is refused whole. Where the participant
withdrew, nothing but that fact is kept.

Facts of a session: ``agent``, ``consent`` (hash of what was agreed to), ``eligibility``,
``questionnaire``, ``problems``, ``seeks`` and ``hidden_ms`` (sums), ``withdrawn``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.collect.reading import read_sessions
from mamtra_eval.listening.ingest import checking, foreign, reading
from mamtra_eval.listening.ingest.checking import Answer, Draft
from mamtra_eval.listening.ratings import WITHDRAWN
from mamtra_eval.listening.trials import Refusal, Session

SCHEMA = 1
_PROBLEMS = 50
_DEEP = 20


@dataclass(frozen=True)
class _Line:
    place: str
    values: dict[str, Any]


def sniff(head: str) -> bool:
    """Whether it begins as a JSON object a line, or as a SQLite file."""
    return head.lstrip().startswith("{") or head.startswith(reading.SQLITE.decode())


def fingerprint(path: Path) -> str:
    """SHA-256 of what a file has; of a database of the rows, since its bytes change by themselves.

    Any file may be given, of whatever format.
    """
    with path.open("rb") as file:
        is_database = file.read(len(reading.SQLITE)) == reading.SQLITE
    if not is_database:
        return reading.sha256(path)
    digest = hashlib.sha256()
    for one in read_sessions(path):
        digest.update(repr(one).encode("utf-8", "backslashreplace"))
    return digest.hexdigest()


def read(bundle: Bundle, path: Path) -> tuple[list[Session], list[Refusal]]:
    """Sessions of a file and what was refused; UserError where it can't be read at all."""
    with path.open("rb") as file:
        is_database = file.read(len(reading.SQLITE)) == reading.SQLITE
    return _read_database(bundle, path) if is_database else _read_lines(bundle, path)


def _read_lines(bundle: Bundle, path: Path) -> tuple[list[Session], list[Refusal]]:
    name = reading.file_name(path)
    refusals: list[Refusal] = []
    sessions: list[list[_Line]] = []
    lines = ((f"line {n}", one) for n, one in enumerate(reading.text(path).split("\n"), start=1))
    for line in _parsed(name, lines, refusals):
        if line.values["type"] == "session":
            sessions.append([line])
        elif sessions:
            sessions[-1].append(line)
        else:
            refusals.append(Refusal(name, line.place, "no session line stands before it"))
    return _settled(bundle, name, sessions, refusals)


def _read_database(bundle: Bundle, path: Path) -> tuple[list[Session], list[Refusal]]:
    name = reading.file_name(path)
    refusals: list[Refusal] = []
    sessions: list[list[_Line]] = []
    waiting: list[Session] = []
    for one in read_sessions(path):
        lines = ((f"session {one.session}, line {seq}", line) for seq, line in enumerate(one.lines))
        found = list(_parsed(name, lines, refusals))
        if found and found[0].values.get("session") == one.session:
            sessions.append(found)
        elif found:
            why = "its first line is not the session's own"
            refusals.append(Refusal(name, f"session {one.session}", why))
        else:
            draft = Draft(f"session {one.session}", str(one.session), str(one.participant or ""),
                          "own", str(one.list), one.started_at, complete=False)  # fmt: skip
            empty, refused = checking.settle(bundle, name, draft)
            waiting += [empty] if empty else []
            refusals += refused
    settled, refusals = _settled(bundle, name, sessions, refusals)
    return settled + waiting, refusals


def _parsed(
    name: str, lines: Iterable[tuple[str, object]], refusals: list[Refusal]
) -> Iterator[_Line]:
    for place, line in lines:
        if not isinstance(line, str):
            refusals.append(Refusal(name, place, "no text"))
            continue
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = f"no JSON ({str(error)[:100]}): cut off, or changed by hand"
            refusals.append(Refusal(name, place, why))
            continue
        if not isinstance(values, dict) or not isinstance(values.get("type"), str):
            refusals.append(Refusal(name, place, "no JSON object with a type"))
        elif _is_deep(values):
            refusals.append(Refusal(name, place, f"nested deeper than {_DEEP} levels"))
        else:
            yield _Line(place, values)


def _is_deep(values: object) -> bool:
    level = [values]
    for _ in range(_DEEP):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)


def _settled(
    bundle: Bundle, name: str, sessions: list[list[_Line]], refusals: list[Refusal]
) -> tuple[list[Session], list[Refusal]]:
    settled = []
    for lines in sessions:
        why = _foreign(bundle, lines[0].values)
        if why is not None:
            refusals.append(Refusal(name, lines[0].place, f"the whole session is refused: {why}"))
            continue
        draft = _draft(bundle, _in_order(name, lines, refusals))
        session, refused = checking.settle(bundle, name, draft)
        refusals += refused
        settled += [session] if session is not None else []
    return settled, refusals


def _foreign(bundle: Bundle, first: dict[str, Any]) -> str | None:
    """Why a session is none of this bundle's; ``None`` where it is."""
    if first["type"] != "session":
        return "it doesn't begin with its session line"
    if first.get("schema") != SCHEMA or isinstance(first.get("schema"), bool):
        return f"its schema is {foreign.shown(first.get('schema'))}, not {SCHEMA}"
    if first.get("bundle_id") != bundle.id:
        return f"it is of the bundle {foreign.shown(first.get('bundle_id'))}, not {bundle.id}"
    if first.get("content_sha256") != bundle.content_sha256:
        return "content_sha256 is another: its audio, lists or words were not this bundle's"
    for key in ("session", "participant", "list"):
        if not isinstance(first.get(key, ""), str) or (key != "participant" and key not in first):
            return f"{key} is missing or no text"
    return None


def _in_order(name: str, lines: list[_Line], refusals: list[Refusal]) -> list[_Line]:
    """Lines by ``seq``, each once; what is missing or doubled otherwise is told."""
    taken: dict[int, _Line] = {}
    expected = 0
    for line in lines:
        seq = line.values.get("seq")
        if not isinstance(seq, int) or isinstance(seq, bool) or seq < 0:
            refusals.append(Refusal(name, line.place, f"seq is {foreign.shown(seq)}"))
        elif seq in taken:
            if taken[seq].values != line.values:
                why = f"another line has seq {seq} already: the first stays"
                refusals.append(Refusal(name, line.place, why))
        else:
            if seq > expected:
                why = f"before this line, lines {expected} to {seq - 1} of the session are missing"
                refusals.append(Refusal(name, line.place, why))
            taken[seq] = line
            expected = max(expected, seq + 1)
    return [taken[seq] for seq in sorted(taken)]


def _draft(bundle: Bundle, lines: list[_Line]) -> Draft:
    first = lines[0] if lines else _Line("line 1", {})
    values = first.values
    draft = Draft(
        first.place, str(values.get("session", "")), str(values.get("participant", "")), "own",
        values.get("list"), values.get("at"), complete=False,
        simulated=values.get("simulated") is True,
        facts={"agent": values.get("agent"), "consent": None, "problems": []},
    )  # fmt: skip
    for line in lines[1:]:
        _read_line(bundle, draft, line)
    if draft.facts.get(WITHDRAWN):
        draft.facts = {WITHDRAWN: True}
        draft.answers, draft.headphones, draft.complete = [], None, False
    return draft


def _read_line(bundle: Bundle, draft: Draft, line: _Line) -> None:
    values, facts = line.values, draft.facts
    match values["type"]:
        case "rating" if values.get("ratings") is not None:
            draft.answers.append(_answer(line))
            for key in ("seeks", "hidden_ms"):
                facts[key] = facts.get(key, 0) + (foreign.number(values.get(key)) or 0)
        case "consent":
            facts["consent"] = values.get("sha256") if values.get("agreed") is True else None
        case "eligibility" | "questionnaire":
            facts[values["type"]] = values.get("answers")
        case "headphones":
            draft.headphones = _headphones(bundle, values.get("answers"))
        case "problem" if len(facts["problems"]) < _PROBLEMS:
            known = {key: values.get(key) for key in ("code", "token", "trial")}
            facts["problems"].append({key: str(value)[:200] for key, value in known.items()})
        case "withdraw":
            facts[WITHDRAWN] = True
        case "end":
            draft.complete = values.get("complete") is True


def _answer(line: _Line) -> Answer:
    values = line.values
    trial = values.get("trial")
    return Answer(
        line.place, trial if isinstance(trial, str) else str(trial)[:100],
        tuple(str(one) for one in _sequence(values.get("tokens"))),
        _sequence(values["ratings"]), values.get("position"), values.get("rt_ms"),
        _optional(values.get("heard")), _optional(values.get("plays")), values.get("at"),
    )  # fmt: skip


def _headphones(bundle: Bundle, answers: object) -> tuple[int, int] | None:
    expected = bundle.key.headphones
    if not expected or not isinstance(answers, list):
        return None
    given = {
        one["token"]: one.get("choice")
        for one in answers
        if isinstance(one, dict) and isinstance(one.get("token"), str)
    }
    right = sum(given.get(token) == choice for token, choice in expected.items())
    return right, len(expected)


def _sequence(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _optional(value: object) -> list[object] | None:
    return None if value is None else _sequence(value)
