"""Whisper's true architecture in transformers' layout, small and with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>",
    "<|transcribe|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
LENGTH = 24


def write_model(folder: Path) -> Path:
    """A folder as the hub has it: one token a byte, half precision, one layer a side."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = transformers.WhisperTokenizer(
        vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL]})
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    end, begin = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    size = len(tokenizer) + 1501  # timestamps
    common = {"eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": begin}
    torch.manual_seed(0)
    network = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            vocab_size=size, d_model=16, encoder_layers=1, decoder_layers=1,
            encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
            decoder_ffn_dim=32, num_mel_bins=80, max_target_positions=64, bos_token_id=end,
            init_std=0.6, **common,
        )
    ).half()  # fmt: skip
    network.generation_config = transformers.GenerationConfig(
        is_multilingual=True, lang_to_id={token: ids[token] for token in ("<|en|>", "<|zh|>")},
        task_to_id={name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")},
        no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"],
        max_length=LENGTH, suppress_tokens=[*range(len(alphabet), size)], **common,
    )  # fmt: skip
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return folder
