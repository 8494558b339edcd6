"""Options of shapes: what is filled in, what is refused, what stands in the identity."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.systems import http

URL = "http://h/v1/audio/speech"
COSY = "http://h:50000/inference_zero_shot"


def options(**given: object) -> dict[str, Any]:
    return http.create({"url": URL, **given}).options


def test_the_identity_of_older_runs_is_unchanged() -> None:
    assert http.create({"url": URL, "model": "m"}).identity([]) == {
        "url": URL,
        "model": "m",
        "voice": None,
        "response_format": "wav",
        "speed": None,
        "extra": {},
        "prompt": "none",
        "prompt_audio_field": "ref_audio",
        "prompt_text_field": "ref_text",
        "send_seed": False,
    }


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ("none", "wav", None, "none")),
        ({"response_format": ""}, ("none", "", None, "none")),
        ({"streaming": "sse", "response_format": "mp3"}, ("sse", "mp3", None, "none")),
        ({"response_format": "pcm", "pcm_rate_hz": 22050}, ("none", "pcm", 22050, "none")),
        ({"shape": "vllm-omni"}, ("audio", "wav", None, "base64")),
        ({"shape": "vllm-omni", "voice": "x"}, ("audio", "wav", None, "none")),
        ({"shape": "vllm-omni", "voice": "x", "prompt": "base64"},
         ("audio", "wav", None, "base64")),
        ({"shape": "sglang-omni"}, ("audio", "pcm", None, "base64")),
        ({"shape": "sglang-omni", "streaming": "none"}, ("none", "wav", None, "base64")),
        ({"shape": "cosyvoice", "url": COSY}, ("audio", "pcm", 24000, "file")),
        ({"shape": "cosyvoice", "url": COSY, "pcm_rate_hz": "22050"},
         ("audio", "pcm", 22050, "file")),
        ({"shape": "cosyvoice", "url": "http://h/inference_sft", "voice": "v"},
         ("audio", "pcm", 24000, "none")),
    ],
)  # fmt: skip
def test_what_a_shape_fills_in(given: dict[str, Any], found: tuple[object, ...]) -> None:
    made = options(**given)
    names = ("streaming", "response_format", "pcm_rate_hz", "prompt")
    assert tuple(made[name] for name in names) == found


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("http://h:1", "http://h:1/inference_zero_shot"),
        ("http://h:1/", "http://h:1/inference_zero_shot"),
        ("http://h:1/?a=b", "http://h:1/inference_zero_shot?a=b"),
        ("http://h/tts/inference_zero_shot/", "http://h/tts/inference_zero_shot/"),
    ],
)
def test_an_address_of_cosyvoice_without_a_path_gets_one(url: str, full: str) -> None:
    assert options(shape="cosyvoice", url=url)["url"] == full


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shape": "vllm"}, "Did you mean vllm-omni"),
        ({"streaming": "yes"}, "One: none, audio, sse"),
        ({"shape": "sglang-omni", "streaming": "sse"}, "One: audio, none"),
        ({"shape": "sglang-omni", "response_format": "wav"}, "One that streams: pcm"),
        ({"shape": "vllm-omni", "response_format": "mp3"}, "One that streams: wav, pcm"),
        ({"shape": "vllm-omni", "response_format": "pcm"}, "sampling rate"),
        ({"shape": "sglang-omni", "streaming": "none", "response_format": "pcm"}, "sampling rate"),
        ({"shape": "cosyvoice", "url": COSY, "extra": '{"a": [1]}'}, "no form can hold"),
        ({"response_format": "aac"}, "can't be read"),
        ({"pcm_rate_hz": 24000}, "response_format is wav"),
        ({"response_format": "pcm", "pcm_rate_hz": "24k"}, "'24k'"),
        ({"response_format": "pcm", "pcm_rate_hz": 0}, "'0'"),
        ({"prompt": "file"}, "One: none, base64"),
        ({"shape": "cosyvoice"}, "no path of CosyVoice's server named 'speech'"),
        ({"shape": "cosyvoice", "url": "http://h/inference_zeroshot"}, "inference_zero_shot"),
        ({"shape": "cosyvoice", "url": COSY, "send_seed": True}, "takes no send_seed"),
        ({"shape": "cosyvoice", "url": COSY, "model": "m", "speed": 2}, "takes no model, speed"),
        ({"shape": "cosyvoice", "url": COSY, "voice": "v"}, "takes no voice"),
        ({"shape": "cosyvoice", "url": COSY, "response_format": "wav"}, "One that streams: pcm"),
        ({"shape": "cosyvoice", "url": COSY, "prompt": "none"}, "One: file"),
        ({"shape": "cosyvoice", "url": "http://h/inference_sft"}, "voice=NAME"),
    ],
)
def test_what_can_not_work_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        options(**given)
    assert words in str(caught.value)


def test_identity_holds_what_decides_the_request() -> None:
    base = {"url": URL, "shape": "vllm-omni"}
    one = http.create(base).identity([])
    assert json.loads(json.dumps(one)) == one
    assert (one["shape"], one["streaming"]) == ("vllm-omni", "audio")
    for other in (
        {"streaming": "none"}, {"streaming": "sse"}, {"prompt": "none"},
        {"response_format": "pcm", "pcm_rate_hz": 24000}, {"shape": "sglang-omni"},
    ):  # fmt: skip
        assert http.create({**base, **other}).identity([]) != one
    sse = http.create({"url": URL, "streaming": "sse"}).identity([])
    assert sse["streaming"] == "sse"


def test_the_identity_says_that_cosyvoice_has_no_seed() -> None:
    found = http.create({"url": COSY, "shape": "cosyvoice"}).identity([])
    assert found["seed"] == "not sent: the server takes none"
    assert found["pcm_rate_hz"] == 24000


def test_options_stand_in_the_query() -> None:
    found = http.options_from_url(f"{COSY}?shape=cosyvoice&pcm_rate_hz=22050&streaming=audio&a=b")
    assert found == {
        "url": f"{COSY}?a=b", "shape": "cosyvoice", "pcm_rate_hz": "22050", "streaming": "audio",
    }  # fmt: skip
    assert http.options_from_url(f"{URL}?stream=true")["url"] == f"{URL}?stream=true"
