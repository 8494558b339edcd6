"""OpenAI's Whisper, ``large-v3`` by default: the recogniser of the published protocols.

Needs ``pip install 'mamtra-eval[asr]'``. Options, all behind ``asr.``:

``model``    a name (``tiny``, ``base.en``, ``large-v3``, ``turbo``, …) or the path of a ``.pt``
``device``   ``cuda`` or ``cpu``; by default cuda where there is one
``precision`` ``fp32``, ``fp16``, or ``auto``: fp16 on cuda (fp32)
``batch_size`` clips decoded together (1); in float32 the tokens are the same
``method``   ``decode`` or ``transcribe`` (decode)

``decode`` is greedy search (temperature 0), without timestamps, without a prompt and without any
state between clips. Whisper hears one window of 30 s: of a longer clip the rest is cut off, which
its evidence says (``truncated``). Devices differ in the last digits, and rarely in a word.
``transcribe`` is the package's own loop, as CV3-Eval calls it: any length, timestamps, and where a
window looks bad it is tried again at higher temperatures. Its sampling is seeded by the clip, so
that a transcript depends on the clip alone. ``mode=fast`` of a run takes ``auto`` and, where it
decodes, batches of 32.

A run never downloads weights: large-v3 has 2.9 GB, every worker would fetch its own, and a worker
that shows nothing for ``execution.timeout_s`` is ended. Without the file a run is refused before
its first clip, with the line that fetches it. Each worker holds a model of its own (about 6 GB for
large-v3): ``execution.workers=1`` is a good choice, and nearly always on a GPU.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mamtra_eval import audio, devices
from mamtra_eval.asr import Recognizer, Transcript
from mamtra_eval.asr._window import (
    RATE_HZ,
    WINDOW_S,
    around_silence,
    check_batch_size,
    silent,
    truncation,
)
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, describe, unknown_name
from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.registry import read_options
from mamtra_eval.weights import Weights, cache, given

PACKAGES = ("whisper",)
NEEDS = ("the recogniser whisper", "openai-whisper", "asr")
"""Feature, package and extra, for what is said where the package is not."""

DEFAULTS: dict[str, Any] = {
    "model": "large-v3", "device": None, "precision": "fp32", "batch_size": 1, "method": "decode",
}  # fmt: skip
FAST = {"precision": "auto", "batch_size": 32}
METHODS = ("decode", "transcribe")
ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}
SIZES = ("tiny", "base", "small", "medium")
SIZES_SHOWN = {
    "tiny": "76 MB", "base": "145 MB", "small": "484 MB", "medium": "1.5 GB", "large-v3": "3.1 GB",
    "large-v3-turbo": "1.6 GB",
}  # fmt: skip
SHA256 = {"large-v3": "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"}
"""Of the published files: it stands in their addresses."""
MODELS = {
    *(f"{size}{suffix}" for size in SIZES for suffix in ("", ".en")),
    *("large-v1", "large-v2", "large-v3", "large-v3-turbo", *ALIASES),
}


class Whisper(Recognizer):
    """The model; weights are read at the first ``transcribe``."""

    on_device = True

    def __init__(
        self, model: str, device: str | None, precision: str, batch_size: int, method: str
    ) -> None:
        devices.check_precision(precision)
        check_batch_size(batch_size)
        if method not in METHODS:
            raise unknown_name("method of whisper", method, METHODS)
        self.weights, self.name = _find_weights(model)
        self.device, self.method = device, method
        self.batch_size = batch_size if method == "decode" else 1
        self.english_only = self.name.endswith(".en")
        self.languages = frozenset({"en"}) if self.english_only else None
        self._precision = precision

    @cached_property
    def precision(self) -> str:
        """``fp32`` or ``fp16``."""
        return devices.resolve_precision(self._precision, self.device)

    def signature(self) -> str:
        """Version, model and weights (by hash), and how they are decoded."""
        how = f"decoding:greedy|precision:{self.precision}|window:{WINDOW_S}s"
        if self.method == "transcribe":
            how = f"decoding:transcribe-fallback-seeded|precision:{self.precision}"
        batch = f"|batch:{self.batch_size}" if self.batch_size > 1 else ""
        return (
            f"asr:whisper-{extra_version(*NEEDS)}|model:{self.name}|weights:{self._sha256[:8]}"
            f"|{how}{batch}"
        )

    def check(self) -> None:
        """MissingExtra if the package does not import, UserError without the device."""
        devices.check(self.device, "asr.device")
        self._whisper  # noqa: B018 -- importing it is the check

    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """The best text, with whisper's own scores."""
        if self.method == "transcribe":
            return silent(samples_16k) or self._transcribe(samples_16k, language)
        return self.transcribe_many([samples_16k], language)[0]

    def transcribe_many(self, clips: Sequence[Samples], language: str) -> list[Transcript]:
        """The same of several clips, decoded side by side."""
        if self.method == "transcribe":
            return [self.transcribe(samples, language) for samples in clips]
        return around_silence(lambda sounding: self._decode(sounding, language), clips)

    def _decode(self, clips: list[Samples], language: str) -> list[Transcript]:
        """Greedy texts of the first 30 s of each."""
        import torch

        whisper, model = self._whisper, self._model
        self._check_language(language)
        windows = [whisper.pad_or_trim(samples, WINDOW_S * RATE_HZ) for samples in clips]
        mel = torch.stack(
            [
                whisper.log_mel_spectrogram(window, n_mels=model.dims.n_mels, device=model.device)
                for window in windows
            ]
        )
        options = whisper.DecodingOptions(
            language=language, temperature=0.0, without_timestamps=True,
            fp16=self.precision == "fp16",
        )  # fmt: skip
        with devices.exact():
            found = whisper.decode(model, mel.half() if options.fp16 else mel, options)
        return [
            _transcript(result, len(samples)) for result, samples in zip(found, clips, strict=True)
        ]

    def _transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """The package's own loop over windows, with its fallback to higher temperatures."""
        import torch

        model = self._model
        self._check_language(language)
        on = [torch.device(model.device)] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=on), devices.exact():
            torch.manual_seed(zlib.crc32(samples_16k.tobytes()))
            result = model.transcribe(
                samples_16k, language=language, fp16=self.precision == "fp16", verbose=None
            )
        segments = result["segments"]
        hottest = max((float(segment["temperature"]) for segment in segments), default=0.0)
        return Transcript(
            result["text"].strip(), {"temperature": round(hottest, 1)} if hottest else {}
        )

    def _check_language(self, language: str) -> None:
        if language not in self._whisper.tokenizer.LANGUAGES:
            raise MeasurementError(f"whisper does not know the language {language!r}")
        if not self._model.is_multilingual and language != "en":
            raise MeasurementError(f"whisper's {self.name} knows English only, not {language!r}")

    @cached_property
    def _sha256(self) -> str:
        self._require_weights()
        return audio.sha256(self.weights)

    @cached_property
    def _whisper(self) -> Any:  # noqa: ANN401 -- the package has no types
        return import_extra("whisper", *NEEDS)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401
        self._require_weights()
        try:
            # By path, also where the model has a name: a name that is not there is downloaded.
            return self._whisper.load_model(str(self.weights), device=self.device)
        except Exception as error:  # of the file, of memory, of the device
            raise MissingExtra(
                f"whisper can't load these weights ({describe(error)})",
                where=str(self.weights),
                fix="Fetch them again, or try asr.device=cpu or a smaller asr.model.",
            ) from error

    def _require_weights(self) -> None:
        if self.name in MODELS:
            _published(self.name).require()
        else:
            given(str(self.weights), self.name, "asr.model")


def create(options: Mapping[str, Any]) -> Whisper:
    """A recogniser with the given options; nothing heavy is imported yet."""
    return Whisper(**read_options("whisper", options, DEFAULTS))


def weights() -> list[Weights]:
    """What it loads by default."""
    return [_published(DEFAULTS["model"])]


def _published(name: str) -> Weights:
    """Weights with a name, where the package's own downloader puts them."""
    return Weights(
        name=f"{name} of openai-whisper",
        path=cache() / "whisper" / f"{name}.pt",
        fetch=f"python -c \"import whisper; whisper.load_model('{name}')\"",
        size=SIZES_SHOWN.get(name.removesuffix(".en"), "of unknown size"),
        option="asr.model",
        sha256=SHA256.get(name),
    )


def _find_weights(model: str) -> tuple[Path, str]:
    """(file, name) of a model; whisper keeps those with a name in the user's cache."""
    if model in MODELS:
        name = ALIASES.get(model, model)
        return cache() / "whisper" / f"{name}.pt", name
    if model.endswith(".pt"):
        return Path(model).absolute(), Path(model).stem
    error = unknown_name("model of whisper", model, MODELS)
    error.fix = f"{error.fix} Or give the path of a .pt file."
    raise error


def _transcript(result: Any, n_samples: int) -> Transcript:  # noqa: ANN401
    evidence: dict[str, Any] = {
        "avg_logprob": round(float(result.avg_logprob), 4),
        "no_speech_prob": round(float(result.no_speech_prob), 4),
    }
    return Transcript(result.text.strip(), evidence | truncation(n_samples))
