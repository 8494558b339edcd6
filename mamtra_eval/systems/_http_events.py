"""Audio out of server-sent events: base64 in JSON, one event after another.

Two kinds are known: ``{"type": "speech.audio.delta", "audio": …}`` up to ``speech.audio.done``, and
``{"object": "audio.speech.chunk", "audio": {"data": …, "sample_rate": …, "format": …}}`` up to one
with a ``finish_reason``; ``[DONE]`` ends either. Other events are passed over. Without an end the
answer is truncated, however properly the connection was closed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from mamtra_eval.systems._http_answer import Answer
from mamtra_eval.systems._http_said import Said

BOM = b"\xef\xbb\xbf"
LINE_END = re.compile(rb"[\r\n]")
ASK_LATER = (408, 409, 425, 429)
CLIENTS_FAULTS = (
    "authentication_error", "badrequesterror", "invalid_request_error", "not_found_error",
    "notfounderror", "permission_error", "validation_error",
)  # fmt: skip
"""Types of errors that another attempt would meet again, in lower case."""


class EventError(Exception):
    """Events that are no speech; ``again`` says whether another attempt may mend it."""

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class Events:
    """Takes the bytes of one answer as they come; what the events say goes into ``answer``.

    ``said`` takes secrets out of what a server said, before it is cut to fit an error.
    Lines end with LF, CRLF or CR; a byte order mark before the first is passed over.
    """

    def __init__(self, answer: Answer, said: Said | None = None) -> None:
        self._answer, self._said = answer, said or Said()
        self._first, self._after_cr = True, False
        self._pending = bytearray()
        self._searched = 0
        self._lines: list[bytes] = []
        self._ended = self._closed = False

    def feed(self, data: bytes) -> bytes:
        """The audio of all events that these bytes complete; EventError if they are wrong."""
        self._pending += data
        audio = bytearray()
        while found := LINE_END.search(self._pending, self._searched):
            end = found.start()
            line, mark = bytes(self._pending[:end]), self._pending[end]
            del self._pending[: end + 1]
            self._searched = 0
            second, self._after_cr = self._after_cr and mark == 10 and not line, mark == 13
            if second:  # of CR and LF, which may have come apart
                continue
            if self._first:
                line, self._first = line.removeprefix(BOM), False
            if line:
                self._lines.append(line)
            else:
                audio += self._dispatch()
        self._searched = len(self._pending)
        return bytes(audio)

    def finish(self) -> bytes:
        """The audio of a last event that no empty line follows; EventError without an end."""
        self._closed = True
        audio = self.feed(b"\n\n")
        if not self._ended:
            raise _truncated()
        return audio

    def _dispatch(self) -> bytes:
        """What the lines of one event hold."""
        name = b"".join(self._values(b"event:")[-1:]).decode("utf-8", "replace").strip()
        text = b"\n".join(self._values(b"data:")).strip()
        self._lines.clear()
        if not text or self._ended:
            return b""
        if text == b"[DONE]":
            self._ended = True
            return b""
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            if _is_error(name):
                raise EventError(f"the server sent an error: {self._said.beginning(text)}", True)
            if self._closed:
                raise _truncated()
            begins = self._said.beginning(text, 80)
            raise EventError(f"an event holds no JSON object, beginning {begins!r}")
        return self._read(event, name)

    def _values(self, field: bytes) -> list[bytes]:
        """Of one field, in the lines of an event."""
        lines = [line for line in self._lines if line.startswith(field)]
        return [line[len(field) :].removeprefix(b" ") for line in lines]

    def _read(self, event: dict[str, Any], name: str) -> bytes:
        kind = str(event.get("type") or event.get("object") or "")
        if event.get("error") or _is_error(kind) or _is_error(name):
            raise self._error(event.get("error") or event, event)
        if kind == "speech.audio.done" or event.get("finish_reason"):
            self._ended = True
        audio = event.get("audio")
        if kind == "speech.audio.delta":
            self._note(event.get("response_format"), event.get("sample_rate"))
            return self._decoded(audio)
        if kind == "audio.speech.chunk" and isinstance(audio, dict):
            self._note(audio.get("format"), audio.get("sample_rate"))
            if self._answer.container not in (None, "pcm"):
                raise EventError(
                    f"every event is a file of its own ({self._answer.container}): "
                    "take response_format=pcm"
                )
            return self._decoded(audio.get("data"))
        return b""

    def _note(self, container: object, rate_hz: object) -> None:
        """Keep what an event says of its samples; it may not change on the way."""
        known = self._answer
        if isinstance(container, str):
            container = self._said.line(container, 40)
            if known.container not in (None, container):
                raise EventError(f"the format changes from {known.container} to {container}")
            known.container = container
        if isinstance(rate_hz, int) and 0 < rate_hz < 2**31:
            if known.rate_hz not in (None, rate_hz):
                raise EventError(f"the rate changes from {known.rate_hz} to {rate_hz} Hz")
            known.rate_hz = rate_hz

    def _decoded(self, text: object) -> bytes:
        if not isinstance(text, str):
            raise EventError("an event of audio holds none")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            begins = self._said.line(text, 40)
            raise EventError(f"an event of audio is not base64, beginning {begins!r}") from None

    def _error(self, error: object, event: dict[str, Any]) -> EventError:
        """An error that was sent as an event; one that names a client's fault is final."""
        message = error.get("message") if isinstance(error, dict) else error
        said = self._said.line(str(message or error))
        return EventError(f"the server sent an error: {said}", not _is_final(error, event))


def _is_error(kind: str) -> bool:
    return kind == "error" or kind.endswith(".error")


def _is_final(*said: object) -> bool:
    """Whether an error, or the event around it, names a fault of the request."""
    held = [each for each in said if isinstance(each, dict)]
    for each in held:
        for name in ("status", "status_code", "code"):
            status = str(each.get(name))
            if re.fullmatch("[1-5][0-9][0-9]", status):
                return status[0] == "4" and int(status) not in ASK_LATER
    names = [str(each.get(name)).lower() for each in held for name in ("type", "code")]
    return any(name in CLIENTS_FAULTS for name in names)


def _truncated() -> EventError:
    return EventError("the answer is truncated (its events have no end)", again=True)
