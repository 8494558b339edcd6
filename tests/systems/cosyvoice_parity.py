"""Both engines, and the official command, on the same texts; greedy. Writes what differs as JSON.

Run in CosyVoice's environment: ``python cosyvoice_parity.py SOURCE MODEL PROMPT OUT``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mamtra_eval.systems import Request
from mamtra_eval.systems import _cosyvoice_options as options_of
from mamtra_eval.systems.cosyvoice2 import CosyVoice2

TEXTS = ("Hello, 12 friends.", "One more.", "Is it?", "A longer one, with a comma in it.")
SAID = "I will call you back."


def main(source: str, model: str, prompt: str, out: str) -> None:
    """Compare, and write."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {"tokens": {}, "largest_difference": {}}
    requests = [Request(f"u{n}", text, SAID, Path(prompt), seed=7 + n)
                for n, text in enumerate(TEXTS)]  # fmt: skip
    spoken = {}
    for engine in ("own", "upstream"):
        system = CosyVoice2(options_of.read({
            "source": source, "model": model, "engine": engine, "sampler": "greedy",
            "text_frontend": "rules", "device": "cpu",
        }))  # fmt: skip
        asks = [ask for request in requests for ask in _asks(system, request)]
        made = [system._engine.generate([ask])[0] for ask in asks]
        found["tokens"][engine] = [one.tokens for one in made]
        found["stopped"] = [one.stopped for one in made]
        spoken[engine] = [system.speak(request).samples for request in requests]
        pieces = [clip.samples for clip in system.stream(requests[0])]
        spoken[f"{engine} streaming"] = [np.concatenate(pieces)]
    official = _official(source, model, requests)
    for engine in ("own", "upstream"):
        pairs = zip(spoken[engine], official["whole"], strict=True)
        found["largest_difference"][engine] = max(
            float(np.abs(one - other).max()) for one, other in pairs
        )
    found["largest_difference_streaming"] = float(
        np.abs(spoken["own streaming"][0] - official["streaming"]).max()
    )
    Path(out).write_text(json.dumps(found), "utf-8")


def _asks(system: CosyVoice2, request: Request) -> list[Any]:
    system.prepare()
    return system._asks(request)


def _official(source: str, model: str, requests: list[Request]) -> dict[str, Any]:
    """What the package's own command makes of the same, its sampler replaced by the likeliest."""
    for path in (Path(source) / "third_party/Matcha-TTS", Path(source)):
        sys.path.insert(0, str(path))
    from cosyvoice.cli.cosyvoice import CosyVoice2 as Official

    official = Official(model)
    official.frontend.text_frontend = ""
    official.model.llm.sampling = lambda scores, said, sampling: int(scores.argmax())
    whole = []
    for request in requests:
        pieces = []
        for piece in _spoken(official, request, stream=False):
            pieces.append(piece)
        whole.append(np.concatenate(pieces))
    streamed = np.concatenate(list(_spoken(official, requests[0], stream=True)))
    return {"whole": whole, "streaming": streamed}


def _spoken(official: Any, request: Request, stream: bool) -> Any:
    torch.manual_seed(request.seed)
    for made in official.inference_zero_shot(
        request.text, request.prompt_text, str(request.prompt_audio), stream=stream
    ):
        yield made["tts_speech"][0].numpy()


if __name__ == "__main__":
    main(*sys.argv[1:])
