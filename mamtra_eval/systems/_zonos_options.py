"""Options of ``zonos``: which values make sense, and what a language is called there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval import devices
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.registry import read_options
from mamtra_eval.systems import _local_models

MODEL_VARIABLE = "ZONOS_MODEL"
CONFIGURATION, WEIGHTS = "config.json", "model.safetensors"
FETCH = "hf download Zyphra/Zonos-v0.1-transformer --local-dir FOLDER"
FRAMES_PER_S = 86
"""As the package counts: 44100 Hz / 512 samples are 86.13."""
COMPILED = ("auto", "true", "false")
DEFAULTS: dict[str, object] = {
    "model": None, "source": None, "any_revision": False, "speaker": None, "dac": None,
    "language": None, "cfg_scale": 2.0, "min_p": 0.1, "temperature": 1.0,
    "repetition_penalty": 3.0, "repetition_window": 2, "max_new_tokens": FRAMES_PER_S * 30,
    "speaking_rate": 15.0, "pitch_std": 20.0, "fmax": 22050.0, "precision": "bf16",
    "compile": "auto", "device": None,
}  # fmt: skip
"""Of sampling and conditioning: the package's own."""

BOUNDS: dict[str, tuple[float, float]] = {
    "cfg_scale": (0.0, 20.0), "min_p": (0.0, 1.0), "temperature": (0.0, 10.0),
    "repetition_penalty": (0.1, 100.0), "repetition_window": (1, 1000),
    "max_new_tokens": (1, 13_000), "speaking_rate": (0.0, 40.0), "pitch_std": (0.0, 400.0),
    "fmax": (0.0, 24_000.0),
}  # fmt: skip
"""The conditioning ranges are those that the model was trained on; positions end at 16,384."""

LANGUAGES = {
    "en": "en-us", "zh": "cmn", "fr": "fr-fr", "pt": "pt-br", "vi": "vi-vn-x-central", "no": "nb",
}  # fmt: skip
"""Names of test sets whose language the package calls otherwise; others are its own."""


@dataclass(frozen=True)
class Settings:
    """The options, checked; what they mean stands in ``systems.zonos``."""

    model: Path
    source: str | None
    any_revision: bool
    speaker: str | None
    dac: str | None
    language: str | None
    cfg_scale: float
    min_p: float
    temperature: float
    repetition_penalty: float
    repetition_window: int
    max_new_tokens: int
    speaking_rate: float
    pitch_std: float
    fmax: float
    precision: str
    compile: str
    device: str | None

    def sampling(self) -> dict[str, float]:
        """What the package's sampler takes, by its names."""
        return {
            "min_p": self.min_p, "temperature": self.temperature,
            "repetition_penalty": self.repetition_penalty,
            "repetition_penalty_window": self.repetition_window,
        }  # fmt: skip

    def conditioning(self) -> dict[str, float]:
        """What the package's conditioning takes beside text, voice and language."""
        return {
            "speaking_rate": self.speaking_rate, "pitch_std": self.pitch_std, "fmax": self.fmax,
        }  # fmt: skip


def read(options: Mapping[str, Any]) -> Settings:
    """UserError for an unknown option, or a value that can't be."""
    found = read_options("zonos", options, DEFAULTS)
    for name, (low, high) in BOUNDS.items():
        if not low <= found[name] <= high:
            raise UserError(f"option {name} of zonos is {found[name]}", fix=f"{low} to {high}.")
    if found["cfg_scale"] == 1.0:
        raise UserError(
            "the package can't sample without guidance (cfg_scale=1)",
            where="option cfg_scale of zonos",
            fix="Take another value; its default is 2.0.",
        )
    if found["precision"] != "bf16":
        raise UserError(
            f"the package computes in bf16 alone, not in {found['precision']}",
            where="option precision of zonos",
            fix="Leave it out.",
        )
    if found["compile"] not in COMPILED:
        raise unknown_name("compile of zonos", found["compile"], COMPILED)
    found["model"] = _local_models.model_folder(
        "zonos", found["model"], MODEL_VARIABLE, "a model, transformer or hybrid", FETCH
    )
    found["device"] = None if found["device"] == "auto" else found["device"]
    return Settings(**found)


def check_device(settings: Settings) -> str:
    """The device to compute on; UserError for one that is not here."""
    devices.check(settings.device, "device of zonos")
    return devices.choose(settings.device)


def compiled(settings: Settings, device: str, hybrid: bool) -> bool:
    """Whether the decoding step is compiled: as the package does it on CUDA, unless told."""
    if settings.compile != "auto":
        return settings.compile == "true"
    return device.startswith("cuda") and not hybrid  # which has CUDA graphs in its place


def is_hybrid(folder: Path) -> bool:
    """Whether the configuration is one with Mamba-2 layers; UserError if it is none."""
    path = folder / CONFIGURATION
    try:
        backbone = json.loads(path.read_text(encoding="utf-8"))["backbone"]
        return bool(backbone.get("ssm_cfg"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"no configuration of Zonos ({type(error).__name__}: {error})",
            where=str(path),
            fix="Give the folder of a published model: its config.json and model.safetensors.",
        ) from error


def language_code(language: str) -> str:
    """A test set's language as the package calls it."""
    return LANGUAGES.get(language.lower(), language.lower())


def require_files(folder: Path) -> None:
    """MissingExtra for a folder without a model's files."""
    _local_models.require_files(folder, (CONFIGURATION, WEIGHTS), "zonos", FETCH)
