"""What a page sends, checked line by line before it is kept.

A line is one JSON object of a session's record: ``seq`` counts from 0, ``type`` says what it is.
Only its form is checked here; what it means is for ``ingest/`` to judge. Text that can't be
written as UTF-8 (half of a surrogate pair), NUL, and numbers that are none (NaN, infinities) are
refused, since something further down would stumble over them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

MAX_LINE_BYTES = 16 * 1024
MAX_LINES = 10_000
"""Of one session: a test of an hour has a few hundred."""
MAX_TYPE = 64

SESSION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SECRET = re.compile(r"[0-9a-f]{32}")

Reason = Literal["form", "size", "secret", "unknown", "conflict", "gap"]


class Refused(Exception):  # noqa: N818 -- said of the request, not of the program
    """Something a page sent is not taken.

    Attributes:
        reason: which of the ways.
        what: is wrong, for people.
        fix: what to do.
        next_seq: the number of lines that are kept, where the session is known.
    """

    def __init__(self, reason: Reason, what: str, fix: str, next_seq: int | None = None) -> None:
        super().__init__(what, fix)
        self.reason: Reason = reason
        self.what = what
        self.fix = fix
        self.next_seq = next_seq


@dataclass(frozen=True)
class Line:
    """A line of the right form: as it came, and what it says."""

    text: str
    seq: int
    type: str
    values: dict[str, Any]


def read(texts: Sequence[str]) -> tuple[list[Line], Refused | None]:
    """The lines up to the first that is refused, and that refusal."""
    lines: list[Line] = []
    for text in texts:
        try:
            lines.append(_line(text))
        except Refused as refused:
            return lines, refused
    return lines, None


def text_fault(text: str) -> str | None:
    """Why a text can't be kept; ``None`` where it can."""
    if "\0" in text:
        return "has a NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "has half of a surrogate pair, which is no UTF-8"
    return None


def _line(text: str) -> Line:
    if fault := text_fault(text):
        raise _bad(fault)
    if len(text.encode("utf-8")) > MAX_LINE_BYTES:
        raise Refused(
            "size", f"A line is longer than {MAX_LINE_BYTES} bytes.", "Shorten its free text."
        )
    if "\n" in text or "\r" in text:
        raise _bad("has a line break")
    values = _object(text)
    seq, kind = values.get("seq"), values.get("type")
    if type(seq) is not int or seq < 0:
        raise _bad("has no seq that counts from 0")
    if seq >= MAX_LINES:
        raise Refused("size", f"A session has at most {MAX_LINES} lines.", "Begin a new session.")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_TYPE:
        raise _bad("has no type")
    return Line(text, seq, kind, values)


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, deep nesting
        raise _bad("is not JSON") from None
    if not isinstance(values, dict):
        raise _bad("is no JSON object")
    waiting: list[Any] = [values]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and (fault := text_fault(one)):
            raise _bad(fault)
        elif isinstance(one, float) and not math.isfinite(one):
            raise _bad("has a number that is not finite")
    return values


def _bad(fault: str) -> Refused:
    return Refused("form", f"A line {fault}.", "Send one JSON object a line, with seq and type.")
