"""Options of ``llasa``: which values make sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval import devices
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.registry import read_options
from mamtra_eval.systems import _local_models
from mamtra_eval.systems._llasa_prompt import DATE, JOINERS

MODEL_VARIABLE = "LLASA_MODEL"
PRECISIONS = ("fp32", "bf16", "fp16")
DEFAULTS: dict[str, object] = {
    "model": None, "codec": None, "semantic": None, "temperature": 0.8, "top_p": 1.0, "top_k": 50,
    "repetition_penalty": 1.0, "max_length": 2048, "joiner": "none", "date": DATE,
    "precision": "fp32", "device": None,
}  # fmt: skip
"""Of sampling: the model card's, and transformers' own where it says nothing (``top_k``)."""

BOUNDS: dict[str, tuple[float, float]] = {
    "temperature": (0.01, 10.0), "top_p": (0.0, 1.0), "top_k": (0, 200_000),
    "repetition_penalty": (0.1, 10.0), "max_length": (16, 131_072),
}  # fmt: skip
FETCH = "hf download HKUSTAudio/Llasa-1B --local-dir FOLDER"


@dataclass(frozen=True)
class Settings:
    """The options, checked; what they mean stands in ``systems.llasa``."""

    model: Path
    codec: str | None
    semantic: str | None
    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    max_length: int
    joiner: str
    date: str
    precision: str
    device: str | None

    def sampling(self) -> dict[str, float]:
        """What ``generate`` of transformers takes, by its names."""
        return {
            "temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty, "max_length": self.max_length,
        }  # fmt: skip


def read(options: Mapping[str, Any]) -> Settings:
    """UserError for an unknown option, or a value that can't be."""
    found = read_options("llasa", options, DEFAULTS)
    for name, (low, high) in BOUNDS.items():
        if not low <= found[name] <= high:
            raise UserError(f"option {name} of llasa is {found[name]}", fix=f"{low} to {high}.")
    if found["top_p"] == 0:
        raise UserError("option top_p of llasa is 0: no token would be left", fix="1 is all.")
    for name, known in (("precision", PRECISIONS), ("joiner", tuple(JOINERS))):
        if found[name] not in known:
            raise unknown_name(f"{name} of llasa", found[name], known)
    found["model"] = _local_models.model_folder(
        "llasa", found["model"], MODEL_VARIABLE, "a model", FETCH
    )
    found["device"] = None if found["device"] == "auto" else found["device"]
    return Settings(**found)


def check_device(settings: Settings) -> str:
    """The device to compute on; UserError for one that is not here, or fp16 on a CPU."""
    devices.check(settings.device, "device of llasa")
    device = devices.choose(settings.device)
    if settings.precision == "fp16" and not device.startswith("cuda"):
        raise UserError(
            "fp16 is for CUDA devices", where="option precision of llasa", fix="fp32 or bf16."
        )
    return device


def weight_files(folder: Path) -> list[Path]:
    """Files of the language model's weights, one or several."""
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))


def require_files(folder: Path) -> Path:
    """The folder; MissingExtra for one without a model's files."""
    weights = () if weight_files(folder) else ("model.safetensors",)
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", *weights)
    _local_models.require_files(folder, names, "llasa", FETCH)
    return folder
