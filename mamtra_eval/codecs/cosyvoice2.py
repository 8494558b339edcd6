"""CosyVoice 2 around its language model: front end, flow and vocoder of the official package.

The model folder is the published one (``cosyvoice2.yaml``, ``flow.pt``, ``hift.pt``,
``campplus.onnx``, ``speech_tokenizer_v2.onnx``, ``CosyVoice-BlankEN``); its ``llm.pt`` is read by
whoever supplies the language model, not here. What turns texts into ids and tokens into samples is
the package's own code, so that a system differs from the official one in the language model alone.

A prompt's features (text ids, 25 Hz speech tokens, 50 Hz mel cut to exactly two frames a token,
CAM++ speaker embedding) are computed once and kept (``prompts``).

Randomness: the flow starts from noise that is fixed at its making (seed 0, the package's own rule);
the vocoder's excitation draws from torch's global generator, which ``decode`` and ``stream`` seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mamtra_eval.audio import Clip
from mamtra_eval.codecs._cosyvoice_folder import (
    FLOW,
    VOCODER,
    configuration,
    fill,
    front_end,
    require_files,
)
from mamtra_eval.codecs._cosyvoice_source import Source
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.prompts import Bounds, Kept

if TYPE_CHECKING:
    from torch import Tensor

SAMPLE_RATE_HZ = 24_000
PROMPTS = Bounds(most_s=30.0, least_hz=16_000)
"""What the package's own readers take; beyond it they end with an assertion."""
HOP, MOST_HOP = 25, 100
"""Tokens of a stream's first chunk, before padding, and of its longest."""
FRONT_ENDS = ("wetext", "ttsfrd", "rules", "none")
"""Text normalisers: two packages, the package's plain rules alone, or the text as it is."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """A voice, as the package's front end has it.

    Attributes:
        text: ids of what the prompt says; empty without a transcript.
        speech: its speech tokens for the language model; empty without a transcript, since they
            would be taken for speech of the target text (the package's cross-lingual mode).
        inputs: what flow and upstream's loop take, tensors by the package's own names.
    """

    text: list[int]
    speech: list[int]
    inputs: dict[str, Tensor]


class CosyVoice2Codec:
    """Texts to ids, prompts to features, speech tokens to samples; make one with ``load``."""

    def __init__(
        self,
        front_end: Any,  # noqa: ANN401 -- objects of the package
        model: Any,  # noqa: ANN401
        text_front_end: str,
    ) -> None:
        self.front_end, self.model = front_end, model
        self._normalize = text_front_end != "none"
        self._prompts = Kept[Prompt](PROMPTS)

    def pieces(self, text: str) -> list[list[int]]:
        """Text ids of each piece that is spoken alone: normalised, about 80 ids at the most."""
        parts = self.front_end.text_normalize(text, split=True, text_frontend=self._normalize)
        made = [self._ids(part) for part in parts]
        made = [ids for ids in made if ids]
        if not made:
            raise SynthesisError("the text has nothing to say in it")
        return made

    def prompt(self, path: Path, text: str | None) -> Prompt:
        """Features of a prompt; SynthesisError for a recording that can't be one."""
        return self._prompts.get(path, lambda _: self._features(path, text), beside=text)

    def decode(self, tokens: list[int], prompt: Prompt, seed: int) -> Clip:
        """Samples of all tokens of a piece at once."""
        with self._session(seed) as name:
            return self._clip(self._to_wave(tokens, prompt, name, 0, last=True))

    def stream(self, tokens: Iterator[int], prompt: Prompt, seed: int) -> Iterator[Clip]:
        """Samples while tokens come, in the package's chunks.

        The first chunk ends where prompt and tokens together are a multiple of 25, later ones
        double up to 100 tokens; three tokens are looked ahead. Unlike the package's own loop, the
        chunk's size starts anew with each request, and nothing waits for a clock.
        """
        said: list[int] = []
        offset, hop = 0, HOP
        ahead = int(self.model.flow.pre_lookahead_len)
        n_prompt = int(prompt.inputs["flow_prompt_speech_token"].shape[1])
        padding = ceil(n_prompt / HOP) * HOP - n_prompt
        with self._session(seed) as name:
            for token in tokens:
                said.append(token)
                chunk = hop + (padding if offset == 0 else 0)
                if len(said) - offset >= chunk + ahead:
                    yield self._clip(self._to_wave(said, prompt, name, offset, last=False))
                    offset, hop = offset + chunk, min(MOST_HOP, 2 * hop)
            if said:
                yield self._clip(self._to_wave(said, prompt, name, offset, last=True))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.front_end._extract_text_token(text)[0][0].tolist()
        return ids

    def _features(self, path: Path, text: str | None) -> Prompt:
        said = self.front_end.text_normalize(text or "", split=False, text_frontend=self._normalize)
        inputs = self.front_end.frontend_zero_shot("", said, str(path), SAMPLE_RATE_HZ, "")
        inputs = {name: value for name, value in inputs.items() if not name.startswith("text")}
        speech: list[int] = inputs["llm_prompt_speech_token"][0].tolist()
        words: list[int] = inputs["prompt_text"][0].long().tolist()
        return Prompt(words, speech, inputs) if words else Prompt([], [], inputs)

    def _session(self, seed: int) -> _Session:
        return _Session(self.model, seed)

    def _to_wave(
        self, tokens: list[int], prompt: Prompt, name: str, offset: int, *, last: bool
    ) -> Tensor:
        import torch

        inputs = prompt.inputs
        with torch.inference_mode():
            wave: Tensor = self.model.token2wav(
                token=torch.tensor([tokens], dtype=torch.int32),
                prompt_token=inputs["flow_prompt_speech_token"],
                prompt_feat=inputs["prompt_speech_feat"],
                embedding=inputs["flow_embedding"],
                token_offset=offset,
                uuid=name,
                stream=not last,
                finalize=last,
            )
        return wave

    def _clip(self, wave: Tensor) -> Clip:
        samples = wave.float().reshape(-1).cpu().numpy()
        return Clip(np.ascontiguousarray(samples, np.float32), SAMPLE_RATE_HZ)


class _Session:
    """One utterance in the package's tables: its vocoder cache, and the seed of its noise."""

    NAME = "mamtra-eval"

    def __init__(self, model: Any, seed: int) -> None:  # noqa: ANN401 -- a class of the package
        self._model, self._seed = model, seed

    def __enter__(self) -> str:
        import torch

        torch.manual_seed(self._seed)  # of all devices
        self._model.hift_cache_dict[self.NAME] = None
        return self.NAME

    def __exit__(self, *error: object) -> None:
        self._model.hift_cache_dict.pop(self.NAME, None)


def load(
    folder: Path,
    source: Source,
    *,
    device: str = "cpu",
    autocast: bool = False,
    text_front_end: str = "wetext",
) -> CosyVoice2Codec:
    """The codec of a model folder.

    Args:
        folder: of CosyVoice2-0.5B.
        source: of the official package.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        autocast: whether the flow runs in half precision where torch's autocast allows it; on a
            CUDA device alone. The vocoder is always in single precision.
        text_front_end: one of ``FRONT_ENDS``.

    Raises:
        UserError: a file of the folder is absent or not what its configuration describes, or the
            text normaliser is not there.
        MissingExtra: a package is absent or broken.
    """
    import torch

    require_files(folder)
    parts = configuration(folder, source, without=("llm",))
    place = torch.device(device)
    made = front_end(folder, source, parts)
    made.device = place
    _choose(made, text_front_end)
    model = source.module("cosyvoice.cli.model").CosyVoice2Model(
        None, parts["flow"], parts["hift"], autocast
    )
    model.device = place
    fill(model.flow, folder / FLOW, place)
    fill(model.hift, folder / VOCODER, place, prefix="generator.")
    return CosyVoice2Codec(made, model, text_front_end)


def _choose(front_end: Any, wanted: str) -> None:  # noqa: ANN401 -- a class of the package
    """Have the text normaliser that was asked for; the package takes what it finds in silence."""
    found = front_end.text_frontend or "rules"
    if wanted == "rules":
        front_end.text_frontend = ""
    elif wanted != "none" and found != wanted:
        raise UserError(
            f"the text front end is {found}, not {wanted}",
            where="option text_frontend of cosyvoice2",
            fix=f"Take text_frontend={found}; or install it: pip install {wanted}"
            + (" (its rules are fetched when first used)" if wanted == "wetext" else ""),
        )
