"""The trained voices of the mini family, and which of them a prompt asks for."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from mamtra_eval import audio, registry
from mamtra_eval.errors import MeasurementError, SynthesisError

if TYPE_CHECKING:
    from mamtra_eval.codecs.mini import MiniCodec

BUNDLE = Path(__file__).parent / "weights" / "mini"
CODEC, VOICES = BUNDLE / "codec", BUNDLE / "voices.json"
RATE_HZ = 16_000

Floats = npt.NDArray[np.float32]


class Encoder(Protocol):
    """What is asked of a speaker encoder; systems reach speakers by the registry alone."""

    def embed(self, samples_16k: audio.Samples) -> Floats:
        """A unit vector; MeasurementError if there is no voice."""
        ...

    def check(self) -> None:
        """UserError if it can't work here."""
        ...

    def signature(self) -> str:
        """Everything that embeddings depend on."""
        ...


def hashes(*, with_prompts: bool) -> dict[str, str]:
    """What every clip through the codec depends on: its files, and the encoder that hears prompts.

    MissingExtra if there are prompts and that encoder's weights are not installed.
    """
    found = {"codec": audio.sha256(CODEC / "codec.safetensors"), "voices": audio.sha256(VOICES)}
    if with_prompts:
        encoder = _encoder()
        encoder.check()
        found["encoder"] = encoder.signature()
    return found


def load_codec() -> MiniCodec:
    """The family's codec."""
    from mamtra_eval.codecs import mini

    return mini.load(CODEC)


class Voices:
    """Chooses the voice whose mean speaker embedding is nearest to a prompt's."""

    def __init__(self) -> None:
        self._chosen: dict[Path, int] = {}

    def nearest(self, prompt: Path | None) -> int:
        """Index of a voice; 0 without a prompt. SynthesisError for a bad one."""
        if prompt is None:
            return 0
        if prompt not in self._chosen:
            self._chosen[prompt] = int(np.argmax(self._centroids @ self._embed(prompt)))
        return self._chosen[prompt]

    def _embed(self, prompt: Path) -> Floats:
        try:
            clip = audio.read(prompt, prompt.name)
            if not np.isfinite(clip.samples).all():
                raise audio.AudioError(f"{prompt.name}: samples that are no finite numbers")
            samples = audio.resample(clip.samples, clip.sample_rate_hz, RATE_HZ)
            return self._encoder.embed(samples)
        except (audio.AudioError, MeasurementError) as error:
            about = str(error).removeprefix(f"{prompt.name}: ")
            raise SynthesisError(f"the prompt {prompt.name}: {about}") from error

    @cached_property
    def _centroids(self) -> Floats:
        voices = json.loads(VOICES.read_text("utf-8"))
        return np.array([voice["embedding"] for voice in voices], dtype=np.float32)

    @cached_property
    def _encoder(self) -> Encoder:
        return _encoder()


def _encoder() -> Encoder:
    encoder: Encoder = registry.create("speakers", "ge2e", {})
    return encoder
