"""What ``http`` posts for a request, and the clip in what comes back."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

from mamtra_eval import audio
from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems import Request
from mamtra_eval.systems._http_options import one_line

MEDIA_TYPES = {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".mp3": "mpeg"}
PLAUSIBLE_BYTES = 200_000_000
"""A WAV that claims more was streamed: its writer did not know the size."""


def body(request: Request, options: dict[str, Any]) -> dict[str, Any]:
    """The JSON object of one request; SynthesisError if it wants a prompt that is not there."""
    named = ("model", "voice", "response_format", "speed")
    fields = {name: options[name] for name in named if options[name] not in (None, "")}
    fields |= {"input": request.text, **options["extra"]}
    if options["send_seed"]:
        fields["seed"] = request.seed
    if options["prompt"] == "base64":
        if request.prompt_audio is None:
            raise SynthesisError(
                f"prompt=base64, but {request.utterance} has no prompt recording; "
                "use a test set with prompts, or prompt=none"
            )
        fields[options["prompt_audio_field"]] = _data_url(request.prompt_audio)
        if request.prompt_text is not None:
            fields[options["prompt_text_field"]] = request.prompt_text
    return fields


def _data_url(path: Path) -> str:
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise SynthesisError(f"the prompt can't be read: {error}") from error
    suffix = path.suffix.lower()
    return f"data:audio/{MEDIA_TYPES.get(suffix, suffix[1:] or 'wav')};base64,{data}"


def decode(data: bytes, name: str) -> audio.Clip:
    """The clip in an answer; SynthesisError shows how the answer begins if it is none."""
    try:
        return audio.read_bytes(_mend_wav(data), name)
    except audio.AudioError as error:
        begins = one_line(data[:80].decode("utf-8", "replace"))
        raise SynthesisError(f"{error}; {len(data)} bytes, beginning {begins!r}") from error


def _mend_wav(data: bytes) -> bytes:
    """WAV with the size of its samples checked: libsndfile reads what is there of a truncated one.

    Servers that stream don't know the size and write a huge one, or 0, which is mended.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return data
    start = 12
    while start + 8 <= len(data):
        size = struct.unpack_from("<I", data, start + 4)[0]
        held = len(data) - start - 8
        if data[start : start + 4] == b"data":
            if held < size < PLAUSIBLE_BYTES:
                raise audio.AudioError(f"truncated WAV: {held} of {size} bytes of samples")
            if size == 0:
                return data[: start + 4] + struct.pack("<I", held) + data[start + 8 :]
            return data
        start += 8 + size + size % 2
    return data
