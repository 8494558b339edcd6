"""The published folder of CosyVoice 2: its files, its configuration, and what is made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mamtra_eval.codecs._cosyvoice_source import Source
from mamtra_eval.errors import MissingExtra, UserError, describe

CONFIGURATION = "cosyvoice2.yaml"
BODY = "CosyVoice-BlankEN"
FLOW, VOCODER = "flow.pt", "hift.pt"
SPEAKER, TOKENIZER = "campplus.onnx", "speech_tokenizer_v2.onnx"
FILES = (
    CONFIGURATION, FLOW, VOCODER, SPEAKER, TOKENIZER, f"{BODY}/config.json", f"{BODY}/vocab.json",
    f"{BODY}/merges.txt", f"{BODY}/tokenizer_config.json",
)  # fmt: skip
FETCH = "hf download FunAudioLLM/CosyVoice2-0.5B --local-dir FOLDER"
TRAINING = ("hifigan", "data_pipeline", "data_pipeline_gan")


def require_files(folder: Path) -> None:
    """MissingExtra naming what of the model folder is not there."""
    absent = [name for name in FILES if not (folder / name).is_file()]
    if absent:
        raise MissingExtra(
            f"not the folder of CosyVoice2-0.5B: {', '.join(absent)} not there",
            where=str(folder),
            fix=f"Fetch it: {FETCH} ; then give model=FOLDER.",
        )


def configuration(folder: Path, source: Source, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The objects of ``cosyvoice2.yaml``, with fresh weights; ``without`` are left out."""
    source.module("cosyvoice.utils.common")  # the YAML names modules of the clone
    reader = source.module("hyperpyyaml")
    path = folder / CONFIGURATION
    text = path.read_text(encoding="utf-8")
    absent = dict.fromkeys(key for key in _keys(text) if key in without or _trains(key, text))
    try:
        found = reader.load_hyperpyyaml(
            text, overrides={"qwen_pretrain_path": str(folder / BODY), **absent}
        )
    except Exception as error:  # of the YAML, or of whatever it makes
        raise UserError(
            f"can't be carried out ({describe(error)})",
            where=str(path),
            fix="Take the file of CosyVoice2-0.5B, and the environment that is made for it: "
            "mamtra-eval env create cosyvoice2",
        ) from error
    return dict(found)


def _keys(text: str) -> list[str]:
    """Names at the first level of a YAML text."""
    return re.findall(r"^(\w+):", text, re.MULTILINE)


def _trains(key: str, text: str) -> bool:
    """Whether an entry is of training: its discriminators, and readers with packages of their own.

    They are never made here; the released file has them all.
    """
    reads = re.search(rf"^{key}:\s*!name:cosyvoice\.dataset\.", text, re.MULTILINE)
    return key in TRAINING or reads is not None


def fill(module: Any, path: Path, device: Any, prefix: str = "") -> None:  # noqa: ANN401 -- modules of the package
    """Load a file of tensors into a module of the package, strictly; to the device, to infer."""
    import torch

    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {name.replace(prefix, "") if prefix else name: value
                   for name, value in tensors.items()
                   if name not in ("epoch", "step")}  # fmt: skip
        module.load_state_dict(tensors, strict=True)
    except Exception as error:  # a damaged pickle raises anything, a strange one RuntimeError
        raise UserError(
            f"not the weights that {CONFIGURATION} describes ({describe(error)[:300]})",
            where=str(path),
            fix="Copy both from the same model folder again.",
        ) from error
    module.to(device).eval()


def front_end(folder: Path, source: Source, parts: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- a class of the package
    """The package's front end; UserError where a network or the tokenizer is damaged."""
    kind = source.module("cosyvoice.cli.frontend").CosyVoiceFrontEnd
    try:
        return kind(
            parts["get_tokenizer"], parts["feat_extractor"], str(folder / SPEAKER),
            str(folder / TOKENIZER), "", parts["allowed_special"],
        )  # fmt: skip
    except Exception as error:  # of ONNX Runtime, or of the tokenizer
        raise UserError(
            f"its front end can't be loaded ({describe(error)[:300]})",
            where=str(folder),
            fix=f"Copy {SPEAKER}, {TOKENIZER} and {BODY} from the published folder again.",
        ) from error
