"""CosyVoice 2's speech language model, read from the official ``llm.pt``.

Only tensors are read (``weights_only``): a pickle that would run code is refused. The file may be
the released one, or one that CosyVoice's training wrote, which has ``epoch`` and ``step`` beside
the tensors; a ``model`` or ``state_dict`` around them is taken off.

=================================  ==========================================================
``speech_embedding``               embedding rows 0 … (speech tokens and stops)
``llm_embedding``                  the next two rows (sos, task)
``llm.model.model.embed_tokens``   the rows behind them (text)
``…layers.I.self_attn``            q, k, v as one matrix in this order, with bias; o
``…layers.I.mlp``                  gate and up as one matrix, gate first; down
``…layers.I.*layernorm``           ``mixer_norm``, ``mlp_norm``
``llm.model.model.norm``           ``norm``
``llm_decoder``                    ``head``
``llm.model.lm_head``              dropped: text logits, which are never used
=================================  ==========================================================

Sizes come from the tensors. How many heads they hold can't be seen in them:
``CosyVoice-BlankEN/config.json`` beside the file decides it, or the caller; without either, heads
are 64 wide, as in CosyVoice 2. The file also gives the norms' epsilon and the rotary base.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mamtra_eval.errors import UserError
from mamtra_eval.models import strict
from mamtra_eval.models.config import N_SPECIAL, N_STOPS, DecoderConfig

LLM, CONFIG = "llm.pt", Path("CosyVoice-BlankEN/config.json")
BODY = "llm.model.model."
TEXT = f"{BODY}embed_tokens.weight"
SPECIAL, SPEECH = "llm_embedding.weight", "speech_embedding.weight"
LM_HEAD = "llm.model.lm_head.weight"
BESIDE = ("epoch", "step")
"""Numbers that CosyVoice's training keeps among the tensors."""
HEAD_DIM = 64


def llm_file(source: Path) -> Path:
    """The file of weights of a model folder, or the file itself."""
    path = source / LLM if source.is_dir() else source
    if not path.is_file():
        raise UserError(
            f"there is no {LLM}" if source.is_dir() else "there is no such file",
            where=str(source),
            fix=f"Give the folder of CosyVoice2-0.5B, or its {LLM}.",
        )
    return path


def read_config(source: Path, heads: int | None = None) -> DecoderConfig:
    """Shape of the teacher alone; arguments and errors as in ``read_llm``."""
    path = llm_file(source)
    return _config(_checked(path), path, heads)


def read_llm(source: Path, heads: int | None = None) -> tuple[DecoderConfig, dict[str, Tensor]]:
    """Shape and weights of the teacher, by the names of ``Decoder``'s own parameters.

    Args:
        source: the model folder, or ``llm.pt``.
        heads: query heads; ``None`` as the module's docstring says.

    Raises:
        UserError: for a file that holds anything else than these weights; names all that differs.
    """
    path = llm_file(source)
    weights = _checked(path)
    return _config(weights, path, heads), _translated(weights)


def _checked(path: Path) -> dict[str, Tensor]:
    """The file's tensors by official name; UserError if any is missing, strange or misshapen."""
    weights = _read(path)
    expected = _expected(weights, path)
    if wrong := strict.differences(expected, weights, optional=(LM_HEAD,)):
        raise UserError(
            f"not the weights of CosyVoice 2's language model; {wrong}",
            where=str(path),
            fix=f"Give the {LLM} of CosyVoice2-0.5B, or one trained from it.",
        )
    return weights


def _read(path: Path) -> dict[str, Tensor]:
    try:
        # A mapped file is read as it is used, which halves the memory; old files can't be mapped.
        mapped = zipfile.is_zipfile(path)
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a damaged pickle raises anything
        raise UserError(
            f"not a file of tensors alone, or a damaged one ({str(error).partition('. ')[0]})",
            where=str(path),
            fix="Other pickles are refused, since reading one can run code that it brings. Copy "
            "the file again, or save the tensors alone: torch.save(model.state_dict(), path).",
        ) from error
    for wrapper in ("model", "state_dict"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping):
        raise UserError(f"no mapping of names to tensors: {type(found).__name__}", where=str(path))
    weights = {str(name): value for name, value in found.items() if name not in BESIDE}
    strangers = [name for name, value in weights.items() if not isinstance(value, Tensor)]
    if strangers:
        raise UserError(f"not tensors: {strict.shortened(strangers)}", where=str(path))
    return weights


def _expected(weights: Mapping[str, Tensor], path: Path) -> dict[str, tuple[int, ...]]:
    """Shape by official name, from the sizes of a few of the tensors."""
    layers = _layers(weights)
    first = f"{BODY}layers.0."
    anchors = {
        "text": TEXT,
        "speech": SPEECH,
        "inner": f"{first}self_attn.q_proj.weight",
        "kv": f"{first}self_attn.k_proj.weight",
        "mlp": f"{first}mlp.gate_proj.weight",
    }
    for name in anchors.values():
        if name in weights and weights[name].ndim != 2:
            raise UserError(f"{name} is no matrix", where=str(path))
    rows = {key: len(weights[name]) for key, name in anchors.items() if name in weights}
    hidden = weights[SPEECH].shape[1] if SPEECH in weights else 0
    shapes = _shapes(layers, hidden, **{**dict.fromkeys(anchors, 0), **rows})
    if len(rows) < len(anchors):  # sizes are unknown, so that only names can be compared
        shapes |= {name: tuple(weights[name].shape) for name in shapes if name in weights}
    return shapes


def _layers(weights: Mapping[str, Tensor]) -> int:
    found = (re.match(rf"{re.escape(BODY)}layers\.(\d{{1,4}})\.", name) for name in weights)
    return 1 + max((int(match[1]) for match in found if match), default=0)


def _shapes(
    layers: int, hidden: int, text: int, speech: int, inner: int, kv: int, mlp: int
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        SPEECH: (speech, hidden),
        SPECIAL: (N_SPECIAL, hidden),
        TEXT: (text, hidden),
        f"{BODY}norm.weight": (hidden,),
        LM_HEAD: (text, hidden),
        "llm_decoder.weight": (speech, hidden),
        "llm_decoder.bias": (speech,),
    }
    for index in range(layers):
        layer = f"{BODY}layers.{index}."
        for name, rows in {"q": inner, "k": kv, "v": kv}.items():
            shapes[f"{layer}self_attn.{name}_proj.weight"] = (rows, hidden)
            shapes[f"{layer}self_attn.{name}_proj.bias"] = (rows,)
        shapes[f"{layer}self_attn.o_proj.weight"] = (hidden, inner)
        shapes[f"{layer}mlp.gate_proj.weight"] = (mlp, hidden)
        shapes[f"{layer}mlp.up_proj.weight"] = (mlp, hidden)
        shapes[f"{layer}mlp.down_proj.weight"] = (hidden, mlp)
        shapes[f"{layer}input_layernorm.weight"] = (hidden,)
        shapes[f"{layer}post_attention_layernorm.weight"] = (hidden,)
    return shapes


def _config(weights: Mapping[str, Tensor], path: Path, heads: int | None) -> DecoderConfig:
    attention = f"{BODY}layers.0.self_attn."
    inner = len(weights[f"{attention}q_proj.weight"])
    kv = len(weights[f"{attention}k_proj.weight"])
    speech, hidden = weights[SPEECH].shape
    layers = _layers(weights)
    settings = _settings(path.parent / CONFIG)
    head_dim = _head_dim(
        inner, settings.get("num_attention_heads") if heads is None else heads, path
    )
    kv_heads = settings.get("num_key_value_heads")
    if kv % head_dim or (heads is None and kv_heads not in (None, kv // head_dim)):
        raise UserError(
            f"keys of {kv} rows are not {kv_heads or 'whole'} heads of {head_dim}",
            where=str(path),
            fix=f"Give --heads, or the {CONFIG} that belongs to the weights.",
        )
    return DecoderConfig(
        layers=layers,
        hidden=hidden,
        heads=inner // head_dim,
        kv_heads=kv // head_dim,
        head_dim=head_dim,
        mlp=len(weights[f"{BODY}layers.0.mlp.gate_proj.weight"]),
        speech_codes=speech - N_STOPS,
        text_vocabulary=len(weights[TEXT]),
        transformer=tuple(range(layers)),
        norm_eps=settings.get("rms_norm_eps", DecoderConfig.norm_eps),
        rope_theta=settings.get("rope_theta", DecoderConfig.rope_theta),
    )


def _head_dim(inner: int, heads: int | None, path: Path) -> int:
    if heads is None and inner % HEAD_DIM == 0:
        return HEAD_DIM
    if heads is None or heads < 1 or inner % heads:
        parts = f"whole heads of {HEAD_DIM}" if heads is None else f"{heads} heads"
        raise UserError(
            f"queries of {inner} rows are not {parts}",
            where=str(path),
            fix=f"Give --heads, or the {CONFIG} that belongs to the weights.",
        )
    return inner // heads


def _settings(path: Path) -> dict[str, Any]:
    """What is known of the body besides its tensors; empty without the file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"num_attention_heads": int, "num_key_value_heads": int,
                 "rms_norm_eps": float, "rope_theta": float}  # fmt: skip
        if not isinstance(found, dict):
            raise TypeError("no JSON object")
        for name, kind in kinds.items():
            if kind is int and name in found and type(found[name]) is not int:
                raise TypeError(f"{name} is {found[name]!r}")
        return {name: kind(found[name]) for name, kind in kinds.items() if name in found}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"no configuration of a Qwen2 body ({error})", where=str(path)) from error


def _translated(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    made = {
        "embedding.weight": torch.cat([weights[SPEECH], weights[SPECIAL], weights[TEXT]]),
        "norm.weight": weights[f"{BODY}norm.weight"],
        "head.weight": weights["llm_decoder.weight"],
        "head.bias": weights["llm_decoder.bias"],
    }
    for index in range(_layers(weights)):
        theirs, ours = f"{BODY}layers.{index}.", f"layers.{index}."
        for kind in ("weight", "bias"):
            made[f"{ours}mixer.qkv.{kind}"] = torch.cat(
                [weights[f"{theirs}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            )
        made[f"{ours}mixer.out.weight"] = weights[f"{theirs}self_attn.o_proj.weight"]
        made[f"{ours}mlp.gate_up.weight"] = torch.cat(
            [weights[f"{theirs}mlp.{name}_proj.weight"] for name in ("gate", "up")]
        )
        made[f"{ours}mlp.down.weight"] = weights[f"{theirs}mlp.down_proj.weight"]
        made[f"{ours}mixer_norm.weight"] = weights[f"{theirs}input_layernorm.weight"]
        made[f"{ours}mlp_norm.weight"] = weights[f"{theirs}post_attention_layernorm.weight"]
    return made
