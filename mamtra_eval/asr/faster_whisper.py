"""Whisper by faster-whisper, ``large-v3`` by default: F5-TTS's recogniser for English.

Needs ``pip install 'mamtra-eval[asr]'``. Options, all behind ``asr.``:

``model``         a name (``tiny``, ``base.en``, ``large-v3``, ``turbo``, …), an id of the Hugging
                  Face hub, or a folder; always in CTranslate2's format
``revision``      of the hub's model: a branch, a tag or a commit (its default branch)
``device``        ``cuda`` or ``cpu``; by default cuda where there is one
``compute_type``  ``float32`` (default), ``float16``, ``int8``, …; F5-TTS has ``float16``
``beam_size``     hypotheses that the search keeps (5)

The whole clip is heard, however long: window after window of 30 s, each with the text before it as
a prompt, and with timestamps, which decide where the next one begins. No voice activity detection.
Language and task are given. F5-TTS hands over the file, which PyAV brings to 16 kHz in 16 bits;
here the clip comes as ``asr.resample`` makes it.

A window whose text repeats itself (compression ratio above 2.4) or is improbable (mean log
probability below -1) is decoded again by sampling, at temperatures from 0.2 to 1.0. So that a
transcript depends on the clip alone, sampling starts from one seed with every clip. CTranslate2
seeds a thread once, before its first draw, and can't do it again: the model is loaded anew for a
clip that samples if one before it did. That costs seconds, only for such clips; their evidence
says ``fallback``.

A run never downloads weights: without them it is refused with the line that fetches them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from mamtra_eval import audio
from mamtra_eval.asr import Recognizer, Transcript
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError, describe, unknown_name
from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.registry import read_options
from mamtra_eval.weights import Weights, fingerprint, folder_of, in_hub

PACKAGES = ("faster_whisper",)
FEATURE, EXTRA = "the recogniser faster_whisper", "asr"
NEEDS = (FEATURE, "faster-whisper", EXTRA)
ENGINE = (FEATURE, "ctranslate2", EXTRA)
HUB = (FEATURE, "huggingface_hub", EXTRA)
"""Feature, package and extra, for what is said where the package is not."""

DEFAULTS: dict[str, Any] = {
    "model": "large-v3", "revision": None, "device": None, "compute_type": "float32",
    "beam_size": 5,
}  # fmt: skip
ALIASES = {"large": "large-v3", "turbo": "large-v3-turbo"}
SIZES = {
    "tiny": "80 MB", "base": "150 MB", "small": "490 MB", "medium": "1.5 GB",
    "large-v1": "3.1 GB", "large-v2": "3.1 GB", "large-v3": "3.1 GB", "large-v3-turbo": "1.6 GB",
}  # fmt: skip
ENGLISH = tuple(f"{size}.en" for size in ("tiny", "base", "small", "medium"))
MODELS = {*SIZES, *ENGLISH, *ALIASES}
COMPUTE_TYPES = (
    "float32", "float16", "bfloat16", "int16", "int8", "int8_float32", "int8_float16",
    "int8_bfloat16",
)  # fmt: skip
"""Without ``auto`` and ``default``, which mean other numbers on other machines."""

WEIGHTS = "model.bin"
FILES = (WEIGHTS, "config.json", "tokenizer.json")
"""Without its tokenizer.json the package would fetch one."""
SEED = 0


class FasterWhisper(Recognizer):
    """The model; weights are read at the first ``transcribe``."""

    on_device = True

    def __init__(
        self, model: str, revision: str | None, device: str | None, compute_type: str,
        beam_size: int,
    ) -> None:  # fmt: skip
        if compute_type not in COMPUTE_TYPES:
            raise unknown_name("compute_type of faster_whisper", compute_type, COMPUTE_TYPES)
        if beam_size < 1:
            raise UserError(
                f"option beam_size of faster_whisper must be at least 1, not {beam_size}"
            )
        self.model, self.name = model, _name(model)
        self.revision, self.device = revision, device
        self.compute_type, self.beam_size = compute_type, beam_size
        self.languages = frozenset({"en"}) if self.name.endswith(".en") else None

    def signature(self) -> str:
        """Versions, model and weights (by hash), and how they are decoded."""
        return (
            f"asr:faster-whisper-{extra_version(*NEEDS)}|ctranslate2:{extra_version(*ENGINE)}"
            f"|model:{self.name}|weights:{self._sha256[:8]}"
            f"|files:{fingerprint(self._folder, '*.json', '*.txt')[:8]}"
            f"|decoding:beam-{self.beam_size}"
            f"|fallback:sampled-0.2-1.0-seed-{SEED}|precision:{self.compute_type}"
        )

    def check(self) -> None:
        """MissingExtra if the package does not import, UserError for what the device can't do."""
        self._package  # noqa: B018 -- importing it is the check
        device = self._device
        try:
            able = self._engine.get_supported_compute_types(device)
        except (ValueError, RuntimeError) as error:  # no such device, no driver
            raise UserError(
                f"faster-whisper can't use the device {device} ({describe(error)})",
                fix="Choose another with asr.device=cpu or asr.device=cuda.",
            ) from error
        if self.compute_type not in able:
            raise UserError(
                f"the device {device} can't compute in {self.compute_type}",
                fix=f"Choose asr.compute_type among {', '.join(sorted(able))}.",
            )

    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """The text of the whole clip, with the worst scores of its windows."""
        if not samples_16k.any():  # it finds words in silence
            return Transcript("", {"reason": "digital silence"})
        if language not in self._model.supported_languages:
            raise MeasurementError(
                f"the model {self.name} of whisper does not know the language {language!r}"
            )
        try:
            return self._hear(samples_16k, language)
        except _Spent:
            pass  # below, where the error no longer holds the model: two would need twice the room
        del self._model
        return self._hear(samples_16k, language)

    def _hear(self, samples: Samples, language: str) -> Transcript:
        watched = self._model.model
        watched.begin()
        try:
            found, _ = self._model.transcribe(
                samples, language=language, task="transcribe", beam_size=self.beam_size,
                vad_filter=False,
            )  # fmt: skip
            return _transcript(list(found), watched.temperatures)
        except RuntimeError as error:
            if "Library" not in str(error):
                raise
            raise MissingExtra(  # it looks for CUDA's libraries at the first computation
                f"CTranslate2 lacks a library of CUDA ({describe(error)})",
                fix="Install it with: pip install nvidia-cublas-cu12 nvidia-cudnn-cu12 ; or set "
                "asr.device=cpu.",
            ) from error

    @cached_property
    def _package(self) -> Any:  # noqa: ANN401 -- imported lazily, names by attribute
        return import_extra("faster_whisper", *NEEDS)

    @cached_property
    def _engine(self) -> Any:  # noqa: ANN401 -- likewise
        return import_extra("ctranslate2", *ENGINE)

    @property
    def _device(self) -> str:
        return self.device or ("cuda" if self._engine.get_cuda_device_count() else "cpu")

    @cached_property
    def _folder(self) -> Path:
        """Where the model lies; MissingExtra if it is not here, or not all of it."""
        return folder_of(
            self.model,
            lambda: _weights(self.model, self.revision),
            FILES,
            "a model in CTranslate2's format",
        )

    @cached_property
    def _sha256(self) -> str:
        return audio.sha256(self._folder / WEIGHTS)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 -- the package has no types of use here
        """The package's model, which has not sampled yet."""
        folder, package = self._folder, self._package
        self._engine.set_random_seed(SEED)
        try:
            model = package.WhisperModel(
                str(folder), device=self._device, compute_type=self.compute_type
            )
        except Exception as error:  # of the files, of memory, of the device
            raise MissingExtra(
                f"faster-whisper can't load this model ({describe(error)})",
                where=str(folder),
                fix="Fetch it again, or try asr.device=cpu or a smaller asr.model.",
            ) from error
        bands = model.feature_extractor.mel_filters.shape[0]
        if bands != model.model.n_mels:
            raise MissingExtra(
                f"the model wants {model.model.n_mels} mel bands and its folder says {bands}",
                where=str(folder / "preprocessor_config.json"),
                fix="Fetch that file too.",
            )
        model.model = _Watched(model.model)
        return model


class _Spent(Exception):  # noqa: N818 -- it names the state, not an error
    """This clip has to draw, and the generator is no longer at its seed."""


class _Watched:
    """CTranslate2's model, which tells of its draws.

    A worker thread makes its generator at its first draw and keeps it (CTranslate2 4.8.5,
    ``src/random.cc`` and ``src/cuda/random.cu``); decoding at temperature 0 draws nothing.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 -- no types there
        self._model = model
        self._spent = False
        self.temperatures: list[float] = []

    def begin(self) -> None:
        """A new clip."""
        self._spent = self._spent or bool(self.temperatures)
        self.temperatures = []

    def generate(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 -- likewise
        """As the model has it; _Spent where a draw would depend on an earlier clip."""
        if options.get("sampling_topk", 1) != 1:
            if self._spent:
                raise _Spent
            self.temperatures.append(options["sampling_temperature"])
        return self._model.generate(*args, **options)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- likewise
        return getattr(self._model, name)


def create(options: Mapping[str, Any]) -> FasterWhisper:
    """A recogniser with the given options; nothing heavy is imported yet."""
    return FasterWhisper(**read_options("faster_whisper", options, DEFAULTS))


def weights() -> list[Weights]:
    """What it loads by default."""
    return [_weights(DEFAULTS["model"], None)]


def _name(model: str) -> str:
    """What a model is called; UserError if it is neither a name, an id nor a folder."""
    if Path(model).is_dir():
        return Path(model).absolute().name
    if model in MODELS:
        return ALIASES.get(model, model)
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", model):
        return model.rpartition("/")[2]
    if "/" in model:
        raise UserError("no such folder", where=model, fix="Give the folder of a model.")
    error = unknown_name("model of faster_whisper", model, MODELS)
    error.fix = f"{error.fix} Or give an id of the hub, or a folder."
    raise error


def _weights(model: str, revision: str | None) -> Weights:
    """The hub's model of a name or an id, looked for in the hub's cache."""
    hub_id, name = model, _name(model)
    if model in MODELS:
        owner = "mobiuslabsgmbh" if name.endswith("turbo") else "Systran"
        hub_id = f"{owner}/faster-whisper-{name}"
    return Weights(
        name=f"{hub_id} of faster-whisper",
        path=in_hub(hub_id, revision),
        fetch=f"hf download {hub_id}" + (f" --revision {revision}" if revision else ""),
        size=SIZES.get(name.removesuffix(".en"), "of unknown size"),
        option="asr.model",
    )


def _transcript(found: list[Any], temperatures: list[float]) -> Transcript:
    """The segments' texts, one space between them, as F5-TTS joins them."""
    evidence: dict[str, Any] = {"reason": "no speech was found"}
    if found:
        evidence = {
            "avg_logprob": round(min(float(one.avg_logprob) for one in found), 4),
            "no_speech_prob": round(max(float(one.no_speech_prob) for one in found), 4),
        }
    if temperatures:
        evidence["fallback"] = f"sampled, at temperatures up to {max(temperatures):.1f}"
    return Transcript(" ".join(one.text.strip() for one in found), evidence)
