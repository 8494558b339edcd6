"""What ``cosyvoice2`` needs, and what of it is here: source, packages, weights.

The package's own loop gives the language model a mask of one column a step. Up to transformers
4.52 that column is taken to stand for all that came before; later releases hide the cache behind
it, and from the second token on another text is spoken. Measured with one model folder under
4.49.0, 4.51.3 and 4.52.4 (same tokens as our decoder) and 4.53.3 and 4.57.1 (other tokens). Our
decoder does not use that part of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mamtra_eval.codecs import _cosyvoice_folder as codec
from mamtra_eval.codecs import _cosyvoice_source as sources
from mamtra_eval.diagnosis import Check
from mamtra_eval.errors import MissingExtra, UserError
from mamtra_eval.systems import _cosyvoice_options as options_of

GARBLES = (4, 53)
"""The first release of transformers with which the package's loop speaks another text."""
AUDIO_READS_UNTIL = (2, 9)
"""torchaudio from here on reads files through torchcodec, which the package does not expect."""
ENVIRONMENT = "mamtra-eval env create cosyvoice2"
PACKAGES = {
    "torch": "2.7.1", "torchaudio": "2.7.1", "transformers": "4.51.3", "HyperPyYAML": "1.2.3",
    "openai-whisper": "20250625", "diffusers": "0.29.0",
}  # fmt: skip
"""Distributions, with the versions of the lock file."""


def diagnose(options: Mapping[str, Any]) -> list[Check]:
    """One line for each thing that the system needs; loads no weights."""
    return [
        _source(options.get("source"), str(options.get("any_revision", "false"))),
        *(_package(name, options) for name in PACKAGES),
        _onnxruntime(),
        *_model(options),
    ]


def garbled_by() -> str | None:
    """The installed transformers if the package's loop goes wrong with it."""
    found = _version("transformers")
    return found if found and _numbers(found) >= GARBLES else None


def refuse_garbling() -> None:
    """UserError where the package's loop would speak another text than it is asked for."""
    if found := garbled_by():
        raise UserError(
            f"with transformers {found} the package's own loop speaks another text (it hides what "
            "was said before)",
            where="option engine=upstream of cosyvoice2",
            fix=f"Take 4.51.3, as its environment has: {ENVIRONMENT} ; or engine=own.",
        )


def _source(given: object, any_revision: str) -> Check:
    name = "source of CosyVoice"
    try:
        source = sources.find(str(given) if given else None, any_revision.lower() == "true")
    except UserError as error:
        state = "absent" if "no revision" not in error.what else "unusable"
        return Check(name, state, str(error.what), error.fix or "")
    revision = source.revision or f"untested, fingerprint {source.fingerprint[:12]}"
    return Check(name, "ok", f"{revision}, at {source.folder}")


def _package(name: str, options: Mapping[str, Any]) -> Check:
    found, tested = _version(name), PACKAGES[name]
    if found is None:
        return Check(name, "absent", "not installed", ENVIRONMENT)
    known = found.partition("+")[0] == tested
    detail = found if known else f"{found}; tested with {tested}"
    if name == "transformers" and garbled_by() and options.get("engine") == "upstream":
        return Check(name, "unusable", f"{detail}: garbles the package's loop", ENVIRONMENT)
    if name == "torchaudio" and _numbers(found) >= AUDIO_READS_UNTIL:
        return Check(name, "unusable", f"{detail}: can't read a prompt as the package asks",
                     ENVIRONMENT)  # fmt: skip
    return Check(name, "ok", detail)


def _onnxruntime() -> Check:
    for name in ("onnxruntime-gpu", "onnxruntime"):
        if found := _version(name):
            return Check(name, "ok", found)
    return Check("onnxruntime", "absent", "not installed", ENVIRONMENT)


def _model(options: Mapping[str, Any]) -> list[Check]:
    """The model folder's files, and the checkpoint."""
    name = "weights of CosyVoice2-0.5B"
    try:
        settings = options_of.read(options)
        codec.require_files(settings.model)
    except MissingExtra as error:
        return [Check(name, "absent", error.what, error.fix or "")]
    except UserError as error:
        return [Check("options", "unusable", error.what, error.fix or "")]
    checks = [Check(name, "ok", f"{_size(settings.model)} at {settings.model}")]
    if settings.checkpoint is not None:
        return [*checks, _checkpoint(settings.checkpoint)]
    if not (settings.model / "llm.pt").is_file():
        fix = "Fetch the whole folder, or give a checkpoint."
        return [Check(name, "absent", f"no llm.pt in {settings.model}", fix)]
    return checks


def _checkpoint(folder: Path) -> Check:
    from mamtra_eval.models import checkpoint

    try:
        config = checkpoint.read_config(folder)
        there = checkpoint.exists(folder)
    except UserError as error:
        return Check("checkpoint", "absent", error.what, error.fix or "")
    if not there:
        return Check("checkpoint", "absent", f"not all of one is in {folder}", "Copy it again.")
    layers = f"{len(config.transformer)} Transformer, {len(config.mamba)} Mamba-2 layers"
    return Check("checkpoint", "ok", f"{layers}, at {folder}")


def _size(folder: Path) -> str:
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{total / 1e9:.2f} GB"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.partition("+")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())
