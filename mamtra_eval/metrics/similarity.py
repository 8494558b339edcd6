"""Speaker similarity (SIM): cosine of the clip's and the prompt's voice embeddings.

Higher is better; 1 is the same embedding. The scale belongs to the encoder: figures of different
encoders must not be compared, and a published SIM of another encoder is no reference.

Options (section ``speaker`` of a configuration): ``encoder`` names the speaker encoder (``ge2e``,
which needs no download), ``resample`` the way to 16 kHz (``soxr``; ``sinc`` as Seed-TTS-eval has
it); all others are the encoder's own.

The embedding of a prompt is kept in the user's cache (``mamtra-eval/embeddings``), by the hash of
its file and of everything that embeddings depend on: all systems and all runs share it.
``speaker.cache=false`` does without.

Every clip is compared with the prompt of its own utterance, as in Seed-TTS-eval. An utterance
without a prompt, or audio in which no voice is found, gives no reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mamtra_eval import audio, rates, registry
from mamtra_eval.batching import by_equal_size, in_batches, one_by_one
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.metrics import Figure, Item, Metric, Reading
from mamtra_eval.metrics._prompt_cache import PromptCache
from mamtra_eval.registry import read_options
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

    def __init__(
        self, encoder: SpeakerEncoder, resampler: str = "soxr", *, cache: bool = True
    ) -> None:
        rates.check(resampler)
        self._encoder = encoder
        self.resampler = resampler
        self.batch_size = encoder.batch_size
        self.device, self.on_device = encoder.device, encoder.on_device
        self._keep = cache
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
        prompt = self._prompt(item)
        return _compare(self._encoder.embed(item.at_16k(self.resampler)), prompt)

    def measure_many(self, items: Sequence[Item]) -> list[Reading | Exception]:
        """The same of several clips; those of exactly one length are embedded together."""
        if self.batch_size == 1:
            return one_by_one(self.measure, items)
        clips = one_by_one(lambda item: item.at_16k(self.resampler), items)
        sizes = [
            f"failed {position}" if isinstance(clip, Exception) else len(clip)
            for position, clip in enumerate(clips)
        ]
        return in_batches(self._measure_batch, items, by_equal_size(sizes, self.batch_size))

    def _measure_batch(self, items: list[Item]) -> list[Reading | Exception]:
        """Clips of exactly one length."""
        prompts = one_by_one(self._prompt, items)
        embeddings = self._encoder.embed_many([item.at_16k(self.resampler) for item in items])
        found: list[Reading | Exception] = []
        for prompt, embedding in zip(prompts, embeddings, strict=True):
            if isinstance(prompt, Exception):
                found.append(prompt)
            elif isinstance(embedding, Exception):
                found.append(embedding)
            else:
                found.append(_compare(embedding, prompt))
        return found

    def _prompt(self, item: Item) -> Embedding:
        """The embedding of an item's prompt: of this process, of the user's cache, or made."""
        path = item.prompt_audio
        if path is None:
            raise MeasurementError("the utterance has no prompt audio to compare with")
        try:
            stat = path.stat()
            # With time and size, so that a file replaced under the same name is read again.
            key = (path, stat.st_mtime_ns, stat.st_size)
            if key not in self._prompts:
                self._prompts[key] = self._embed_prompt(replace(item, path=path, prompt_audio=None))
        except (MeasurementError, OSError) as error:
            raise MeasurementError(f"prompt: {error}") from error
        return self._prompts[key]

    def _embed_prompt(self, prompt: Item) -> Embedding:
        def embed() -> Embedding:
            return self._encoder.embed(prompt.at_16k(self.resampler))

        if not self._keep:
            return embed()
        made = f"{self.signature()}|resample:{rates.signature(self.resampler)}"
        kept = PromptCache(made, self._encoder.device)
        return kept.get(audio.sha256(prompt.path), embed)


def _compare(clip: Embedding, prompt: Embedding) -> Reading:
    return Reading({"cosine": float(np.dot(clip.astype(np.float64), prompt))})


def fast(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the encoder in fast mode."""
    encoder = str(options.get("encoder") or DEFAULT_ENCODER)
    return dict(getattr(registry.load("speakers", encoder), "FAST", {}))


def defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The plugin's options with their defaults, as far as it tells them."""
    module = registry.load("speakers", str(options.get("encoder") or DEFAULT_ENCODER))
    return dict(getattr(module, "DEFAULTS", {}))


def create(options: Mapping[str, Any]) -> Metric:
    """Make the metric with its encoder; nothing heavy is imported yet."""
    rest = dict(options)
    encoder = str(rest.pop("encoder", None) or DEFAULT_ENCODER)
    resampler = str(rest.pop("resample", None) or "soxr")
    keep = read_options("similarity", {"cache": rest.pop("cache", True)}, {"cache": True})["cache"]
    return Similarity(registry.create("speakers", encoder, rest), resampler, cache=keep)
