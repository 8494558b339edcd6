"""Audio of an endpoint, taken while it comes: the samples of a whole answer, and its refusals."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems import Request, _http_client, http
from mamtra_eval.systems._http_pieces import HEADER_BYTES, Pieces

TEXT = "Hello there."
REQUEST = Request("u1", TEXT)


class Server:
    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> str:
        with build_opener(ProxyHandler({})).open(f"{self.base}/{path}", timeout=5) as answer:
            return answer.read().decode()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    script = Path(__file__).with_name("speech_server.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdin
        yield Server(int(process.stdout.readline()))
        process.stdin.close()


Make = Callable[..., http.Http]


@pytest.fixture
def system(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(_http_client, "PAUSE_S", 0.01)
    made = []

    def make(path: str, **options: object) -> http.Http:
        made.append(http.create({"url": f"{server.base}/{path}", "timeout_s": 5, **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def streamed(system: http.Http) -> list[Clip]:
    return list(system.stream(REQUEST))


def joined(pieces: list[Clip]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])


@pytest.mark.parametrize(
    "path",
    ["pieces", "pieces-bytes", "pieces-odd", "pieces-sized", "pieces-float", "pieces-24",
     "pieces-law"],
)  # fmt: skip
def test_pieces_hold_the_samples_of_the_whole(system: Make, path: str) -> None:
    pieces = streamed(system(path))
    whole = system(path).speak(REQUEST)
    assert len(pieces) > 1
    assert np.array_equal(joined(pieces), whole.samples)
    assert {piece.sample_rate_hz for piece in pieces} == {16000}


@pytest.mark.parametrize("path", ["ok", "moved", "streamed-ff", "streamed-0"])
def test_a_whole_wav_streams_to_the_same_samples(system: Make, path: str) -> None:
    pieces, whole = streamed(system(path)), system(path).speak(REQUEST)
    assert np.array_equal(joined(pieces), whole.samples)


@pytest.mark.parametrize("path", ["flac", "pieces-adpcm"])
def test_other_formats_come_in_one_piece(system: Make, path: str) -> None:
    [piece] = streamed(system(path))
    assert np.array_equal(piece.samples, system(path).speak(REQUEST).samples)


def test_a_piece_is_handed_over_before_the_next_is_sent(system: Make, server: Server) -> None:
    stream = system("pieces-slow").stream(REQUEST)
    first = next(stream)  # the server sends no more until it is told to
    assert 0 < len(first.samples) < 1920
    server.get("go")
    assert len(first.samples) + sum(len(piece.samples) for piece in stream) == 1920


def test_the_request_is_the_one_that_speak_posts(system: Make, server: Server) -> None:
    streamed(system("pieces?same=1", voice="v"))
    system("pieces?same=1", voice="v").speak(REQUEST)
    calls = json.loads(server.get("state"))["calls"]
    first, second = [call["body"] for call in calls if call["path"].startswith("/pieces?same")]
    assert first == second


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("pieces-cut", "the answer is truncated"),
        ("pieces-short", "truncated WAV: "),
        ("short-wav", "truncated WAV: "),
        ("html", "beginning '<html><body>Hello from a proxy"),
        ("empty", "empty (0 bytes)"),
        ("elsewhere", "not followed"),
        ("broken", "HTTP 500 Internal Server Error: out of memory"),
        ("refusing", "HTTP 400"),
        ("drip-head", "no complete answer within timeout_s=0.4"),
        ("drip", "no complete answer within timeout_s=0.4"),
    ],
)
def test_what_speak_refuses_is_refused(system: Make, path: str, reason: str) -> None:
    with pytest.raises(SynthesisError) as caught:
        streamed(system(path, retries=0, timeout_s=0.4))
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failure_before_the_audio_is_tried_again(system: Make) -> None:
    assert len(joined(streamed(system("pieces-shaky")))) == 1920
    assert len(joined(streamed(system("shaky?streaming=1")))) == 1920


def test_a_failure_within_the_audio_is_not(system: Make, server: Server) -> None:
    with pytest.raises(SynthesisError, match=r"truncated .*, within the audio"):
        streamed(system("pieces-cut?once=1", retries=3))
    assert server.get("state").count("pieces-cut?once=1") == 1


def test_too_much_is_not_read(system: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http_client, "MAX_BYTES", 100)
    with pytest.raises(SynthesisError, match="more than 100 bytes"):
        streamed(system("pieces"))


def test_the_key_is_not_shown(system: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_KEY", "sk-secret")
    with pytest.raises(SynthesisError) as caught:
        streamed(system("refusing?guarded=2", api_key_env="SPEECH_KEY"))
    assert "sk-secret" not in str(caught.value)


def test_leaving_early_frees_the_place(system: Make) -> None:
    made = system("pieces", concurrency=1)
    for _ in range(3):
        stream = made.stream(REQUEST)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert len(joined(streamed(made))) == 1920


def test_many_threads_may_stream_at_once(system: Make) -> None:
    made = system("pieces", concurrency=8)
    assert made.concurrent
    assert made.at_a_time == 8
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(len(joined(streamed(made))))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1920] * 8


def wav(n: int, size: int | None = None, code: int = 1, before: bytes = b"") -> bytes:
    """A header by hand, and n samples of 16 bits at 16 kHz."""
    samples = (np.arange(n) % 100).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", code, 1, 16000, 32000, 2, 16)
    chunks = b"fmt " + struct.pack("<I", 16) + form + before
    chunks += b"data" + struct.pack("<I", len(samples) if size is None else size) + samples
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WAVE" + chunks


def taken(data: bytes, cuts: list[int]) -> list[Clip]:
    found: list[Clip] = []
    pieces = Pieces(found.append, "test")
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        pieces.take(data[start:end])
    assert pieces.begun == bool(found)
    assert pieces.samples == sum(len(clip.samples) for clip in found)
    return found


@given(st.integers(1, 400), st.lists(st.integers(0, 10_000)), st.sampled_from([None, 0, 2**32 - 1]))
def test_any_cut_gives_the_same_samples(n: int, cuts: list[int], size: int | None) -> None:
    junk = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    data = wav(n, size, before=junk)
    clips = taken(data, cuts)
    assert np.array_equal(joined(clips), (np.arange(n) % 100).astype(np.float32) / 32768)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_what_is_no_wav_yields_nothing(data: bytes, cuts: list[int]) -> None:
    assert taken(data, cuts) == []


def test_formats_whose_frames_depend_on_each_other_are_left_whole() -> None:
    assert taken(wav(100, code=2), [50]) == []


def test_an_endless_header_is_not_waited_for() -> None:
    junk = b"LIST" + struct.pack("<I", HEADER_BYTES) + bytes(HEADER_BYTES)
    assert taken(wav(100, before=junk), [50, 70_000]) == []


def test_hours_of_audio_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_DURATION_S", 0.01)
    with pytest.raises(SynthesisError, match="longer than 0"):
        taken(wav(100), []), taken(wav(150), [100]), taken(wav(300), [200])
