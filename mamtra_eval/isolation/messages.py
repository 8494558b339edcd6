"""Frames on the pipes between host and guest: a length and a JSON object.

Four bytes big-endian, then so many bytes of UTF-8 JSON, which must be an object. A length beyond
``LONGEST`` is refused before anything is kept for it: whatever else a process may write into the
pipe, it can't make the reader wait for gigabytes. Text of any kind goes through, lone surrogates
of broken file names too (JSON writes them as escapes).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

PROTOCOL = 1
"""Number of these messages: both ends say theirs."""

LONGEST = 64 * 2**20
"""Bytes of one message at the most; all requests of a large test set take a few."""

_LENGTH = struct.Struct(">I")

Message = dict[str, Any]


class ProtocolError(Exception):
    """What came is no message, or not one that was due. The text says what is wrong with it."""


def pack(message: Mapping[str, Any]) -> bytes:
    """A frame; ProtocolError for what is no plain JSON or too long."""
    try:
        body = json.dumps(message).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not to be written as JSON ({error})") from error
    if len(body) > LONGEST:
        raise ProtocolError(f"a message of {len(body)} bytes; the longest has {LONGEST}")
    return _LENGTH.pack(len(body)) + body


class Unpacker:
    """Messages out of bytes as they come, in pieces of any size."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._kept += data

    def take(self) -> Message | None:
        """The next message if it is there as a whole; ProtocolError if it can't be one."""
        if len(self._kept) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._kept)
        if length > LONGEST:
            head = bytes(self._kept[:16])
            raise ProtocolError(f"a length of {length} bytes, read from {head!r}")
        end = _LENGTH.size + length
        if len(self._kept) < end:
            return None
        body = bytes(self._kept[_LENGTH.size : end])
        del self._kept[:end]
        return _parse(body)


def text(message: Message, name: str) -> str:
    """A field that must be text."""
    value = message.get(name)
    if not isinstance(value, str):
        raise ProtocolError(f"{name} of a message is {value!r:.60}, not text")
    return value


def whole(message: Message, name: str, low: int, high: int) -> int:
    """A field that must be a whole number from ``low`` to ``high``."""
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProtocolError(f"{name} of a message is {value!r:.60}, not from {low} to {high}")
    return value


def numbers(message: Message, name: str) -> dict[str, float]:
    """A field that must hold numbers by name."""
    value = message.get(name)
    if not isinstance(value, dict):
        raise ProtocolError(f"{name} of a message is {value!r:.60}, not an object")
    for key, number in value.items():
        if not isinstance(number, int | float):
            raise ProtocolError(f"{name}.{key} of a message is {number!r:.60}, not a number")
    return value


def _parse(body: bytes) -> Message:
    try:
        message = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"no JSON: {body[:40]!r}") from error
    if not isinstance(message, dict):
        raise ProtocolError(f"no JSON object: {body[:40]!r}")
    return message
