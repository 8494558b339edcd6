"""An ``llm.pt`` as CosyVoice 2 ships it, of small sizes and with random weights.

The names are written down from the released file, independently of the code that reads them.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

HIDDEN, HEADS, KV_HEADS, HEAD_DIM, MLP = 64, 2, 1, 32, 96
SPEECH, TEXT = 40, 50  # speech tokens with their three stops; text tokens
SETTINGS = {
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
}


def weights(layers: int = 24, seed: int = 0) -> dict[str, Tensor]:
    """All tensors of the file; norms near one, the others as small as in a trained model."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int, around: float = 0.0) -> Tensor:
        return around + 0.1 * torch.randn(*shape, generator=generator)

    body = "llm.model.model."
    found = {
        "llm_embedding.weight": random(2, HIDDEN),
        f"{body}embed_tokens.weight": random(TEXT, HIDDEN),
        f"{body}norm.weight": random(HIDDEN, around=1.0),
        "llm_decoder.weight": random(SPEECH, HIDDEN),
        "llm_decoder.bias": random(SPEECH),
        "speech_embedding.weight": random(SPEECH, HIDDEN),
    }
    found["llm.model.lm_head.weight"] = found[f"{body}embed_tokens.weight"]
    for index in range(layers):
        layer = f"{body}layers.{index}."
        for name, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            found[f"{layer}self_attn.{name}_proj.weight"] = random(heads * HEAD_DIM, HIDDEN)
            found[f"{layer}self_attn.{name}_proj.bias"] = random(heads * HEAD_DIM)
        found[f"{layer}self_attn.o_proj.weight"] = random(HIDDEN, HEADS * HEAD_DIM)
        found[f"{layer}mlp.gate_proj.weight"] = random(MLP, HIDDEN)
        found[f"{layer}mlp.up_proj.weight"] = random(MLP, HIDDEN)
        found[f"{layer}mlp.down_proj.weight"] = random(HIDDEN, MLP)
        found[f"{layer}input_layernorm.weight"] = random(HIDDEN, around=1.0)
        found[f"{layer}post_attention_layernorm.weight"] = random(HIDDEN, around=1.0)
    return found


def write(folder: Path, content: object, settings: dict[str, object] | None = None) -> Path:
    """The model folder with ``content`` as its ``llm.pt``; ``settings`` go into config.json."""
    (folder / "CosyVoice-BlankEN").mkdir(parents=True, exist_ok=True)
    torch.save(content, folder / "llm.pt")
    text = json.dumps(SETTINGS if settings is None else settings)
    (folder / "CosyVoice-BlankEN" / "config.json").write_text(text)
    return folder
