"""Options of ``mini``: which checkpoint speaks, and how its tokens are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.registry import read_options
from mamtra_eval.systems._mini_voices import BUNDLE

if TYPE_CHECKING:
    from mamtra_eval.models.generate import DecodingConfig

FOLDERS = {"1:0": "teacher", "1:1": "1-1", "1:3": "1-3", "1:5": "1-5", "1:11": "1-11"}
DEFAULTS: dict[str, object] = {
    "ratio": "1:0", "checkpoint": None, "temperature": 0.5, "top_p": 0.9,
}  # fmt: skip

WEIGHTS = "model.safetensors"

COLDEST = 0.01
"""Smallest temperature but 0, which is greedy."""


@dataclass(frozen=True)
class Settings:
    """What the tokens depend on beside the weights."""

    temperature: float
    top_p: float

    def decoding(self) -> DecodingConfig:
        """How tokens are drawn; a temperature of 0 is greedy."""
        from mamtra_eval.models.generate import DecodingConfig
        from mamtra_eval.models.sampling import SamplerConfig

        if self.temperature == 0:
            return DecodingConfig(SamplerConfig("greedy"))
        return DecodingConfig(
            SamplerConfig("top-p", top_p=self.top_p, top_k=0, temperature=self.temperature)
        )


def is_there(ratio: str) -> bool:
    """Whether the package has this member of the family."""
    return (BUNDLE / FOLDERS[ratio] / WEIGHTS).is_file()


def read(options: Mapping[str, Any]) -> tuple[Path, Settings]:
    """Folder of the checkpoint, and settings; UserError for values that do not go together."""
    given = read_options("mini", options, DEFAULTS)
    settings = Settings(float(given["temperature"]), float(given["top_p"]))
    warm = settings.temperature == 0 or COLDEST <= settings.temperature <= 5
    if not warm or not 0 < settings.top_p <= 1:
        raise UserError(
            f"mini needs a temperature of 0 or from {COLDEST} to 5, and top_p above 0, at most 1",
            fix="Write mini:temperature=0.5,top_p=0.9.",
        )
    if given["checkpoint"] is not None:
        if "ratio" in options:
            raise UserError(
                "a ratio and a checkpoint for one mini",
                fix="Leave one out: a checkpoint has its own.",
            )
        return Path(given["checkpoint"]), settings
    there = [ratio for ratio in FOLDERS if is_there(ratio)]
    if given["ratio"] not in there:
        raise unknown_name("ratio of mini", given["ratio"], there)
    return BUNDLE / FOLDERS[given["ratio"]], settings
