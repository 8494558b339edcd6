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
from collections.abc import Callable
from typing import Any

from mamtra_eval.systems._http_answer import Answer
from mamtra_eval.systems._http_options import one_line

SHOWN_OF = 4096
"""Bytes of an event that is none, from which its beginning is shown."""


class EventError(Exception):
    """Events that are no speech; ``again`` says whether another attempt may mend it."""

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class Events:
    """Takes the bytes of one answer as they come; what the events say goes into ``answer``.

    ``hide`` takes secrets out of what a server said, before it is cut to fit an error.
    """

    def __init__(self, answer: Answer, hide: Callable[[str], str] = str) -> None:
        self._answer, self._hide = answer, hide
        self._pending = bytearray()
        self._searched = 0
        self._lines: list[bytes] = []
        self._ended = self._closed = False

    def feed(self, data: bytes) -> bytes:
        """The audio of all events that these bytes complete; EventError if they are wrong."""
        self._pending += data
        audio = bytearray()
        while (end := self._pending.find(b"\n", self._searched)) >= 0:
            line = bytes(self._pending[:end]).rstrip(b"\r")
            del self._pending[: end + 1]
            self._searched = 0
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
        parts = [line[5:].removeprefix(b" ") for line in self._lines if line.startswith(b"data:")]
        self._lines.clear()
        text = b"\n".join(parts).strip()
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
            if self._closed:
                raise _truncated()
            begins = one_line(self._hide(text[:SHOWN_OF].decode("utf-8", "replace")), 80)
            raise EventError(f"an event holds no JSON object, beginning {begins!r}")
        return self._read(event)

    def _read(self, event: dict[str, Any]) -> bytes:
        kind = str(event.get("type") or event.get("object") or "")
        if event.get("error") or kind == "error" or kind.endswith(".error"):
            raise self._said(event.get("error") or event)
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
            if known.container not in (None, container):
                raise EventError(
                    f"the format changes from {known.container} to {one_line(container, 40)}"
                )
            known.container = one_line(container, 40)
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
            begins = one_line(self._hide(text[:SHOWN_OF]), 40)
            raise EventError(f"an event of audio is not base64, beginning {begins!r}") from None

    def _said(self, error: object) -> EventError:
        """An error that was sent as an event; one that names a client's fault is final."""
        code = error.get("code") if isinstance(error, dict) else None
        message = error.get("message") if isinstance(error, dict) else error
        final = isinstance(code, int) and 400 <= code < 500 and code not in (408, 409, 425, 429)
        said = one_line(self._hide(str(message or error)))
        return EventError(f"the server sent an error: {said}", not final)


def _truncated() -> EventError:
    return EventError("the answer is truncated (its events have no end)", again=True)
