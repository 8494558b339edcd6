"""Servers of ``systems/shaped_server.py`` in processes of their own, and systems that ask them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest

from mamtra_eval.audio import Clip
from mamtra_eval.systems import Request, _http_client, http

TEXT = "Hello there."
SAMPLES = (np.arange(240 * len(TEXT)) % 1000 * 20 - 10000).astype(np.float32) / 32768
SPEECH = "v1/audio/speech"
COSY = "inference_zero_shot"
RATES_HZ = {"openai": 24000, "vllm-omni": 44100, "sglang-omni": 24000, "cosyvoice": 22050}
WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "openai": ("openai", SPEECH, {"model": "m", "voice": "v"}),
    "openai-pcm": ("openai", SPEECH, {"model": "m", "voice": "v", "response_format": "pcm",
                                      "pcm_rate_hz": 24000, "streaming": "audio"}),
    "openai-sse": ("openai", SPEECH, {"model": "m", "voice": "v", "streaming": "sse"}),
    "openai-sse-pcm": ("openai", SPEECH, {"model": "m", "voice": "v", "streaming": "sse",
                                          "response_format": "pcm", "pcm_rate_hz": 24000}),
    "vllm-omni": ("vllm-omni", SPEECH, {}),
    "vllm-omni-pcm": ("vllm-omni", SPEECH, {"response_format": "pcm", "pcm_rate_hz": 44100}),
    "vllm-omni-sse": ("vllm-omni", SPEECH, {"streaming": "sse"}),
    "vllm-omni-whole": ("vllm-omni", SPEECH, {"streaming": "none", "speed": 1.5}),
    "sglang-omni": ("sglang-omni", SPEECH, {}),
    "sglang-omni-whole": ("sglang-omni", SPEECH, {"streaming": "none"}),
    "cosyvoice": ("cosyvoice", COSY, {"pcm_rate_hz": 22050}),
}  # fmt: skip
"""Name of a way to ask: shape, path, options."""

STREAMING = [name for name in WAYS if name != "openai" and not name.endswith("-whole")]


class Server:
    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> dict[str, Any]:
        with build_opener(ProxyHandler({})).open(f"{self.base}/{path}", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def calls(self, path: str) -> list[dict[str, Any]]:
        return [call for call in self.get("state")["calls"] if call["to"].startswith(f"/{path}")]


@contextmanager
def running() -> Iterator[dict[str, Server]]:
    """One server of each shape."""
    script = Path(__file__).parent / "systems" / "shaped_server.py"
    with ExitStack() as stack:
        processes = {
            shape: stack.enter_context(
                subprocess.Popen(
                    [sys.executable, script, shape],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                )
            )
            for shape in RATES_HZ
        }  # fmt: skip
        for process in processes.values():
            assert process.stdin
            stack.callback(process.stdin.close)  # before the process is waited for
        yield {
            shape: Server(int(process.stdout.readline()))
            for shape, process in processes.items()
            if process.stdout
        }


Make = Callable[..., http.Http]


@contextmanager
def asking(servers: dict[str, Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes a system for a way to ask; ``behaviour`` may end with ``?…`` to be told from others."""
    monkeypatch.setattr(_http_client, "PAUSE_S", 0.01)
    made = []

    def make(way: str, behaviour: str = "ok", path: str = "", **options: object) -> http.Http:
        shape, usual, usually = WAYS[way]
        front, mark, query = behaviour.partition("?")
        url = f"{servers[shape].base}/{front}/{path or usual}{mark}{query}"
        made.append(http.create({"url": url, "shape": shape, "timeout_s": 5, **usually, **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def with_prompt(folder: Path) -> Request:
    """A request with a prompt; its recording's bytes are nothing that a form could take apart."""
    prompt = folder / "a private name.flac"
    prompt.write_bytes(b"fLaC \r\n--bytes\x00\xff")
    return Request("u1", TEXT, prompt_text="Prompt, two.", prompt_audio=prompt, seed=7)


def joined(pieces: list[Clip]) -> np.ndarray:
    return np.concatenate([piece.samples for piece in pieces])
