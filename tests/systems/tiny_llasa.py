"""Folders of Llasa and XCodec2 in their official layout, small and with random weights.

Run in an environment where the package xcodec2 is: ``python tiny_llasa.py OUT``. It writes
``OUT/model``, ``OUT/codec`` and ``OUT/semantic``. The language model is a Llama of width 32 with
all 65,536 speech tokens; the codec's widths are fixed in its code, so that its weights take 0.6 GB
(in bf16), those of the reduced w2v-BERT 0.2 GB. The end of speech comes after about a second.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CODES, WIDTH = 65_536, 32
MARKS = [
    f"<|{kind}_{edge}|>"
    for kind in ("TEXT_GENERATION", "TEXT_UNDERSTANDING", "SPEECH_GENERATION",
                 "SPEECH_UNDERSTANDING")
    for edge in ("START", "END")
]  # fmt: skip
TEMPLATE = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
    "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "Today Date: {{ date_string }}<|eot_id|>"
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
)
LIKELY_END = 4.6
"""Logit of the end, where the 50 likeliest of the speech tokens lie between about 4 and 5.3."""


def write(out: Path, seed: int = 0) -> None:
    """Write the three folders."""
    import torch

    torch.manual_seed(seed)
    _write_semantic(out / "semantic")
    _write_codec(out / "codec", out / "semantic")
    vocabulary = _write_tokenizer(out / "model")
    _write_language_model(out / "model", vocabulary)


def _write_semantic(folder: Path) -> None:
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig, Wav2Vec2BertModel

    config = Wav2Vec2BertConfig(
        hidden_size=1024, num_hidden_layers=16, num_attention_heads=16, intermediate_size=64
    )
    Wav2Vec2BertModel(config).bfloat16().save_pretrained(folder)
    SeamlessM4TFeatureExtractor(
        feature_size=80, num_mel_bins=80, sampling_rate=16000, stride=2, padding_value=1
    ).save_pretrained(folder)


def _write_codec(folder: Path, semantic: Path) -> None:
    from types import SimpleNamespace

    import xcodec2.modeling_xcodec2 as package
    from transformers import AutoFeatureExtractor, Wav2Vec2BertModel

    for name, loader in (
        ("Wav2Vec2BertModel", Wav2Vec2BertModel), ("AutoFeatureExtractor", AutoFeatureExtractor),
    ):  # fmt: skip
        local = SimpleNamespace(
            from_pretrained=lambda _, loader=loader, **rest: loader.from_pretrained(
                semantic, **rest
            )
        )
        setattr(package, name, local)
    model = package.XCodec2Model(package.BigCodecConfig())
    model.bfloat16().save_pretrained(folder)


def _write_tokenizer(folder: Path) -> int:
    """A byte-level vocabulary without merges, and Llasa's tokens; returns its size."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: n for n, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    chat = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    made.add_special_tokens([AddedToken(token, special=True) for token in [*chat, *MARKS]])
    made.add_tokens([AddedToken(f"<|s_{code}|>", normalized=False) for code in range(CODES)])
    PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
        chat_template=TEMPLATE, clean_up_tokenization_spaces=True,
    ).save_pretrained(folder)  # fmt: skip
    return int(made.get_vocab_size())


def _write_language_model(folder: Path, vocabulary: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096,
        tie_word_embeddings=False, bos_token_id=256, eos_token_id=259,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    first = vocabulary - CODES
    with torch.no_grad():  # one dimension that is nearly constant, the others a little noise
        model.model.embed_tokens.weight.normal_(std=0.3)
        model.model.embed_tokens.weight[:, 0] = 1.5
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = 0
            layer.mlp.down_proj.weight[0] = 0
        model.lm_head.weight.normal_(std=0.3)
        model.lm_head.weight[:, 0] = 0
        model.lm_head.weight[:first, 0] = -10  # no text
        end = first - len(MARKS) + MARKS.index("<|SPEECH_GENERATION_END|>")
        model.lm_head.weight[end] = 0
        model.lm_head.weight[end, 0] = LIKELY_END / 3.9
    model.generation_config.temperature, model.generation_config.top_p = 0.6, 0.9
    model.generation_config.do_sample = True
    model.bfloat16().save_pretrained(folder)
    settings = json.loads((folder / "config.json").read_text("utf-8"))
    assert settings["model_type"] == "llama"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
