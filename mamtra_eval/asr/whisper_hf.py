"""Whisper by transformers, ``openai/whisper-large-v3`` by default: Seed-TTS-eval's own recogniser.

Needs ``pip install 'mamtra-eval[asr]'``. Options, all behind ``asr.``:

``model``     an id of the hub (``openai/whisper-large-v3``) or a folder of such a model
``revision``  of the hub's model: a branch, a tag or a commit (its default branch)
``device``    ``cuda`` or ``cpu``; by default cuda where there is one
``precision`` ``fp32``, ``fp16``, or ``auto``: fp16 on cuda (fp32)
``batch_size`` clips decoded together (1); in float32 the tokens are the same

As the official script has it: greedy, float32 (the published weights are half precision, and
transformers 5 would keep them so), one clip at a time, the first 30 s of it; of a longer clip the
rest is cut off, which its evidence says (``truncated``). Language and task are given as such: the
``forced_decoder_ids`` of that script are refused by today's transformers, and mean the same tokens.
``mode=fast`` of a run takes batches of 32 and ``auto``.

A run never downloads weights: without them it is refused with the line that fetches them.
"""

from __future__ import annotations

import hashlib
import json
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
    truncation,
)
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, MissingExtra, describe
from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.registry import read_options
from mamtra_eval.weights import Weights, fingerprint, in_hub

PACKAGES = ("transformers",)
NEEDS = ("the recogniser whisper_hf", "transformers", "asr")
"""Feature, package and extra, for what is said where the package is not."""

DEFAULTS: dict[str, Any] = {
    "model": "openai/whisper-large-v3", "revision": None, "device": None, "precision": "fp32",
    "batch_size": 1,
}  # fmt: skip
FAST = {"precision": "auto", "batch_size": 32}
FILES = ("*.json", "*.txt", "model*.safetensors")
SMALL = ("*.json", "*.txt")
"""Vocabulary and settings, which decide a transcript too."""
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


class WhisperHF(Recognizer):
    """The model; weights are read at the first ``transcribe``."""

    on_device = True

    def __init__(
        self, model: str, revision: str | None, device: str | None, precision: str, batch_size: int
    ) -> None:
        devices.check_precision(precision)
        check_batch_size(batch_size)
        self.name, self.revision, self.device = model, revision, device
        self.batch_size = batch_size
        self._precision = precision

    @cached_property
    def precision(self) -> str:
        """``fp32`` or ``fp16``."""
        return devices.resolve_precision(self._precision, self.device)

    def signature(self) -> str:
        """Version, model and weights (by hash), and how they are decoded."""
        batch = f"|batch:{self.batch_size}" if self.batch_size > 1 else ""
        return (
            f"asr:whisper-transformers-{extra_version(*NEEDS)}|model:{Path(self.name).name}"
            f"|weights:{self._sha256[:8]}|files:{fingerprint(self._folder, *SMALL)[:8]}"
            f"|decoding:greedy|precision:{self.precision}|window:{WINDOW_S}s{batch}"
        )

    def check(self) -> None:
        """MissingExtra if the package does not import, UserError without the device."""
        devices.check(self.device, "asr.device")
        self._transformers  # noqa: B018 -- importing it is the check

    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        """The best text of the first 30 s."""
        return self.transcribe_many([samples_16k], language)[0]

    def transcribe_many(self, clips: Sequence[Samples], language: str) -> list[Transcript]:
        """The same of several clips, decoded side by side."""
        return around_silence(lambda sounding: self._decode(sounding, language), clips)

    def _decode(self, clips: list[Samples], language: str) -> list[Transcript]:
        import torch

        model, processor = self._model
        features = processor.feature_extractor(
            clips, sampling_rate=RATE_HZ, return_tensors="pt"
        ).input_features.to(model.device, model.dtype)
        with torch.inference_mode(), devices.exact():
            tokens = model.generate(
                features, do_sample=False, num_beams=1, **self._spoken(model, language)
            )
        texts = processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [
            Transcript(text.strip(), truncation(len(samples)))
            for text, samples in zip(texts, clips, strict=True)
        ]

    def _spoken(self, model: Any, language: str) -> dict[str, str]:  # noqa: ANN401
        """Language and task, where the model knows more than one."""
        if not getattr(model.generation_config, "is_multilingual", True):
            if language != "en":
                raise MeasurementError(f"{self.name} knows English only, not {language!r}")
            return {}
        if f"<|{language}|>" not in model.generation_config.lang_to_id:
            raise MeasurementError(f"{self.name} does not know the language {language!r}")
        return {"language": language, "task": "transcribe"}

    @cached_property
    def _transformers(self) -> Any:  # noqa: ANN401 -- imported lazily, names by attribute
        return import_extra("transformers", *NEEDS)

    @cached_property
    def _folder(self) -> Path:
        """Where the model lies; MissingExtra if it is not here."""
        if Path(self.name).is_dir():
            return Path(self.name).absolute()
        hub = import_extra("huggingface_hub", *NEEDS)
        try:
            return Path(
                hub.snapshot_download(
                    self.name, revision=self.revision, allow_patterns=[*FILES],
                    local_files_only=True,
                )
            )  # fmt: skip
        except (OSError, ValueError) as error:  # not fetched, or no id of the hub
            raise self._absent(describe(error)) from error

    @cached_property
    def _sha256(self) -> str:
        """Of the weights' files, one after another."""
        try:
            names = [WEIGHTS]
            if not (self._folder / WEIGHTS).is_file():
                index = json.loads((self._folder / INDEX).read_text(encoding="utf-8"))
                names = sorted(set(index["weight_map"].values()))
            digests = [audio.sha256(self._folder / name) for name in names]
        except (OSError, ValueError, KeyError) as error:
            raise self._absent(describe(error)) from error
        return digests[0] if len(digests) == 1 else _combined(digests)

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        """(model, processor) on the device."""
        import torch

        device = devices.choose(self.device)
        dtype = torch.float32 if self.precision == "fp32" else torch.float16
        package, folder = self._transformers, str(self._folder)
        package.utils.logging.disable_progress_bar()  # they would write over the run's own
        package.utils.logging.set_verbosity_error()
        try:
            processor = package.WhisperProcessor.from_pretrained(folder, local_files_only=True)
            model = package.WhisperForConditionalGeneration.from_pretrained(
                folder, dtype=dtype, local_files_only=True
            ).to(device)
        except Exception as error:  # of the files, of memory, of the device
            raise MissingExtra(
                f"transformers can't load this model ({describe(error)})",
                where=folder,
                fix=f"Try asr.device=cpu, or fetch it again. {self._how_to_fetch()}",
            ) from error
        return model.eval(), processor

    def _absent(self, why: str) -> MissingExtra:
        return MissingExtra(
            f"the weights of {self.name} are not here ({why})",
            fix=self._how_to_fetch(),
        )

    def _how_to_fetch(self) -> str:
        if Path(self.name).is_dir():
            return f"Give as asr.model a folder with {', '.join(FILES)}."
        include = " ".join(f"--include '{pattern}'" for pattern in FILES)
        revision = f" --revision {self.revision}" if self.revision else ""
        return (
            f"Where there is a network: hf download {self.name}{revision} {include}; "
            "else copy that folder and give its path as asr.model."
        )


def weights() -> list[Weights]:
    """What it loads by default."""
    model = DEFAULTS["model"]
    include = " ".join(f"--include '{pattern}'" for pattern in FILES)
    return [
        Weights(
            name=f"{model} for transformers", path=_whole(in_hub(model)),
            fetch=f"hf download {model} {include}", size="3.1 GB", option="asr.model",
        )
    ]  # fmt: skip


def _whole(folder: Path | None) -> Path | None:
    """The folder, if weights lie in it: a download may have been broken off."""
    there = folder and any((folder / name).is_file() for name in (WEIGHTS, INDEX))
    return folder if there else None


def create(options: Mapping[str, Any]) -> WhisperHF:
    """A recogniser with the given options; nothing heavy is imported yet."""
    return WhisperHF(**read_options("whisper_hf", options, DEFAULTS))


def _combined(digests: list[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()
