"""Decoders on disk: a folder with their shape, their weights, and where they come from.

``config.yaml``        under ``decoder`` the fields of ``DecoderConfig``; other keys are left alone
``model.safetensors``  the weights, by the names of the network's own parameters
``card.json``          ratio, layout, parameters, SHA-256 of the weights, and what the maker adds

``save`` replaces all three at once: it writes them into ``.incoming.part``, renames that to
``.incoming`` (from here on the new checkpoint counts) and moves the files into place, the weights
last. Readers look into ``.incoming`` first, so a kill at any moment leaves the old checkpoint or
the new one. One writer at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mamtra_eval import __version__
from mamtra_eval.errors import UserError
from mamtra_eval.models import layout, strict
from mamtra_eval.models.cache import DTYPES
from mamtra_eval.models.cache import dtype as dtype_named
from mamtra_eval.models.config import DecoderConfig, from_dict
from mamtra_eval.models.decoder import Decoder, parameter_count

CONFIG, WEIGHTS, CARD = "config.yaml", "model.safetensors", "card.json"
INCOMING, PART = ".incoming", ".incoming.part"
SHAPE = "decoder"
"""Key of the configuration under which the decoder's shape stands."""


def save(
    folder: Path,
    decoder: Decoder,
    card: Mapping[str, Any],
    *,
    dtype: str | None = None,
    other: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a checkpoint, in place of one that is there; other files of the folder stay.

    Args:
        folder: made if it is not there.
        decoder: what is written.
        card: what is known of its making; completed with ratio, layout, parameters, sha256, dtype
            and mamtra_eval (the version).
        dtype: fp32, fp16 or bf16 to cast the weights to; ``None``: as they are.
        other: further keys of config.yaml; ``None`` keeps those that are there.

    Returns:
        The card as written.
    """
    tensors = _portable(decoder, dtype)
    strict.check_finite(tensors, str(folder))
    if other is None:
        other = read_other(folder) if _find(folder, CONFIG).is_file() else {}
    _settle(folder)
    part = folder / PART
    shutil.rmtree(part, ignore_errors=True)  # what a killed writer left
    part.mkdir(parents=True)
    try:
        _write_weights(part / WEIGHTS, tensors)
        full = {**card, **_facts(decoder, tensors), "sha256": sha256(part / WEIGHTS)}
        shape = {SHAPE: decoder.config.to_dict(), **{k: v for k, v in other.items() if k != SHAPE}}
        _write(part / CONFIG, yaml.safe_dump(shape, sort_keys=False, allow_unicode=True))
        # safetensors makes a file for the user alone; it gets the mode that any other file has.
        (part / WEIGHTS).chmod(stat.S_IMODE((part / CONFIG).stat().st_mode))
        _write(part / CARD, json.dumps(full, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        part.replace(folder / INCOMING)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _settle(folder)
    return full


def load(
    folder: Path | str,
    *,
    device: torch.device | str = "cpu",
    dtype: str = "fp32",
    kernels: str = "auto",
) -> Decoder:
    """The decoder of a checkpoint, in evaluation mode; UserError names everything that is wrong.

    Args:
        folder: a checkpoint.
        device: where its weights go.
        dtype: fp32, fp16 or bf16, whatever the file has.
        kernels: of the Mamba-2 mixers, as ``Decoder.use`` takes them.
    """
    folder = Path(folder)
    element = dtype_named(dtype)
    config = read_config(folder)
    path = _existing(folder, WEIGHTS)
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise UserError(
            f"no file of weights, or a damaged one ({error})",
            where=str(path),
            fix="Copy it again; a whole one has the sha256 that card.json names.",
        ) from error
    if _find(folder, CARD).is_file():
        _check_sha256(path, read_card(folder).get("sha256"))
    stored = {tensor.dtype for tensor in tensors.values()}
    decoder = strict.build(config, tensors, str(path)).to(checked_device(device), element)
    if stored != {element}:
        strict.check_finite(decoder.state_dict(), f"{path} as {dtype}")
    return decoder.use(kernels)


def checked_device(device: torch.device | str) -> torch.device:
    """A device that tensors can lie on here; UserError for any other."""
    try:
        return torch.zeros(1, device=device).to("cpu").new_zeros(0).to(device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"device {str(device)!r} can't be used here ({str(error).partition(chr(10))[0]})",
            fix="Say cpu, or cuda where there is a CUDA device and a CUDA build of torch.",
        ) from error


def read_config(folder: Path) -> DecoderConfig:
    """The shape of a checkpoint's decoder."""
    path = _existing(folder, CONFIG)
    shape = _read_yaml(path).get(SHAPE)
    if not isinstance(shape, dict):
        raise UserError(
            f"the shape of the decoder is missing: no mapping under {SHAPE}", where=str(path)
        )
    try:
        return from_dict(shape)
    except UserError as error:
        raise UserError(error.what, where=str(path), fix=error.fix) from error


def read_other(folder: Path) -> dict[str, Any]:
    """The keys of a checkpoint's configuration besides the decoder's shape."""
    values = _read_yaml(_existing(folder, CONFIG))
    return {key: value for key, value in values.items() if key != SHAPE}


def read_card(folder: Path) -> dict[str, Any]:
    """What is known of a checkpoint's making."""
    path = _existing(folder, CARD)
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"no card of a checkpoint ({error})", where=str(path)) from error
    if not isinstance(card, dict):
        raise UserError("no card of a checkpoint: not a JSON object", where=str(path))
    return card


def weights_hash(folder: Path) -> str:
    """Hexadecimal SHA-256 of a checkpoint's file of weights."""
    return sha256(_existing(folder, WEIGHTS))


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def exists(folder: Path) -> bool:
    """Whether a checkpoint's weights lie in the folder."""
    return _find(folder, WEIGHTS).exists()


def occupied(folder: Path) -> bool:
    """Whether there is anything at this path but what a killed ``save`` left."""
    if not folder.is_dir():
        return folder.exists()
    return any(path.name != PART for path in folder.iterdir())


def _facts(decoder: Decoder, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    config = decoder.config
    names = {element: name for name, element in DTYPES.items()}
    found = {names.get(t.dtype, str(t.dtype)) for t in tensors.values()}
    return {
        "ratio": str(layout.ratio_of(config.transformer, config.layers)),
        "layout": list(config.transformer),
        "parameters": parameter_count(decoder),
        "dtype": "+".join(sorted(found)),
        "mamtra_eval": __version__,
    }


def _portable(decoder: Decoder, dtype: str | None) -> dict[str, Tensor]:
    element = None if dtype is None else dtype_named(dtype)
    return {
        name: tensor.detach().to("cpu", element or tensor.dtype).contiguous()
        for name, tensor in decoder.state_dict().items()
    }


def _write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise UserError(f"can't be written ({error})", where=str(path)) from error
    _flush(path)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    _flush(path)


def _flush(path: Path) -> None:
    # A rename may reach the disk before the bytes do; a power cut would leave an empty file.
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _settle(folder: Path) -> None:
    """Move the files of a finished ``.incoming`` into place; it may be a killed writer's."""
    incoming = folder / INCOMING
    if incoming.is_dir():
        for name in (CONFIG, CARD, WEIGHTS):
            if (incoming / name).exists():
                (incoming / name).replace(folder / name)
        incoming.rmdir()


def _find(folder: Path, name: str) -> Path:
    incoming = folder / INCOMING / name
    return incoming if incoming.is_file() else folder / name


def _existing(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    if not path.is_file():
        raise UserError(
            f"there is no {name}",
            where=str(folder),
            fix=f"A checkpoint is a folder with {CONFIG}, {WEIGHTS} and {CARD}.",
        )
    return path


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"not valid YAML ({error})", where=str(path)) from error
    if not isinstance(values, dict):
        raise UserError("no mapping of keys to values", where=str(path), fix=f"Begin with {SHAPE}:")
    return values


def _check_sha256(path: Path, wanted: object) -> None:
    if wanted is not None and (found := sha256(path)) != wanted:
        raise UserError(
            f"not the weights that {CARD} describes: their sha256 is {found}, not {wanted}",
            where=str(path),
            fix="Copy the checkpoint again; remove the card's sha256 if you changed them yourself.",
        )
