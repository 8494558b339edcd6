"""The decoder's function in the transformers package: the same weights in its own modules.

A teacher becomes ``Qwen2ForCausalLM``. A hybrid becomes ``BambaForCausalLM``, whose layers are
attention or Mamba-2, each with a gated MLP, as ours are. Bamba has no shared heads within its
Mamba-2 mixer, so our rows of x and B are written out once a head; with one group a head its gated
norm works within each head, as ours does. It has no bias on q, k and v: ours must be zero.

transformers would score every row of its vocabulary; it gets the speech tokens alone, so that
neither side computes text logits.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from mamtra_eval.models.attention import Attention
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder, Layer
from mamtra_eval.models.mamba2 import Mamba2

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a measurement fetches nothing, kernels neither


def counterpart(decoder: Decoder) -> Any:  # noqa: ANN401 -- transformers' classes are dynamic
    """The transformers model that computes what ``decoder`` computes."""
    import transformers

    transformers.logging.set_verbosity_error()
    config = decoder.config
    if not config.transformer:
        raise SystemExit("0:1 can't be compared: Bamba's cache wants an attention layer")
    model: Any
    if config.mamba:
        model = transformers.BambaForCausalLM(_bamba_config(config))
    else:
        model = transformers.Qwen2ForCausalLM(_qwen2_config(config))
    model.load_state_dict(_weights(decoder), strict=True)
    for module in model.modules():
        if type(module).__name__ == "BambaRMSNormGated":
            module.variance_epsilon = config.mixer_norm_eps  # Bamba's config has one for all norms
    return model.eval().requires_grad_(False)


def _shared(config: DecoderConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.speech_rows,
        "hidden_size": config.hidden,
        "intermediate_size": config.mlp,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "rms_norm_eps": config.norm_eps,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "pad_token_id": config.eos,
        "bos_token_id": None,
        "eos_token_id": config.eos,
    }


def _qwen2_config(config: DecoderConfig) -> Any:  # noqa: ANN401
    from transformers import Qwen2Config

    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    return Qwen2Config(**_shared(config), rope_parameters=rope)


def _bamba_config(config: DecoderConfig) -> Any:  # noqa: ANN401
    from transformers import BambaConfig

    return BambaConfig(
        **_shared(config),
        rope_parameters={
            "rope_type": "default", "rope_theta": config.rope_theta, "partial_rotary_factor": 1.0,
        },
        attn_layer_indices=list(config.transformer),
        mamba_n_heads=config.heads,
        mamba_d_head=config.head_dim,
        mamba_n_groups=config.heads,
        mamba_d_state=config.head_dim,
        mamba_d_conv=config.conv_width,
        mamba_expand=1,
        mamba_chunk_size=config.chunk,
    )  # fmt: skip


def _weights(decoder: Decoder) -> dict[str, Tensor]:
    """Our weights under transformers' names."""
    config = decoder.config
    hybrid = bool(config.mamba)
    mlp, mlp_norm = (
        ("feed_forward", "pre_ff_layernorm") if hybrid else ("mlp", "post_attention_layernorm")
    )
    found = {
        "model.embed_tokens.weight": decoder.embedding.weight[: config.speech_rows],
        f"model.{'final_layernorm' if hybrid else 'norm'}.weight": decoder.norm.weight,
        "lm_head.weight": decoder.head.weight,
    }
    for index, layer in enumerate(decoder.layers):
        assert isinstance(layer, Layer)
        gate, up = layer.mlp.gate_up.weight.chunk(2)
        parts = {
            "input_layernorm.weight": layer.mixer_norm.weight,
            f"{mlp_norm}.weight": layer.mlp_norm.weight,
            f"{mlp}.gate_proj.weight": gate,
            f"{mlp}.up_proj.weight": up,
            f"{mlp}.down_proj.weight": layer.mlp.down.weight,
            **_mixer(layer.mixer, config, hybrid=hybrid),
        }
        found |= {f"model.layers.{index}.{key}": value for key, value in parts.items()}
    return found


def _mixer(mixer: Attention | Mamba2, config: DecoderConfig, *, hybrid: bool) -> dict[str, Tensor]:
    if isinstance(mixer, Mamba2):
        return _mamba(mixer, config)
    sizes = [config.inner, config.kv_inner, config.kv_inner]
    found = {"self_attn.o_proj.weight": mixer.out.weight}
    weights, biases = mixer.qkv.weight.split(sizes), mixer.qkv.bias.split(sizes)
    for letter, weight, bias in zip("qkv", weights, biases, strict=True):
        found[f"self_attn.{letter}_proj.weight"] = weight
        if not hybrid:
            found[f"self_attn.{letter}_proj.bias"] = bias
        elif bias.any():
            raise ValueError("BambaForCausalLM has no bias on q, k and v: set ours to zero")
    return found


def _mamba(mixer: Mamba2, config: DecoderConfig) -> dict[str, Tensor]:
    copies = config.heads // config.kv_heads

    def written_out(rows: Tensor) -> Tensor:
        """Rows of x, B and C, those of x and B once a head."""
        x, b, c = rows.split(mixer.conv_splits)
        x, b = (
            part.unflatten(0, (config.kv_heads, -1)).repeat_interleave(copies, 0).flatten(0, 1)
            for part in (x, b)
        )
        return torch.cat([x, b, c])

    z, mixed, dt = mixer.in_proj.weight.split(mixer.in_splits)
    return {
        "mamba.in_proj.weight": torch.cat([z, written_out(mixed), dt]),
        "mamba.conv1d.weight": written_out(mixer.conv_weight)[:, None],
        "mamba.conv1d.bias": written_out(mixer.conv_bias),
        "mamba.dt_bias": mixer.dt_bias,
        "mamba.A_log": mixer.A_log,
        "mamba.D": mixer.D,
        "mamba.norm.weight": mixer.norm.weight,
        "mamba.out_proj.weight": mixer.out_proj.weight,
    }
