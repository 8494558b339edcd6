"""Real servers of four shapes, a process each: what they are asked, and audio while it comes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shaped_servers import (
    COSY,
    RATES_HZ,
    SAMPLES,
    STREAMING,
    TEXT,
    WAYS,
    Make,
    Server,
    joined,
)

from mamtra_eval import registry, targets
from mamtra_eval.profiling import spoken
from mamtra_eval.systems import Request

Cli = Callable[..., Any]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_samples_whole_and_in_pieces(
    system: Make, request_: Request, way: str
) -> None:
    clip = system(way).speak(request_)
    pieces = list(system(way).stream(request_))
    assert np.array_equal(clip.samples, SAMPLES)
    assert np.array_equal(joined(pieces), SAMPLES)
    rate_hz = RATES_HZ[WAYS[way][0]]
    assert {clip.sample_rate_hz, *(piece.sample_rate_hz for piece in pieces)} == {rate_hz}
    assert len(pieces) > 1 or way not in STREAMING


@pytest.mark.parametrize("way", STREAMING)
def test_audio_is_there_before_its_end_is_sent(
    system: Make, servers: dict[str, Server], request_: Request, way: str
) -> None:
    server = servers[WAYS[way][0]]
    stream = system(way, f"gate?way={way}").stream(request_)
    first = next(stream)  # of a server that sends the rest when it is told to, or after 10 s
    assert not any(f"way={way}" in line for line in server.get("state")["log"])
    server.get(f"go?way={way}")
    assert np.array_equal(joined([first, *stream]), SAMPLES)
    assert sum(line.endswith(f"way={way}") for line in server.get("state")["log"]) == 1


@pytest.mark.parametrize("way", ["vllm-omni-pcm", "sglang-omni", "cosyvoice"])
def test_profiles_take_the_first_audio_before_the_end(
    system: Make, servers: dict[str, Server], request_: Request, way: str
) -> None:
    server, mark = servers[WAYS[way][0]], f"profiled={way}"
    ended: list[bool] = []

    def clock() -> float:
        """Ticks; the server may go on once the first piece's time was taken."""
        ended.append(any(mark in line for line in server.get("state")["log"]))
        if len(ended) == 2:
            server.get(f"go?{mark}")
        return float(len(ended))

    made = spoken.listen(system(way, f"gate?{mark}"), request_, clock)
    assert made.answer.requested_s == 1
    assert made.answer.arrivals[0].time_s == 2
    assert len(made.answer.arrivals) > 1
    assert ended[:2] == [False, False]
    assert made.answer.audio_s == pytest.approx(len(SAMPLES) / RATES_HZ[WAYS[way][0]])


def test_older_sglang_sends_events_with_their_rate(system: Make, request_: Request) -> None:
    pieces = list(system("sglang-omni", "old").stream(request_))
    assert len(pieces) > 1
    assert np.array_equal(joined(pieces), SAMPLES)
    assert pieces[0].sample_rate_hz == 24000


def test_what_omni_servers_are_sent(
    system: Make, servers: dict[str, Server], request_: Request
) -> None:
    system("vllm-omni", "ok?sent=1", send_seed=True, extra='{"language": "English"}').speak(
        request_
    )
    [call] = servers["vllm-omni"].calls("ok/v1/audio/speech?sent=1")
    head, _, data = call["fields"].pop("ref_audio").partition(",")
    assert head == "data:audio/flac;base64"
    assert request_.prompt_audio
    assert base64.b64decode(data) == request_.prompt_audio.read_bytes()
    assert call["fields"] == {
        "input": TEXT,
        "ref_text": "Prompt, two.",
        "response_format": "wav",
        "stream": True,
        "stream_format": "audio",
        "language": "English",
        "seed": 7,
    }
    system("sglang-omni", "ok?sent=1", voice="vivian").speak(request_)
    [call] = servers["sglang-omni"].calls("ok/v1/audio/speech?sent=1")
    assert call["fields"] == {
        "input": TEXT,
        "voice": "vivian",
        "response_format": "pcm",
        "stream": True,
    }


def test_what_cosyvoice_is_sent(
    system: Make, servers: dict[str, Server], request_: Request
) -> None:
    system("cosyvoice", "ok?sent=1").speak(request_)
    [call] = servers["cosyvoice"].calls("ok/inference_zero_shot?sent=1")
    file = call["fields"].pop("prompt_wav")
    assert call["fields"] == {"tts_text": TEXT, "prompt_text": "Prompt, two."}
    assert (file["name"], file["type"]) == ("prompt.flac", "audio/flac")
    assert request_.prompt_audio
    assert base64.b64decode(file["data"]) == request_.prompt_audio.read_bytes()


@pytest.mark.parametrize(("n", "text"), list(enumerate([None, "", "  "])))
def test_a_prompt_without_text_goes_to_the_cross_lingual_path(
    system: Make, servers: dict[str, Server], request_: Request, n: int, text: str | None
) -> None:
    mark = f"not=inference_zero_shot&n={n}"
    request = Request("u", TEXT, prompt_text=text, prompt_audio=request_.prompt_audio)
    system("cosyvoice", f"ok?{mark}").speak(request)
    [call] = servers["cosyvoice"].calls(f"ok/inference_cross_lingual?{mark}")
    assert set(call["fields"]) == {"tts_text", "prompt_wav"}


def test_other_paths_of_cosyvoice(
    system: Make, servers: dict[str, Server], request_: Request
) -> None:
    cross = system("cosyvoice", path="inference_cross_lingual")
    told = system("cosyvoice", path="inference_instruct2", extra='{"instruct_text": "Loud."}')
    own = system("cosyvoice", "ok?own", path="inference_sft", voice="anna")
    for each in (cross, told, own):
        assert np.array_equal(each.speak(request_).samples, SAMPLES)
    [call] = servers["cosyvoice"].calls("ok/inference_sft?own")
    assert call["fields"] == {"tts_text": TEXT.replace(" ", "+"), "spk_id": "anna"}


def test_a_target_of_the_command_line(servers: dict[str, Server], request_: Request) -> None:
    target = f"{servers['cosyvoice'].base}/ok/{COSY}?shape=cosyvoice&pcm_rate_hz=22050"
    spec = targets.parse("c", target)
    made = registry.create("systems", spec.kind, spec.options)
    try:
        assert made.speak(request_).sample_rate_hz == 22050
    finally:
        made.close()


def test_evaluate_speaks_to_cosyvoices_server(
    cli: Cli, mini: Path, tmp_path: Path, servers: dict[str, Server]
) -> None:
    target = f"cosy={servers['cosyvoice'].base}/ok/{COSY}?shape=cosyvoice&pcm_rate_hz=22050"
    done = cli("evaluate", target, "--testset", mini / "meta.lst", "--limit", 2,
               "--metrics", "health", "--out", tmp_path / "run", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    [system] = json.loads(done.stdout)["systems"]
    health = system["metrics"]["health"]
    assert (system["name"], health["n"], health["n_failed"]) == ("cosy", 2, 0)
