"""Evaluators' networks at their true size with random weights, in files as they are published.

Random weights don't know when a sentence ends: Whisper writes ``TOKENS`` a clip, about what a
sentence of a test set has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

TOKENS = 17
SIZES = {
    "tiny": {"d_model": 384, "layers": 4, "heads": 6, "mels": 80},
    "large-v3": {"d_model": 1280, "layers": 32, "heads": 20, "mels": 128},
}
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|translate|>",
    "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
VOCABULARY = 51866


def whisper(folder: Path, name: str) -> Path:
    """A folder in transformers' layout; one token a byte, a vocabulary of the true width."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    transformers.utils.logging.disable_progress_bar()
    size = SIZES[name]
    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = transformers.WhisperTokenizer(
        vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL]})
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    end = ids["<|endoftext|>"]
    common = {
        "eos_token_id": end, "pad_token_id": end,
        "decoder_start_token_id": ids["<|startoftranscript|>"],
    }  # fmt: skip
    torch.manual_seed(0)
    network = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            vocab_size=VOCABULARY, d_model=size["d_model"], num_mel_bins=size["mels"],
            encoder_layers=size["layers"], decoder_layers=size["layers"],
            encoder_attention_heads=size["heads"], decoder_attention_heads=size["heads"],
            encoder_ffn_dim=4 * size["d_model"], decoder_ffn_dim=4 * size["d_model"],
            bos_token_id=end, **common,
        )
    )  # fmt: skip
    network.generation_config = transformers.GenerationConfig(
        is_multilingual=True, lang_to_id={"<|en|>": ids["<|en|>"]},
        task_to_id={name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")},
        no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"],
        max_length=4 + TOKENS, suppress_tokens=[*range(len(alphabet), VOCABULARY)], **common,
    )  # fmt: skip
    network.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=size["mels"]).save_pretrained(folder)
    return folder


def speaker(path: Path) -> Path:
    """WavLM-large with ECAPA-TDNN, as ``wavlm_large_finetune.pth`` has it."""
    from mamtra_eval.speakers._ecapa import SMALL, SpeakerNetwork
    from mamtra_eval.speakers._wavlm import LARGE

    return _save(path, SpeakerNetwork(LARGE, SMALL), wrap=True)


def utmos(path: Path) -> Path:
    """UTMOS22-strong."""
    from mamtra_eval.metrics._utmos_network import PUBLISHED, Utmos22Strong

    return _save(path, Utmos22Strong(PUBLISHED), wrap=False)


def _save(path: Path, network: torch.nn.Module, *, wrap: bool) -> Path:
    generator = torch.Generator().manual_seed(0)
    state: dict[str, Any] = {}
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            state[name] = tensor
        elif tensor.ndim > 1:
            scale = tensor[0].numel() ** -0.5
            state[name] = scale * torch.randn(tensor.shape, generator=generator)
        else:
            state[name] = torch.full_like(tensor, 1.0 if name.endswith(("weight", "var")) else 0.0)
    torch.save({"model": state} if wrap else state, path)
    return path
