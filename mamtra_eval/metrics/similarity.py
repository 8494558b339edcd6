"""Speaker similarity (SIM): cosine of the clip's and the prompt's voice embeddings.

Higher is better; 1 is the same embedding. The scale belongs to the encoder: figures of different
encoders must not be compared, and a published SIM of another encoder is no reference.

Options (section ``speaker`` of a configuration): ``encoder`` names the speaker encoder (``ge2e``,
which needs no download), ``resample`` the way to 16 kHz (``soxr``; ``sinc`` as Seed-TTS-eval has
it); all others are the encoder's own.

Every clip is compared with the prompt of its own utterance, as in Seed-TTS-eval. An utterance
without a prompt, or audio in which no voice is found, gives no reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval import rates, registry
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.metrics import Figure, Item, Metric, Reading
from mamtra_eval.speakers import Embedding, SpeakerEncoder
from mamtra_eval.testset import TestSet

OPTION_SECTION = "speaker"
DEFAULT_ENCODER = "ge2e"


class Similarity(Metric):
    """Cosine similarity; the embedding of a prompt is kept, since many clips share one."""

    figures = (
        Figure(name="similarity", numerator="cosine", unit="cosine", title="Speaker similarity"),
    )
    note = "Cosines of different speaker encoders are on different scales."

    def __init__(self, encoder: SpeakerEncoder, resampler: str = "soxr") -> None:
        rates.check(resampler)
        self._encoder = encoder
        self.resampler = resampler
        self._prompts: dict[tuple[Path, int, int], Embedding] = {}

    def signature(self) -> str:
        """The encoder's own signature."""
        return f"metric:similarity|{self._encoder.signature()}"

    def check(self, testset: TestSet) -> None:
        """UserError if no utterance has a prompt, or the encoder can't work here."""
        if not any(utterance.prompt_audio for utterance in testset.utterances):
            raise UserError(
                "similarity compares clips with prompts, and no utterance of the test set has one",
                where=str(testset.path),
                fix="Leave the metric out, or use a list with a column of prompt audio.",
            )
        self._encoder.check()

    def measure(self, item: Item) -> Reading:
        """Compare the clip with its prompt."""
        if item.prompt_audio is None:
            raise MeasurementError("the utterance has no prompt audio to compare with")
        prompt = self._embed_prompt(item, item.prompt_audio)
        clip = self._encoder.embed(item.at_16k(self.resampler))
        return Reading({"cosine": float(np.dot(clip.astype(np.float64), prompt))})

    def _embed_prompt(self, item: Item, path: Path) -> Embedding:
        try:
            stat = path.stat()
            # With time and size, so that a file replaced under the same name is read again.
            key = (path, stat.st_mtime_ns, stat.st_size)
            if key not in self._prompts:
                prompt = replace(item, path=path, prompt_audio=None)
                self._prompts[key] = self._encoder.embed(prompt.at_16k(self.resampler))
        except (MeasurementError, OSError) as error:
            raise MeasurementError(f"prompt: {error}") from error
        return self._prompts[key]


def create(options: Mapping[str, Any]) -> Metric:
    """Make the metric with its encoder; nothing heavy is imported yet."""
    rest = dict(options)
    encoder = str(rest.pop("encoder", None) or DEFAULT_ENCODER)
    resampler = str(rest.pop("resample", None) or "soxr")
    return Similarity(registry.create("speakers", encoder, rest), resampler)
