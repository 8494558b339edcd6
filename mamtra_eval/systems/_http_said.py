"""What a server said, as it may be shown: in one line, bounded, and without the API key.

Some servers quote the key that they refuse: in a body, a header, a reason phrase, an event. A key
that was cut is not found any more, so it is taken out before anything is cut, also in the forms
that JSON and addresses give it (hosts: lower case), and a piece of it at the end of what was read
goes too.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from mamtra_eval.systems._http_options import EXTRACT, one_line

HIDDEN = "***"
SHOWN_OF = 4 * EXTRACT
"""Characters of a body or event of which the beginning is shown."""

READ_OF = 65_536
"""Bytes of a body that are looked through: longer ones are not parsed as JSON."""

BINARY_EXTRACT = 80
"""Characters that are shown of what is no text."""

SPACE = "\t\r\n"
UTF_8_BOM, UTF_16_BOMS = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


class Said:
    """Makes text of a server fit for errors; ``key`` is what never appears in it."""

    def __init__(self, key: str | None = None) -> None:
        self._key = key or ""
        self._forms = re.compile(_in_any_form(self._key) if key else "(?!)", re.IGNORECASE)

    def hide(self, text: str) -> str:
        """Any text without the key."""
        return self._forms.sub(HIDDEN, text)

    def line(self, text: str, limit: int = EXTRACT) -> str:
        """One line of at most ``limit`` characters, without the key."""
        return one_line(self.hide(text), limit)

    def beginning(self, data: bytes, limit: int = EXTRACT) -> str:
        """The first characters of bytes that may have been cut anywhere, within the key too."""
        text = _decoded(data[:READ_OF]).replace("\0", "")  # of UTF-16 that doesn't say what it is
        return one_line(self._without_tail(self.hide(text)[: SHOWN_OF + len(self._key)]), limit)

    def reason(self, data: bytes) -> str:
        """Why there is no audio, as far as what came instead of it says so."""
        message = _message(data)
        if message is not None:
            return f"the server says: {self.line(message)}"
        limit = EXTRACT if is_text(data[:SHOWN_OF]) else BINARY_EXTRACT
        return f"beginning {self.beginning(data, limit)!r}"

    def _without_tail(self, text: str) -> str:
        """Text without a piece of the key at its end."""
        for size in range(min(len(self._key) - 1, len(text)), 0, -1):
            if text.lower().endswith(self._key[:size].lower()):
                return text[:-size] + HIDDEN if size > 3 else text
        return text


def is_text(first: bytes) -> bool:
    """Whether bytes, cut anywhere, are characters, as the samples of speech never are for long.

    Four bytes of ASCII, 16 of other UTF-8 with letters in it, or UTF-16 that begins with its mark
    and is ASCII for the most part.
    """
    if first.startswith(UTF_16_BOMS):
        text = _decoded(first)
        plain = sum(char.isascii() for char in text)
        return len(text) >= 4 and 2 * plain > len(text) and _printable(text)
    try:
        text = first.removeprefix(UTF_8_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        if len(first) - error.start > 3 or "unexpected end" not in error.reason:
            return False
        text = first[: error.start].decode("utf-8")
    if any((ord(char) < 32 and char not in SPACE) or 127 <= ord(char) < 160 for char in text):
        return False
    if text.isascii():
        return len(text) >= 4
    return len(first) >= 16 and any(char.isalpha() for char in text)


def _in_any_form(key: str) -> str:
    """A pattern of a key, each character as it is, or escaped as in JSON or an address; base64."""
    each = "".join(
        rf"(?:\\?{re.escape(char)}|%{ord(char):02x}|\\u{ord(char):04x}{'|[+]' * (char == ' ')})"
        for char in key
    )
    coded = [base64.b64encode(f"{front}{key}".encode()).decode() for front in ("", "Bearer ")]
    return "|".join([each, *map(re.escape, coded)])


def _printable(text: str) -> bool:
    return all((char.isprintable() and char < "\ufe00") or char in SPACE for char in text)


def _decoded(data: bytes) -> str:
    if data.startswith(UTF_16_BOMS):
        return data[: len(data) // 2 * 2].decode("utf-16", "replace")
    return data.decode("utf-8", "replace")


def _message(data: bytes) -> str | None:
    """The message of a JSON object: ``error.message``, ``message``, ``detail`` or ``error``."""
    if len(data) > READ_OF or not _decoded(data[:64]).lstrip("\ufeff" + SPACE + " ").startswith(
        "{"
    ):
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    error = found.get("error")
    inner = error.get("message") if isinstance(error, dict) else None
    said: Any = inner or found.get("message") or found.get("detail") or error
    if not said:
        return None
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
