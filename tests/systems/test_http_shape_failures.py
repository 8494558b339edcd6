"""Real servers of four shapes that fail, stall, break off or send something else."""

from __future__ import annotations

import numpy as np
import pytest
from shaped_servers import (
    SAMPLES,
    SPEECH,
    TEXT,
    WAYS,
    Make,
    Server,
    joined,
)

from mamtra_eval.errors import SynthesisError
from mamtra_eval.systems import Request


@pytest.mark.parametrize("way", ["openai", "vllm-omni-pcm", "openai-sse", "cosyvoice"])
@pytest.mark.parametrize(("behaviour", "asked"), [("busy", 2), ("shaky", 2)])
def test_busy_and_failing_servers_are_asked_again(
    system: Make, servers: dict[str, Server], request_: Request, way: str, behaviour: str,
    asked: int,
) -> None:  # fmt: skip
    made = system(way, f"{behaviour}?again={way}")
    assert np.array_equal(joined(list(made.stream(request_))), SAMPLES)
    shape, path, _ = WAYS[way]
    assert len(servers[shape].calls(f"{behaviour}/{path}?again={way}")) == asked


@pytest.mark.parametrize("way", ["vllm-omni-pcm", "openai-sse-pcm", "sglang-omni", "cosyvoice"])
def test_a_connection_that_breaks_before_audio_is_tried_again(
    system: Make, servers: dict[str, Server], request_: Request, way: str
) -> None:
    made = system(way, f"cut-first?way={way}")
    assert np.array_equal(joined(list(made.stream(request_))), SAMPLES)
    shape, path, _ = WAYS[way]
    assert len(servers[shape].calls(f"cut-first/{path}?way={way}")) == 2


FAILURES = [
    ("openai", "broken", "HTTP 500 Internal Server Error: no memory"),
    ("openai", "cut", "the answer is truncated"),
    ("openai", "html", "beginning '<html>"),
    ("openai", "empty", "no samples"),
    ("openai-pcm", "file", "a file with a header"),
    ("openai-sse", "cut", "the answer is truncated"),
    ("openai-sse", "sse-error", "the server sent an error: engine died"),
    ("openai-sse", "sse-endless", "truncated (its events have no end)"),
    ("openai-sse", "sse-wrong", "not base64"),
    ("openai-sse-pcm", "odd", "truncated: 5759 bytes"),
    ("vllm-omni", "cut", "the answer is truncated"),
    ("vllm-omni", "drip", "no complete answer within timeout_s=0.6"),
    ("vllm-omni-pcm", "cut", "the answer is truncated"),
    ("vllm-omni-pcm", "odd", "truncated: 5759 bytes"),
    ("vllm-omni-pcm", "empty", "holds no samples"),
    ("sglang-omni", "stereo", "2 channels of 16 bits"),
    ("cosyvoice", "broken", "HTTP 500"),
    ("cosyvoice", "cut", "the answer is truncated"),
    ("cosyvoice", "drip", "no complete answer within timeout_s=0.6"),
    ("cosyvoice", "odd", "truncated: 5759 bytes"),
    ("cosyvoice", "empty", "holds no samples"),
    ("cosyvoice", "html", "no audio, beginning '<html>"),
    ("cosyvoice", "text", "no audio, the server says: out of memory"),
    ("cosyvoice", "file", "a file with a header"),
]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("way", "behaviour", "reason"), FAILURES)
def test_what_is_no_whole_clip_is_a_failure(
    system: Make, request_: Request, way: str, behaviour: str, reason: str, streamed: bool
) -> None:
    made = system(way, behaviour, retries=0, timeout_s=0.6 if behaviour == "drip" else 5)
    with pytest.raises(SynthesisError) as caught:
        list(made.stream(request_)) if streamed else made.speak(request_)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rate_that_two_say_differently_is_a_failure(system: Make, request_: Request) -> None:
    with pytest.raises(SynthesisError, match="pcm_rate_hz is 24000, but the server says 16000 Hz"):
        system("sglang-omni", "liar", pcm_rate_hz=24000).speak(request_)


def test_a_rate_that_nobody_says_is_a_failure(
    system: Make, servers: dict[str, Server], request_: Request
) -> None:
    url = f"{servers['vllm-omni'].base}/ok/{SPEECH}"
    with pytest.raises(SynthesisError, match="give pcm_rate_hz"):
        system("sglang-omni", url=url).speak(request_)


def test_what_a_server_misses_is_told(system: Make, request_: Request) -> None:
    with pytest.raises(SynthesisError, match=r"HTTP 422 .*instruct_text"):
        system("cosyvoice", path="inference_instruct2").speak(request_)
    with pytest.raises(SynthesisError, match="u2 has no prompt recording; use a test set with"):
        system("cosyvoice").speak(Request("u2", TEXT))
    with pytest.raises(SynthesisError, match=r"HTTP 400 .*speed adjustment"):
        system("vllm-omni", speed=2).speak(request_)
