"""What ``cosyvoice2`` reads, as its identity tells it: hashes of weights, versions of packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mamtra_eval import audio, weights
from mamtra_eval.codecs import _cosyvoice_folder as codec
from mamtra_eval.errors import UserError
from mamtra_eval.systems import _local_models

if TYPE_CHECKING:
    from mamtra_eval.models.config import DecoderConfig
    from mamtra_eval.models.decoder import Decoder
    from mamtra_eval.systems._cosyvoice_options import Settings

LLM = "llm.pt"
PUBLISHED_CODES = 6561
VERSIONS = (
    "torch", "torchaudio", "transformers", "onnxruntime", "onnxruntime-gpu", "openai-whisper",
    "diffusers", "librosa", "wetext",
)  # fmt: skip
"""Distributions that a clip's samples depend on."""


def decoder_hash(settings: Settings) -> str:
    """SHA-256 of the language model's weights."""
    from mamtra_eval.models import checkpoint, cosyvoice2

    if settings.checkpoint is not None:
        return checkpoint.weights_hash(settings.checkpoint)
    return audio.sha256(cosyvoice2.llm_file(settings.model))


def codec_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by file of the model folder; of the tokenizer's files together."""
    codec.require_files(folder)
    files = (codec.CONFIGURATION, codec.FLOW, codec.VOCODER, codec.SPEAKER, codec.TOKENIZER)
    body = folder / codec.BODY
    return {
        **{name: audio.sha256(folder / name) for name in files},
        "text_tokenizer": weights.fingerprint(body, "*.json", "*.txt"),
    }


def versions() -> dict[str, str]:
    """Installed versions by distribution."""
    return _local_models.versions(VERSIONS)


def load_decoder(settings: Settings, device: str) -> Decoder:
    """Our decoder with the checkpoint's weights, or with those of the folder's ``llm.pt``."""
    import torch

    from mamtra_eval.models import cache, checkpoint, cosyvoice2, strict

    element = "fp32" if settings.precision == "autocast" else settings.precision
    if settings.checkpoint is not None:
        decoder = checkpoint.load(settings.checkpoint, device=device, dtype=element)
        refuse_strangers(decoder.config, cosyvoice2.read_config(settings.model), settings)
        return decoder
    config, tensors = cosyvoice2.read_llm(settings.model)
    path = cosyvoice2.llm_file(settings.model)
    decoder = strict.build(config, tensors, str(path)).to(torch.device(device))
    return decoder.to(cache.dtype(element))


def refuse_strangers(own: DecoderConfig, teacher: DecoderConfig, settings: Settings) -> None:
    """UserError for a checkpoint of other tokens than the model folder's."""
    for name in ("speech_codes", "text_vocabulary"):
        mine, theirs = getattr(own, name), getattr(teacher, name)
        if mine != theirs:
            raise UserError(
                f"the checkpoint has {name} {mine}, the model folder {theirs}",
                where=str(settings.checkpoint),
                fix="Take a checkpoint that was converted from this model's llm.pt "
                "(mamtra-eval convert cosyvoice2).",
            )
