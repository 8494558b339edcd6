"""Is a folder a checkpoint of the ratio that it is named as? Its configuration alone is read."""

from __future__ import annotations

from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.models import config as shapes
from mamtra_eval.models.layout import Ratio, ratio_of

CONFIG = "config.yaml"
"""Of a checkpoint; ``models.checkpoint`` would read it, and loads torch."""


def path(checkpoint: str) -> Path:
    """The folder that a configuration names."""
    try:
        return Path(checkpoint).expanduser()
    except RuntimeError:  # ~somebody who has no home
        return Path(checkpoint)


def check(member: str, wanted: Ratio, checkpoint: str) -> None:
    """UserError where no checkpoint of a family's ``member`` lies, or one of another ratio."""
    key, folder = f"family.members.{member}", path(checkpoint)
    if not folder.is_dir():
        raise UserError(
            f"there is no checkpoint of {member}: no such folder",
            where=checkpoint,
            fix=f"Mend {key}, or leave the member out: {key}=none.",
        )
    shape = _shape(folder, member)
    found = ratio_of(shape.transformer, shape.layers)
    kept = ", ".join(map(str, shape.transformer)) or "none"
    if found != wanted:
        raise UserError(
            f"it is named as the member {member}, and its decoder is {_told(found)} "
            f"({len(shape.transformer)} of {shape.layers} layers are Transformer layers: {kept})",
            where=checkpoint,
            fix=f"Give {key} a checkpoint of {member}.",
        )


def _told(ratio: Ratio) -> str:
    return "a teacher's, 1:0" if not ratio.mamba else str(ratio)


def _shape(folder: Path, member: str) -> shapes.DecoderConfig:
    """The decoder's shape, as a checkpoint's configuration has it."""
    import yaml

    file = folder / CONFIG
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))["decoder"]
        return shapes.from_dict(dict(values), where=str(file))
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"no checkpoint of {member} ({type(error).__name__}: {' '.join(str(error).split())})",
            where=str(file),
            fix="A checkpoint is a folder with config.yaml, model.safetensors and card.json.",
        ) from error
