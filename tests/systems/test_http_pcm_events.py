"""Headerless samples and events, of any cut; what is refused as neither."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems._http_answer import Answer, begun
from mamtra_eval.systems._http_events import EventError, Events
from mamtra_eval.systems._http_pcm import LOOKED_AT, PcmPieces, decode_pcm
from mamtra_eval.systems._http_said import Said

RATE_HZ = 24000


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(each % (len(data) + 1) for each in cuts)})
    return [data[start:end] for start, end in pairwise(edges)]


def taken(data: bytes, cuts: list[int], answer: Answer | None = None) -> list[Clip]:
    found: list[Clip] = []
    pieces = PcmPieces(found.append, RATE_HZ, "test")
    pieces.start(answer or Answer("audio/pcm"))
    for part in cut(data, cuts):
        pieces.take(part)
    assert pieces.begun == bool(found)
    assert pieces.samples == sum(len(clip.samples) for clip in found)
    return found


@given(st.integers(LOOKED_AT // 2, 300), st.lists(st.integers(0, 1000)), st.booleans())
def test_any_cut_of_pcm_gives_the_same_samples(n: int, cuts: list[int], odd: bool) -> None:
    values = np.linspace(-32768, 32767, n).astype("<i2")
    clips = taken(values.tobytes() + b"\x01" * odd, cuts)
    samples = np.concatenate([clip.samples for clip in clips])
    assert np.array_equal(samples, values.astype(np.float32) / 32768)


def test_full_scale_and_order_of_bytes() -> None:
    data = bytearray(b"\x00\x80\xff\x7f\x01\x00\x00\x01")
    clip = decode_pcm(Answer("(none)", data=data), RATE_HZ, "test")
    assert clip.samples.tolist() == [-1.0, 32767 / 32768, 1 / 32768, 256 / 32768]
    assert clip.sample_rate_hz == RATE_HZ


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("audio/pcm", b"", "holds no samples"),
        ("audio/pcm", b"\x00\x01\x02", "truncated: 3 bytes"),
        ("text/plain; charset=utf-8", b"\x00\x01", "no audio"),
        ("application/json", b"", "no audio"),
        ("(none)", b"Internal Server Error", "beginning 'Internal Server Error'"),
        ("(none)", b"RIFF\x00\x00\x00\x00WAVE", "a file with a header"),
        ("audio/pcm", b"fLaC\x00\x00", "a file with a header"),
        *(
            (f"audio/{name}", b"\x00\x01" * 50, f"the server sends audio/{name}")
            for name in ("mpeg", "aac", "ogg", "opus", "flac", "basic", "wav", "x-wav")
        ),
        ("Audio/MPEG; rate=24000", b"\x00\x01" * 50, "the server sends audio/mpeg"),
        ("audio/pcm", "Ошибка сервера: недоступно".encode() * 5, "beginning 'Ошибка сервера"),
        ("(none)", ("服务器内部错误,请稍后再试。" * 3).encode()[:116], "beginning '服务器内部错误"),
        ("audio/pcm", "<html>Störung</html>".encode("utf-16"), "beginning '<html>Störung</html>'"),
        ("audio/pcm", b"\xfe\xff" + "<html></html>".encode("utf-16-be"), "beginning '<html>"),
    ],
)
def test_what_is_no_pcm_is_refused(kind: str, data: bytes, words: str) -> None:
    with pytest.raises(SynthesisError, match=words):
        decode_pcm(Answer(kind, data=bytearray(data)), RATE_HZ, "test")


@pytest.mark.parametrize("size", [LOOKED_AT - 1, LOOKED_AT, 300])
def test_text_is_refused_as_a_whole_and_no_piece_of_it_comes(size: int) -> None:
    text = b"x" * size
    assert taken(text, [10, 64, 100]) == []
    with pytest.raises(SynthesisError, match=f"no audio, beginning 'x{{{size}}}'"):
        decode_pcm(Answer("audio/pcm", data=bytearray(text)), RATE_HZ, "test")


@pytest.mark.parametrize("kind", ["(none)", "audio/pcm", "audio/L16", "application/octet-stream"])
@pytest.mark.parametrize("first", [-257, -2, 0, 3, 60, 12000])
@pytest.mark.parametrize("scale", [0, 1, 100, 8000])
def test_samples_are_not_taken_for_text(kind: str, first: int, scale: int) -> None:
    noise = np.random.default_rng(0).standard_normal(200) * scale
    values = np.concatenate([[first], noise]).astype("<i2")
    clips = taken(values.tobytes(), [70], Answer(kind))
    assert np.array_equal(np.concatenate([clip.samples for clip in clips]), values / 32768)


def test_hours_of_pcm_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_DURATION_S", 0.01)
    fits, too_much = bytes(480), bytearray(482)
    assert len(taken(fits, [100])) == 2
    with pytest.raises(SynthesisError, match="longer than 0"):
        taken(bytes(too_much), [100, 200])
    with pytest.raises(SynthesisError, match="longer than 0"):
        decode_pcm(Answer("audio/pcm", data=too_much), RATE_HZ, "test")


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, (None, None, None)),
        ({"x-sample-rate": "22050", "x-channels": "1", "x-bit-depth": "16"}, (22050, 1, 16)),
        ({"content-type": 'Audio/PCM; Rate="16000"; channels=2'}, (16000, 2, None)),
        ({"x-sample-rate": "0"}, (None, None, None)),
        ({"x-sample-rate": "-1", "x-channels": "mono"}, (None, None, None)),
    ],
)
def test_what_headers_say_of_samples(
    headers: dict[str, str], found: tuple[int | None, ...]
) -> None:
    answer = begun(headers)
    assert (answer.rate_hz, answer.channels, answer.bits) == found
    assert answer.media_type in ("(none)", "audio/pcm")


def events(data: bytes, cuts: list[int], answer: Answer | None = None) -> bytes:
    reader = Events(answer or Answer("text/event-stream"))
    return b"".join([*map(reader.feed, cut(data, cuts)), reader.finish()])


def delta(data: bytes, **more: Any) -> bytes:
    fields = {"type": "speech.audio.delta", "audio": base64.b64encode(data).decode(), **more}
    return f"event: speech.audio.delta\ndata: {json.dumps(fields)}\n\n".encode()


def chunk(data: bytes, **about: Any) -> bytes:
    held = {"data": base64.b64encode(data).decode(), **about}
    return f"data: {json.dumps({'object': 'audio.speech.chunk', 'audio': held})}\n\n".encode()


DONE = b'data: {"type": "speech.audio.done", "usage": {}}\n\n'


@given(
    st.lists(st.binary(max_size=40), max_size=6),
    st.lists(st.integers(0, 5000)),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.sampled_from([DONE, b"data: [DONE]\n\n", b"data:[DONE]", DONE + b"data: [DONE]\n\n"]),
)
def test_any_cut_of_events_gives_the_same_audio(
    parts: list[bytes], cuts: list[int], line: bytes, mark: bytes, end: bytes
) -> None:
    other = b': still there\n\nid: 7\nevent: x\ndata: {"type": "x"}\n\n'
    whole = mark + other * bool(cuts) + other.join(map(delta, parts)) + end
    assert events(whole.replace(b"\n", line), cuts) == b"".join(parts)


def test_data_of_several_lines_is_one_event() -> None:
    text = b'data: {"type": "speech.audio.delta",\ndata: "audio": "AAE="}\n\n'
    assert events(text + DONE, []) == b"\x00\x01"


@pytest.mark.parametrize("before", [0, 30, 70, 290])
@pytest.mark.parametrize(
    "event", ['{{"error": "{}"}}', '{{"type": "speech.audio.delta", "audio": "{}"}}', "{}"]
)
def test_secrets_are_hidden_before_anything_is_cut(event: str, before: int) -> None:
    data = event.format("-" * before + "sk-secret-secret")
    reader = Events(Answer("text/event-stream"), Said("sk-secret-secret"))
    with pytest.raises(EventError) as caught:
        reader.feed(f"data: {data}\n\n".encode())
    assert "sk-" not in str(caught.value)


def test_nothing_counts_behind_the_end() -> None:
    assert events(delta(b"ab") + DONE + delta(b"cd"), []) == b"ab"


def test_rate_and_format_are_kept() -> None:
    answer = Answer("text/event-stream")
    end = b'data: {"object": "audio.speech.chunk", "audio": null, "finish_reason": "stop"}\n\n'
    sent = chunk(b"ab", sample_rate=44100, format="pcm") + chunk(b"cd", sample_rate=44100) + end
    assert events(sent, [], answer) == b"abcd"
    assert (answer.rate_hz, answer.container) == (44100, "pcm")


@pytest.mark.parametrize(
    ("data", "again", "words"),
    [
        (b"", True, "no end"),
        (delta(b"ab"), True, "no end"),
        (delta(b"ab")[:-9], True, "no end"),
        (b"data: <html>\n\n", False, "no JSON object, beginning '<html>'"),
        (b"data: [1]\n\n", False, "no JSON object"),
        (b'data: {"type": "speech.audio.delta"}\n\n', False, "holds none"),
        (b'data: {"type": "speech.audio.delta", "audio": "a b"}\n\n', False, "not base64"),
        (b'data: {"error": "no\\nmemory"}\n\n', True, "sent an error: no memory"),
        (b'data: {"error": {"message": "voice", "code": 400}}\n\n', False, "error: voice"),
        (b'data: {"error": {"message": "busy", "code": 429}}\n\n', True, "error: busy"),
        (b'data: {"type": "speech.audio.error", "message": "x"}\n\n', True, "error: x"),
        (delta(b"a", sample_rate=1) + delta(b"b", sample_rate=2), False, "from 1 to 2 Hz"),
        (delta(b"a", response_format="pcm") + delta(b"b", response_format="wav"), False,
         "from pcm to wav"),
        (b'event: error\ndata: {"message": "no room", "code": 500}\n\n', True, "error: no room"),
        (b'event: error\ndata: {"type": "x", "message": "no room"}\n\n', True, "error: no room"),
        (b"event: error\ndata: no room\n\n", True, "error: no room"),
        (b'data: {"error": {"message": "voice", "status": 400}}\n\n', False, "error: voice"),
        (b'data: {"error": "voice", "status_code": "422"}\n\n', False, "error: voice"),
        (b'data: {"error": {"message": "busy", "type": "invalid_request_error", "code": 429}}\n\n',
         True, "error: busy"),
        (b'data: {"error": {"message": "voice", "type": "invalid_request_error"}}\n\n', False,
         "error: voice"),
        (chunk(b"RIFF", format="wav"), False, "take response_format=pcm"),
    ],
)  # fmt: skip
def test_events_that_are_no_speech(data: bytes, again: bool, words: str) -> None:
    with pytest.raises(EventError) as caught:
        events(data, [])
    assert words in str(caught.value)
    assert caught.value.again == again
