"""What a server answered, and what it says about samples that have no header.

Said are the headers ``X-Sample-Rate``, ``X-Channels``, ``X-Bit-Depth``, the parameters ``rate`` and
``channels`` of a media type (``audio/pcm;rate=24000``), and fields of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mamtra_eval.systems._http_said import Said

EVENTS = "text/event-stream"


@dataclass
class Answer:
    """An answer while it comes.

    Attributes:
        kind: its media type, as the server says it.
        rate_hz: samples per second, if said.
        channels, bits: of its samples, if said.
        container: name of the format (``pcm``, ``wav``), if its events say it.
        data: the audio so far, in the format that was asked for.
    """

    kind: str
    rate_hz: int | None = None
    channels: int | None = None
    bits: int | None = None
    container: str | None = None
    data: bytearray = field(default_factory=bytearray)

    @property
    def media_type(self) -> str:
        """``kind`` without parameters, in lower case."""
        return self.kind.partition(";")[0].strip().lower()


def begun(headers: Mapping[str, str], said: Said | None = None) -> Answer:
    """The answer that begins with these headers, whose names are looked up as they stand here."""
    kind = (said or Said()).line(headers.get("content-type", "(none)"), 100)
    parameters = {}
    for part in kind.split(";")[1:]:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return Answer(
        kind,
        rate_hz=_number(headers.get("x-sample-rate") or parameters.get("rate")),
        channels=_number(headers.get("x-channels") or parameters.get("channels")),
        bits=_number(headers.get("x-bit-depth")),
    )


def _number(text: str | None) -> int | None:
    return (
        int(text) if text and text.isascii() and text.isdigit() and 0 < int(text) < 2**31 else None
    )
