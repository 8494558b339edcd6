"""What ``http`` posts for a request, and the clip in what comes back."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import Any

from mamtra_eval import audio
from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems import Request
from mamtra_eval.systems._http_answer import Answer
from mamtra_eval.systems._http_pcm import decode_pcm
from mamtra_eval.systems._http_said import Said
from mamtra_eval.systems._http_shapes import CROSS_LINGUAL, ROUTES, SHAPES, ZERO_SHOT, route_of

MEDIA_TYPES = {".wav": "wav", ".flac": "flac", ".ogg": "ogg", ".mp3": "mpeg"}
PLAUSIBLE_BYTES = 200_000_000
"""A WAV that claims more was streamed: its writer did not know the size."""


@dataclass(frozen=True)
class Post:
    """One request: where it goes, its fields, and a file if it is a form (name, bytes, type)."""

    url: str
    fields: dict[str, Any]
    form: bool = False
    file: tuple[str, tuple[str, bytes, str]] | None = None

    def arguments(self) -> dict[str, Any]:
        """What httpx is given."""
        if not self.form:
            return {"json": self.fields}
        return {"data": self.fields, "files": dict([self.file]) if self.file else None}


def post(request: Request, options: dict[str, Any]) -> Post:
    """What one clip is asked for with; SynthesisError if it wants a prompt that is not there."""
    shape = SHAPES[options["shape"]]
    if shape.form:
        return _form(request, options)
    fields = {name: options[name] for name in shape.takes if options[name] not in (None, "")}
    fields |= {shape.text: request.text, **shape.streaming[options["streaming"]]}
    fields |= options["extra"]
    if options["send_seed"]:
        fields["seed"] = request.seed
    if options["prompt"] == "base64":
        fields[options["prompt_audio_field"]] = _data_url(*_prompt(request, options))
        if request.prompt_text is not None:
            fields[options["prompt_text_field"]] = request.prompt_text
    return Post(options["url"], fields)


def _form(request: Request, options: dict[str, Any]) -> Post:
    """A form of CosyVoice's server, at the path that takes what the request has."""
    url, name = options["url"], route_of(options["url"])
    route = ROUTES[name]
    fields: dict[str, Any] = {SHAPES[options["shape"]].text: request.text, **options["extra"]}
    if route.speaker:
        fields["spk_id"] = options["voice"]
    if not route.recording:
        return Post(url, fields, form=True)
    data, media_type = _prompt(request, options)
    if route.prompt_text:
        if (request.prompt_text or "").strip():
            fields[options["prompt_text_field"]] = request.prompt_text
        else:
            path, mark, query = url.partition("?")
            front, _, behind = path.rpartition(ZERO_SHOT)
            url = f"{front}{CROSS_LINGUAL}{behind}{mark}{query}"
    # The file's own name stays here: it may tell more than the server needs to know.
    file = (f"prompt.{media_type.rpartition('/')[2]}", data, media_type)
    return Post(url, fields, form=True, file=(options["prompt_audio_field"], file))


def _prompt(request: Request, options: dict[str, Any]) -> tuple[bytes, str]:
    """The prompt's recording and its media type."""
    path = request.prompt_audio
    if path is None:
        other = "" if options["prompt"] == "file" else ", or prompt=none"
        raise SynthesisError(
            f"prompt={options['prompt']}, but {request.utterance} has no prompt recording; "
            f"use a test set with prompts{other}"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SynthesisError(f"the prompt can't be read: {error}") from error
    suffix = path.suffix.lower()
    return data, f"audio/{MEDIA_TYPES.get(suffix, suffix[1:] or 'wav')}"


def _data_url(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def decode(answer: Answer, options: dict[str, Any], name: str, said: Said) -> audio.Clip:
    """The clip in an answer; SynthesisError shows how the answer begins if it is none."""
    if options["response_format"] == "pcm":
        return decode_pcm(answer, options["pcm_rate_hz"], name, said)
    data, wanted = bytes(answer.data), options["response_format"]
    if wanted and answer.container not in (None, wanted):
        raise SynthesisError(f"{name}: {wanted} was asked for, the server sends {answer.container}")
    try:
        return audio.read_bytes(_mend_wav(data, name), name)
    except audio.AudioError as error:
        raise SynthesisError(f"{error}; {len(data)} bytes, {said.reason(data)}") from error


def _mend_wav(data: bytes, name: str) -> bytes:
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
                raise audio.AudioError(f"{name}: truncated WAV: {held} of {size} bytes of samples")
            if size == 0:
                return data[: start + 4] + struct.pack("<I", held) + data[start + 8 :]
            return data
        start += 8 + size + size % 2
    return data
