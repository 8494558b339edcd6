"""Options of ``cosyvoice2``: which values make sense together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval import devices
from mamtra_eval.codecs._cosyvoice_folder import FETCH
from mamtra_eval.codecs.cosyvoice2 import FRONT_ENDS
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.registry import read_options
from mamtra_eval.systems import _local_models

MODEL_VARIABLE = "COSYVOICE2_MODEL"
ENGINES = ("own", "upstream")
PRECISIONS = ("fp32", "autocast", "fp16", "bf16")
SAMPLERS = ("ras-2026", "ras-2024", "greedy")
DEFAULTS: dict[str, object] = {
    "model": None, "source": None, "any_revision": False, "checkpoint": None, "engine": "own",
    "sampler": "ras-2026", "top_p": 0.8, "top_k": 25, "precision": "fp32", "flow_precision": None,
    "text_frontend": "wetext", "device": None, "kernels": "auto", "batch": 1,
}  # fmt: skip
MOST_AT_ONCE = 256


@dataclass(frozen=True)
class Settings:
    """The options, checked; what they mean stands in ``systems.cosyvoice2``."""

    model: Path
    source: str | None
    any_revision: bool
    checkpoint: Path | None
    engine: str
    sampler: str
    top_p: float
    top_k: int
    precision: str
    flow_precision: str
    text_frontend: str
    device: str | None
    kernels: str
    batch: int


def read(options: Mapping[str, Any]) -> Settings:
    """UserError for an unknown option, or values that do not go together."""
    found = read_options("cosyvoice2", options, DEFAULTS)
    for name, known in (
        ("engine", ENGINES), ("sampler", SAMPLERS), ("precision", PRECISIONS),
        ("text_frontend", FRONT_ENDS),
    ):  # fmt: skip
        if found[name] not in known:
            raise unknown_name(f"{name} of cosyvoice2", found[name], known)
    if not 1 <= found["batch"] <= MOST_AT_ONCE:
        raise UserError(f"batch of cosyvoice2 must lie between 1 and {MOST_AT_ONCE}")
    model, checkpoint = (
        _local_models.model_folder(
            "cosyvoice2", found["model"], MODEL_VARIABLE, "CosyVoice2-0.5B", FETCH
        ),
        found["checkpoint"],
    )
    found["model"] = model
    found["checkpoint"] = Path(checkpoint).expanduser().absolute() if checkpoint else None
    found["flow_precision"] = found["flow_precision"] or (
        "autocast" if found["precision"] == "autocast" else "fp32"
    )
    settings = Settings(**found)
    _check_upstream(settings)
    if settings.flow_precision not in ("fp32", "autocast"):
        raise unknown_name("flow_precision", settings.flow_precision, ("fp32", "autocast"))
    return settings


def check_device(settings: Settings) -> str:
    """The device to compute on; UserError for one that is not here, or autocast on a CPU."""
    devices.check(settings.device, "device of cosyvoice2")
    device = devices.choose(settings.device)
    if "autocast" in (settings.precision, settings.flow_precision) and "cuda" not in device:
        raise UserError(
            "autocast is for CUDA devices; the package leaves it out elsewhere, in silence",
            where="option precision of cosyvoice2",
            fix="Take precision=fp32.",
        )
    return device


def _check_upstream(settings: Settings) -> None:
    if settings.engine != "upstream":
        return
    where = "option engine=upstream of cosyvoice2"
    if settings.checkpoint is not None:
        raise UserError(
            "the package's loop runs its own teacher alone, no checkpoint of ours",
            where=where,
            fix="Leave the checkpoint out, or take engine=own.",
        )
    if settings.precision in ("fp16", "bf16"):
        raise UserError(
            "the package has no half-precision weights",
            where=where,
            fix="Take precision=fp32 or autocast (its fp16), or engine=own.",
        )
    if settings.batch != 1:
        raise UserError("the package's loop takes one text at a time", where=where, fix="batch=1")
