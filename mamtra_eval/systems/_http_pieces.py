"""Audio out of an answer that is still coming: a WAV, cut into clips as its bytes arrive.

The header is read from the first bytes, of whatever size they come. Each further piece of whole
frames then goes behind a copy of the header, so that it is decoded by the same library as a whole
file, to the same samples. A WAV of a writer that did not know the size (0, or more than is
plausible, as servers that stream write it) goes on to the end of the answer; any other ends where
its header says. What is no WAV, or one whose frames depend on each other (ADPCM), yields nothing
here and is decoded as a whole at the end.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems._http_answer import Answer
from mamtra_eval.systems._http_content import PLAUSIBLE_BYTES

HEADER_BYTES = 65_536
"""A header that is longer than this is not waited for."""

INDEPENDENT = (0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE)
"""Codes of formats whose frames stand alone: integers, floats, A-law, mu-law, and the extensible
form of the first two."""


class Pieces:
    """Takes the bytes of one answer; hands clips to ``give``.

    Attributes:
        begun: whether any was given.
        samples: how many, in all.
    """

    def __init__(self, give: Callable[[Clip], None], name: str) -> None:
        self._give, self._name = give, name
        self.begun = False
        self.start()

    def start(self, answer: Answer | None = None) -> None:
        """An answer begins; only while no clip was given can it be another one."""
        self._header, self._frame, self._left = b"", 0, 0
        self._pending = bytearray()
        self._whole = False
        self.samples, self._seconds = 0, 0.0

    def take(self, data: bytes) -> None:
        """The next bytes; SynthesisError if it is too much audio or not what the header says."""
        if self._whole:
            return
        self._pending += data
        if not self._header and not self._read_header():
            return
        usable = min(len(self._pending), self._left)
        usable -= usable % self._frame
        if usable:
            self._left -= usable
            clip = self._decode(bytes(self._pending[:usable]))
            del self._pending[:usable]
            self.begun = True
            self._give(clip)

    def _read_header(self) -> bool:
        """Whether all of the header is there and it is one of a WAV that can be cut."""
        data = bytes(self._pending)
        if len(data) < 12:
            self._whole = not b"RIFF".startswith(data[:4])
            return False
        if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
            self._whole = True
            return False
        start = 12
        while start + 8 <= min(len(data), HEADER_BYTES):
            kind, (size,) = data[start : start + 4], struct.unpack_from("<I", data, start + 4)
            if kind == b"fmt " and start + 24 <= len(data):
                code, _, _, _, self._frame = struct.unpack_from("<HHIIH", data, start + 8)
                self._whole = code not in INDEPENDENT or not self._frame
            if kind == b"data":
                self._whole = self._whole or not self._frame
                endless = size == 0 or size >= PLAUSIBLE_BYTES
                self._left = audio.MAX_SAMPLES * 8 if endless else size
                self._header = data[: start + 8]
                del self._pending[: start + 8]
                return not self._whole
            start += 8 + size + size % 2
        self._whole = self._whole or start > HEADER_BYTES
        return False

    def _decode(self, frames: bytes) -> Clip:
        size = struct.pack("<I", len(frames))
        riff = struct.pack("<I", len(self._header) - 8 + len(frames))
        header = self._header[:4] + riff + self._header[8:-4] + size
        try:
            clip = audio.read_bytes(header + frames, self._name)
        except audio.AudioError as error:
            raise SynthesisError(str(error)) from error
        self.samples += len(clip.samples)
        self._seconds += clip.duration_s
        if self._seconds > audio.MAX_DURATION_S:
            raise SynthesisError(f"{self._name}: longer than {audio.MAX_DURATION_S:.0f} s")
        return clip
