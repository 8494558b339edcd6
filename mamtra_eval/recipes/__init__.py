"""Recipes: named protocols, as laboratories publish them, and what each asks of an evaluation.

A published word error rate belongs to its recipe: the recogniser and how it decodes, the way audio
gets to 16 kHz, the text rule, the mean of utterances or all errors by all words, and what becomes
of a clip that isn't there. ``evaluate --recipe NAME`` sets all of it (``settings``), and says in
the run's notes where the run differs from the recipe after all (``differences``), by the user's own
options or by design. ``recipes compare RUN`` works out every recipe from transcripts that are
there (``comparison``).

By design this package never leaves out a clip in silence: where a recipe does, the run has the same
figure over the clips that are there, the coverage beside it, and a figure in which missing clips
count as 100 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mamtra_eval.errors import unknown_name

Missing = Literal["left out", "refused"]
Options = Mapping[str, Any]

OFFICIAL = "seed-tts-eval"
WAVLM: Options = {"encoder": "wavlm", "resample": "sinc"}
FIGURES = {"mean": "wer", "pooled": "wer_pooled"}
"""The figure of ``wer`` that is a recipe's headline, by how it aggregates."""


@dataclass(frozen=True)
class Ears:
    """A recogniser as a recipe has it.

    Attributes:
        title: for people.
        options: of the section ``asr``.
        remark: what of it can't be followed here.
    """

    title: str
    options: Options
    remark: str = ""


@dataclass(frozen=True)
class Recipe:
    """A named evaluation protocol.

    Attributes:
        normalizer: of both sides, a plugin of ``normalize``; for Chinese ``chinese_normalizer``,
            where that is another one.
        aggregate: ``mean`` of the utterances' rates, or ``pooled``.
        missing: a clip without a transcript is ``left out``, or the recipe ``refused``.
        english, chinese: the recogniser it prescribes.
        speaker: options of the section ``speaker``.
        similarity: the speaker encoder it prescribes, for people.
        source: where it is published.
    """

    name: str
    title: str
    normalizer: str
    aggregate: Literal["mean", "pooled"]
    missing: Missing
    english: Ears
    chinese: Ears
    source: str
    speaker: Options = field(default_factory=lambda: dict(WAVLM))
    similarity: str = "WavLM-large + ECAPA-TDNN, fine-tuned for speaker verification"
    chinese_normalizer: str | None = None

    def rule(self, language: str) -> str:
        """The text rule for a language."""
        return (language == "zh" and self.chinese_normalizer) or self.normalizer

    def ears(self, language: str) -> Ears:
        """The recogniser for a language."""
        return self.chinese if language == "zh" else self.english

    @property
    def figure(self) -> str:
        """Name of its headline figure."""
        return FIGURES[self.aggregate]


HF_WHISPER = Ears(
    "Whisper large-v3 (transformers), greedy, float32, one clip at a time, 30 s",
    {"backend": "whisper_hf", "model": "openai/whisper-large-v3", "resample": "fft",
     "precision": "fp32", "batch_size": 1},
)  # fmt: skip
PARAFORMER = Ears("paraformer-zh (FunASR)", {"backend": "paraformer", "resample": "sinc"})
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("seed-tts-eval", "Seed-TTS-eval's official scripts", "seed_tts", "mean",
               "left out", HF_WHISPER, PARAFORMER, "BytedanceSpeech/seed-tts-eval 752f429"),
        Recipe("pooled", "all errors by all words", "seed_tts", "pooled",
               "left out", HF_WHISPER, PARAFORMER, "printed beside the mean by k2-fsa/OmniVoice"),
        Recipe("f5-tts", "F5-TTS: no apostrophes", "f5_tts", "mean", "left out",
               Ears("faster-whisper large-v3, float16, beam 5",
                    {"backend": "faster_whisper", "model": "large-v3", "beam_size": 5,
                     "compute_type": "float16"}),
               PARAFORMER, "SWivid/F5-TTS src/f5_tts/eval"),
        Recipe("cv3-eval", "CV3-Eval of the CosyVoice authors", "seed_tts", "mean", "left out",
               Ears("openai-whisper large-v3, transcribe with fallback, any length",
                    {"backend": "whisper", "model": "large-v3", "method": "transcribe",
                     "precision": "auto"}),
               PARAFORMER, "FunAudioLLM/CV3-Eval",
               speaker={"encoder": "eres2net", "resample": "sinc"},
               similarity="ERes2Net, trained on English of VoxCeleb"),
        Recipe("zipvoice", "ZipVoice: a missing clip ends it", "seed_tts", "mean", "refused",
               HF_WHISPER, PARAFORMER, "k2-fsa/ZipVoice"),
        Recipe("omnivoice", "OmniVoice: batches of 16", "seed_tts", "mean", "left out",
               Ears("Whisper large-v3 (transformers), float16, batches of 16, 30 s",
                    {**HF_WHISPER.options, "precision": "fp16", "batch_size": 16}),
               Ears("paraformer-zh (FunASR), lists of 16", PARAFORMER.options,
                    "Paraformer hears one clip at a time, not lists of 16, which change its texts"),
               "k2-fsa/OmniVoice, July 2026"),
        Recipe("whisper-normalized", "the Whisper paper's text rule for English", "whisper",
               "pooled", "left out", HF_WHISPER, PARAFORMER, "sgl-project/sglang-omni, April 2026",
               chinese_normalizer="seed_tts"),
    )
}  # fmt: skip


def find(name: str) -> Recipe:
    """A recipe by name; UserError for a name that is none."""
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]
