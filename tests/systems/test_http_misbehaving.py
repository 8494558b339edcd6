"""Servers that quote the key, name no reason in time, or break off: real ones, byte for byte."""

from __future__ import annotations

import base64
import json
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems import Request, http

KEY = 'sk-Live "42"/+secret'
PCM = struct.pack("<400h", *(n * 40 - 8000 for n in range(400)))
HEAD = struct.pack("<IHHIIHH", 16, 1, 1, 24000, 48000, 2, 16)
WAV = b"RIFF" + struct.pack("<I", 36 + len(PCM)) + b"WAVEfmt " + HEAD + b"data"
WAV += struct.pack("<I", len(PCM)) + PCM


def reply(
    data: bytes = b"", kind: str = "application/json", status: str = "200 OK", *more: str
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *more]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + data


class Raw:
    """Answers every request with ``answer``; keeps the headers that it got."""

    def __init__(self) -> None:
        outer = self
        self.answer = b""
        self.headers: list[dict[str, str]] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.readline()
                found = {}
                while line := self.rfile.readline().strip():
                    name, _, value = line.decode().partition(":")
                    found[name.lower()] = value.strip()
                self.rfile.read(int(found.get("content-length", 0)))
                outer.headers.append(found)
                self.wfile.write(outer.answer)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/audio/speech"


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    made = Raw()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


Fail = Callable[..., str]


@pytest.fixture
def failure(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fail]:
    monkeypatch.setenv("SPEECH_KEY", KEY)
    made = []

    def fail(answer: bytes, streamed: bool = False, **options: Any) -> str:
        raw.answer = answer
        made.append(
            http.create({"url": raw.url, "retries": 0, "api_key_env": "SPEECH_KEY"} | options)
        )
        with pytest.raises(SynthesisError) as caught:
            list(made[-1].stream(Request("u", "Hi."))) if streamed else made[-1].speak(
                Request("u", "Hi.")
            )
        assert str(caught.value).startswith(raw.url)
        assert caught.value.__suppress_context__
        return str(caught.value)

    yield fail
    for each in made:
        each.close()


AS_PCM = {"response_format": "pcm", "pcm_rate_hz": "24000"}
ERROR = json.dumps({"error": {"message": f"bad voice, key {KEY}"}}).encode()
EVENTS = "text/event-stream"


def event(**fields: Any) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def delta(**fields: Any) -> bytes:
    return event(type="speech.audio.delta", audio=base64.b64encode(PCM).decode(), **fields)


QUOTING = {
    "json": reply(ERROR),
    "json-as-audio": reply(ERROR, "audio/pcm"),
    "plain": reply(f"bad key {KEY}".encode(), "text/plain"),
    "cut-at-64": reply(f"{'-' * 58}{KEY}".encode(), "audio/pcm"),
    "cut-at-80": reply(b"\x01" + f"{'-' * 70}{KEY}".encode() + b"\x02" * 40, "audio/wav"),
    "broken-off": reply(f"{{'{'-' * 40}{KEY[:-3]}".encode(), "audio/pcm"),
    "utf-16": reply(f"bad key {KEY} here".encode("utf-16-le"), "text/plain"),
    "reason": reply(b"{}", "application/json", f"401 Bad key {KEY}"),
    "spaces": reply(b" " * 1190 + KEY.encode(), "text/plain", "401 No"),
    "type": reply(b"hello", f"text/{KEY}"),
    "type-cut": reply(b"hello", f"text/{'-' * 90}{KEY}"),
    "location": reply(b"", "x/y", "307 X", f"Location: http://other/{KEY}/x"),
    "location-quoted": reply(b"", "x/y", "307 X", "Location: //other/sk-Live%20%2242%22/+secret"),
    "base64": reply(base64.b64encode(f"Bearer {KEY}".encode()), "text/plain", "401 No"),
    "json-escaped": reply(f'["{KEY}"]'.replace('"4', '\\u00224').replace("/", "\\/").encode()),
    "location-wrong": reply(b"", "x/y", "307 X", f"Location: http://[::1/{KEY}"),
    "head": f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode(),
    "event-format": reply(delta(response_format=KEY) + event(type="speech.audio.done"), EVENTS),
    "event-error": reply(event(error={"reason": KEY}), EVENTS),
    "event-name": reply(f"event: error\ndata: {'-' * 290}{KEY}\n\n".encode(), EVENTS),
}  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("options", [{}, AS_PCM], ids=["wav", "pcm"])
@pytest.mark.parametrize("way", QUOTING)
def test_a_key_that_a_server_quotes_is_not_shown(
    failure: Fail, way: str, options: dict[str, str], streamed: bool
) -> None:
    message = failure(QUOTING[way], streamed, **options)
    squeezed = message.replace(" ", "").lower()
    assert "sk-l" not in squeezed, message
    assert "secret" not in squeezed, message
    assert base64.b64encode(f"Bearer {KEY}".encode())[:20].decode().lower() not in squeezed


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("options", [{}, AS_PCM], ids=["wav", "pcm"])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"object": "error", "request_id": "3f" * 40, "message": "no voice"}, "no voice"),
        ({"error": {"code": 1, "message": "m" * 280}, "message": "other"}, "m" * 280),
        ({"detail": [{"msg": "Field required"}]}, '[{"msg": "Field required"}]'),
        ({"error": "no memory"}, "no memory"),
    ],
)  # fmt: skip
def test_the_reason_in_an_answer_of_success_is_shown(
    failure: Fail, body: dict[str, Any], says: str, options: dict[str, str], streamed: bool
) -> None:
    message = failure(reply(json.dumps(body).encode()), streamed, **options)
    assert message.endswith(f"the server says: {says}")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("options", [{}, AS_PCM], ids=["wav", "pcm"])
def test_text_is_shown_to_300_characters(
    failure: Fail, options: dict[str, str], streamed: bool
) -> None:
    message = failure(reply(b"<p>" + b"n" * 400, "text/html"), streamed, **options)
    assert message.endswith(f"beginning '<p>{'n' * 297}…'")


def test_a_truncated_wav_is_told_with_its_address(failure: Fail) -> None:
    message = failure(reply(WAV[:-100], "audio/wav"))  # the address is looked at there
    assert "truncated WAV: 700 of 800 bytes" in message


def test_a_redirect_to_no_address_is_a_failure(failure: Fail) -> None:
    for place in ("http://[::1", "http://h:99999999/x"):
        assert failure(reply(b"", "x/y", "307 X", f"Location: {place}"))


def test_nothing_compressed_is_asked_for(raw: Raw) -> None:
    raw.answer = reply(WAV, "audio/wav")
    system = http.create({"url": raw.url})
    try:
        assert len(system.speak(Request("u", "Hi.")).samples) == 400
    finally:
        system.close()
    assert raw.headers[-1]["accept-encoding"] == "identity"


def test_the_variable_of_a_key_may_be_named_in_a_target(
    raw: Raw, cli: Callable[..., Any], make_list: Callable[..., Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SPEECH_KEY", KEY)
    raw.answer = reply(WAV, "audio/wav")
    run = tmp_path / "run"
    target = f"{raw.url}?api_key_env=SPEECH_KEY"
    list_ = make_list(1)
    done = cli("evaluate", target, "--testset", list_, "--metrics", "health", "--out", run)
    assert done.returncode == 0, done.stderr
    assert raw.headers[-1]["authorization"] == f"Bearer {KEY}"
    written = [path for path in run.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
