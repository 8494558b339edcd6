import base64
import json
import random
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest

from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.systems import Request, _http_client, http

TEXT = "Hello there."
DURATION_S = 0.01 * len(TEXT)


class Server:
    """The speech server's process, seen from here."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def state(self) -> dict:
        with build_opener(ProxyHandler({})).open(self.base, timeout=5) as answer:
            return json.load(answer)

    def calls(self, path: str) -> list[dict]:
        return [call for call in self.state()["calls"] if call["path"].startswith(f"/{path}")]


@pytest.fixture(scope="module")
def server():
    script = Path(__file__).with_name("speech_server.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Server(int(process.stdout.readline()))
        process.stdin.close()


@pytest.fixture
def system(server, monkeypatch):
    """Makes systems for a path of the server, with pauses short enough for a test."""
    monkeypatch.setattr(_http_client, "PAUSE_S", 0.01)
    made = []

    def make(path: str, **options) -> http.Http:
        options = {"url": f"{server.base}/{path}", "timeout_s": 5, **options}
        made.append(http.create(options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def request(utterance: str = "u1", text: str = TEXT, **more) -> Request:
    return Request(utterance, text, **more)


def failure(system: http.Http, **more) -> str:
    with pytest.raises(SynthesisError) as caught:
        system.speak(request(**more))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 900
    return message


@pytest.mark.parametrize("path", ["ok", "flac", "moved", "streamed-ff", "streamed-0"])
def test_audio_of_every_kind_becomes_a_clip(system, path):
    clip = system(path).speak(request())
    assert clip.sample_rate_hz == 16000
    assert clip.duration_s == pytest.approx(DURATION_S)
    assert np.abs(clip.samples).max() == pytest.approx(0.5, abs=0.01)


def test_only_what_is_given_is_sent(system, server):
    system("ok?bare=1").speak(request("u"))
    assert server.calls("ok?bare=1")[0]["body"] == {"input": TEXT, "response_format": "wav"}
    assert server.calls("ok?bare=1")[0]["key"] is None


def test_everything_given_is_sent(system, server, tmp_path):
    prompt = tmp_path / "p.flac"
    prompt.write_bytes(b"fLaC bytes")
    made = system(
        "ok?all=1",
        model="m",
        voice="v",
        speed="1.5",
        send_seed="true",
        prompt="base64",
        prompt_text_field="said",
        response_format="flac",
        extra='{"task_type": "Base"}',
    )
    made.speak(request(prompt_audio=prompt, prompt_text="Prompt.", seed=7))
    body = server.calls("ok?all=1")[0]["body"]
    head, _, data = body.pop("ref_audio").partition(",")
    assert head == "data:audio/flac;base64"
    assert base64.b64decode(data) == b"fLaC bytes"
    assert body == {
        "input": TEXT,
        "model": "m",
        "voice": "v",
        "speed": 1.5,
        "seed": 7,
        "said": "Prompt.",
        "response_format": "flac",
        "task_type": "Base",
    }


def test_prompt_wanted_and_absent(system):
    assert "u1 has no prompt recording" in failure(system("ok", prompt="base64"))
    missing = failure(system("ok", prompt="base64"), prompt_audio=Path("gone.wav"))
    assert "gone.wav" in missing


@pytest.mark.parametrize(("path", "least_s"), [("busy", 0.95), ("busy-date", 0.9)])
def test_retry_after_is_honoured(system, server, path, least_s):
    assert system(path).speak(request()).duration_s == pytest.approx(DURATION_S)
    first, second = server.calls(path)
    assert least_s <= second["at"] - first["at"] < 4


def test_server_errors_are_tried_again(system, server):
    assert system("shaky").speak(request()).duration_s == pytest.approx(DURATION_S)
    assert len(server.calls("shaky")) == 3


def test_server_errors_that_last_are_told(system, server):
    message = failure(system("broken", retries=2))
    assert message.endswith("HTTP 500 Internal Server Error: out of memory (attempt 3, the last)")
    assert len(server.calls("broken")) == 3


def test_client_errors_are_not_tried_again(system, server):
    message = failure(system("refusing?a=1", voice="nobody"))
    assert "HTTP 400 Bad Request: no voice nobody;" in message
    assert len(server.calls("refusing?a=1")) == 1


def test_the_key_is_sent_and_never_shown(system, server, monkeypatch):
    monkeypatch.setenv("SPEECH_KEY", "sk-secret")
    made = system("refusing?guarded=1", api_key_env="SPEECH_KEY")
    assert "sk-secret" not in failure(made)
    assert server.calls("refusing?guarded=1")[0]["key"] == "Bearer sk-secret"
    assert "sk-secret" not in repr((made.identity([]), made.options))


@pytest.mark.parametrize("value", ["", "sk-é", "sk-a\nb"])
def test_a_key_that_cannot_be_one(monkeypatch, value):
    monkeypatch.setenv("SPEECH_KEY", value)
    with pytest.raises(UserError, match="SPEECH_KEY holds no API key") as caught:
        http.create({"url": "http://h/", "api_key_env": "SPEECH_KEY"})
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize("path", ["hang", "drip", "drip-head"])
def test_timeout_is_the_whole_attempts(system, path):
    start = time.monotonic()
    message = failure(system(path, timeout_s=0.4, retries=0))
    assert time.monotonic() - start < 1.5
    assert message.endswith("no complete answer within timeout_s=0.4")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("short", ["truncated"]),
        ("short-wav", ["truncated WAV: ", "beginning 'RIFF"]),
        ("html", ["text/html", "beginning '<html><body>Hello from a proxy"]),
        ("empty", ["empty (0 bytes)"]),
        ("elsewhere", ["HTTP 307 redirect to http://localhost:", "not followed"]),
        ("circle", ["more than 3 redirects"]),
    ],
)
def test_what_is_no_audio_is_told(system, path, words):
    message = failure(system(path, retries=0))
    assert all(word in message for word in words), message


def test_too_much_is_not_read(system, monkeypatch):
    monkeypatch.setattr(_http_client, "MAX_BYTES", 100)
    assert "more than 100 bytes" in failure(system("ok"))


def test_concurrency_is_bounded_and_used(system, server):
    made = system("slow", concurrency=3)
    assert made.batch_size == 12
    assert made.max_processes == 1
    requests = [request(f"u{n}", "x" * (n + 1)) for n in range(12)]
    clips = dict(made.speak_many(requests))
    assert sorted(clips) == list(range(12))
    for n, clip in clips.items():
        assert isinstance(clip, Clip)
        assert clip.duration_s == pytest.approx(0.01 * (n + 1))
    assert server.state()["most"] == 3


def test_a_failure_is_a_row_beside_clips(system):
    made = system("ok", prompt="base64")
    prompt = Path(__file__)
    results = dict(made.speak_many([request("a"), request("b", prompt_audio=prompt)]))
    assert isinstance(results[0], SynthesisError)
    assert isinstance(results[1], Clip)


def test_leaving_early_cancels_the_rest(system):
    made = system("hang", concurrency=1, timeout_s=0.3, retries=0)
    results = made.speak_many([request(f"u{n}") for n in range(50)])
    next(results)
    results.close()
    start = time.monotonic()
    made.close()
    assert time.monotonic() - start < 1


def test_an_unreachable_server_gets_one_attempt_after_the_first_clip(system, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        made = system("", url=f"http://127.0.0.1:{taken.getsockname()[1]}/", retries=2)
        pauses = []
        monkeypatch.setattr(_http_client, "_pause", lambda *about: pauses.append(about) or 0.0)
        assert "can't connect" in failure(made)
        assert len(pauses) == 2
        assert "can't connect" in failure(made)
        assert len(pauses) == 2


def test_reachable_again_means_retries_again(system, server):
    made = system("shaky?again=1")
    made._client.unreachable = True
    assert made.speak(request()).duration_s == pytest.approx(DURATION_S)
    assert not made._client.unreachable


def test_a_closed_system_can_speak_again(system):
    made = system("ok")
    made.speak(request())
    made.close()
    made.close()
    assert made.speak(request()).duration_s == pytest.approx(DURATION_S)


def test_pauses_grow_are_bounded_and_follow_the_seed():
    first = [_http_client._pause(n, None, random.Random(3)) for n in range(12)]
    assert first == [_http_client._pause(n, None, random.Random(3)) for n in range(12)]
    assert first == sorted(first)
    assert first[-1] == 60
    assert first != [_http_client._pause(n, None, random.Random(4)) for n in range(12)]


def test_retry_after_is_bounded():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    late = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    assert _http_client._retry_after("2.5") == 2.5
    assert _http_client._retry_after("-1") == 0
    assert _http_client._retry_after("86400") == 60
    assert _http_client._retry_after(late) == 60
    assert 25 < _http_client._retry_after(soon) <= 30
    for nonsense in (None, "soon", "inf", "nan", ""):
        assert _http_client._retry_after(nonsense) is None
