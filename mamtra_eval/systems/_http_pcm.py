"""Samples without a header: 16 bits, little-endian, mono, of a rate that is known or was told.

Any bytes can be read so, an error page too. Refused is therefore what calls itself text, what
calls itself another codec's, what
begins like a file with a header or with nothing but readable characters, as speech never does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems._http_answer import EVENTS, Answer
from mamtra_eval.systems._http_said import Said, is_text

LOOKED_AT = 64
"""Bytes that are looked at before anything is taken for samples; 1.3 ms at 24 kHz."""

TEXT = ("text/", "application/json", "application/xml", "application/problem+json")
OTHERS = (
    "aac", "aacp", "basic", "flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "ogg", "opus", "pcma",
    "pcmu", "vorbis", "vnd.wave", "wav", "wave", "webm",
)  # fmt: skip
"""Subtypes of ``audio/`` that are another codec's or container's. Servers of all shapes say
``audio/pcm``, or nothing at all."""

FILES = (b"RIFF", b"fLaC", b"OggS", b"ID3")


def decode_pcm(answer: Answer, given_hz: int | None, name: str, said: Said | None = None) -> Clip:
    """The clip of a whole answer; SynthesisError if it is none, truncated or empty."""
    data = bytes(answer.data)
    rate_hz = checked_rate(answer, given_hz, name)
    refuse_others(answer, data, name, said or Said())
    if not data:
        raise SynthesisError(f"{name}: holds no samples (0 bytes)")
    if len(data) % 2:
        raise SynthesisError(f"{name}: truncated: {len(data)} bytes are no whole 16-bit samples")
    _refuse_hours(len(data) // 2, rate_hz, name)
    return _clip(data, rate_hz)


def checked_rate(answer: Answer, given_hz: int | None, name: str) -> int:
    """Samples per second; SynthesisError if nobody says it, or two say different things."""
    if answer.channels not in (None, 1) or answer.bits not in (None, 16):
        said = f"{answer.channels or 1} channels of {answer.bits or 16} bits"
        raise SynthesisError(f"{name}: {said}, not one of 16")
    if answer.container not in (None, "pcm"):
        raise SynthesisError(f"{name}: pcm was asked for, the server sends {answer.container}")
    if given_hz and answer.rate_hz and answer.rate_hz != given_hz:
        raise SynthesisError(
            f"{name}: pcm_rate_hz is {given_hz}, but the server says {answer.rate_hz} Hz"
        )
    rate_hz = answer.rate_hz or given_hz
    if rate_hz is None:
        raise SynthesisError(
            f"{name}: the server doesn't tell the sampling rate of its pcm; give pcm_rate_hz"
        )
    return rate_hz


def refuse_others(answer: Answer, data: bytes, name: str, said: Said) -> None:
    """SynthesisError if what begins with ``data`` is no headerless audio."""
    if reads_as_text(answer, data):
        raise SynthesisError(f"{name}: no audio, {said.reason(data)}")
    major, _, minor = answer.media_type.partition("/")
    if major in ("image", "video") or (major == "audio" and minor.removeprefix("x-") in OTHERS):
        raise SynthesisError(
            f"{name}: pcm was asked for, the server sends {answer.media_type}; "
            "take another response_format"
        )
    if data.startswith(FILES):
        raise SynthesisError(
            f"{name}: a file with a header, where pcm was asked for; take another response_format"
        )


def reads_as_text(answer: Answer, data: bytes) -> bool:
    """Whether an answer calls itself text, or its beginning is."""
    called = answer.media_type != EVENTS and answer.media_type.startswith(TEXT)
    return called or is_text(data[:LOOKED_AT])


class PcmPieces:
    """Takes the bytes of one answer; hands clips to ``give`` as they come.

    Attributes:
        begun: whether any was given.
        samples: how many, in all.
    """

    def __init__(self, give: Callable[[Clip], None], given_hz: int | None, name: str) -> None:
        self._give, self._given_hz, self._name = give, given_hz, name
        self.begun = False

    def start(self, answer: Answer) -> None:
        """An answer begins; only while no clip was given can it be another one."""
        self._answer = answer
        self._pending = bytearray()
        self._text = False
        self.samples = 0

    def take(self, data: bytes) -> None:
        """The next bytes; SynthesisError if they are no audio, or too much of it.

        Of text nothing is handed over: it is refused as a whole, when all of its reason is there.
        """
        if self._text:
            return
        self._pending += data
        if not self.begun:
            if len(self._pending) < LOOKED_AT:
                return
            first = bytes(self._pending[:LOOKED_AT])
            self._text = reads_as_text(self._answer, first)
            if self._text:
                return
            refuse_others(self._answer, first, self._name, Said())
        rate_hz = checked_rate(self._answer, self._given_hz, self._name)
        usable = len(self._pending) - len(self._pending) % 2
        if usable:
            clip = _clip(bytes(self._pending[:usable]), rate_hz)
            del self._pending[:usable]
            self.samples += len(clip.samples)
            _refuse_hours(self.samples, rate_hz, self._name)
            self.begun = True
            self._give(clip)


def _clip(data: bytes, rate_hz: int) -> Clip:
    samples = np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768)
    return Clip(samples, rate_hz)


def _refuse_hours(samples: int, rate_hz: int, name: str) -> None:
    if samples > audio.MAX_DURATION_S * rate_hz:
        raise SynthesisError(f"{name}: longer than {audio.MAX_DURATION_S:.0f} s")
