"""The decoder against the transformers package, which computes the same functions by other code.

Teacher: Qwen2. Hybrid: Bamba, whose Mamba-2 layers have x, B and C for every group and share none.
Writing the shared rows of our projection and convolution out for every head gives the same
function, for a depthwise convolution treats each channel alone. With as many groups as heads
Bamba's gated norm works within each head, as ours does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mamtra_eval.models.attention import Attention
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder, Layer
from mamtra_eval.models.generate import DecodingConfig, Item, generate
from mamtra_eval.models.mamba2 import Mamba2
from mamtra_eval.models.sampling import SamplerConfig

transformers = pytest.importorskip("transformers")

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
GREEDY = DecodingConfig(SamplerConfig("greedy"))
HEADS = DecoderConfig(  # the heads of cosyvoice2 with little around them
    layers=2, hidden=896, heads=14, kv_heads=2, head_dim=64, mlp=256,
    speech_codes=50, text_vocabulary=10, transformer=(0, 1), chunk=8,
)  # fmt: skip


def _common(config: DecoderConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocabulary,
        "hidden_size": config.hidden,
        "intermediate_size": config.mlp,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": False,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def _qwen2(decoder: Decoder) -> nn.Module:
    config = decoder.config
    assert config.inner == config.hidden  # Qwen2Config derives the size of a head
    rope = {"rope_type": "default", "rope_theta": config.rope_theta}
    made = transformers.Qwen2Config(**_common(config), rope_parameters=rope)
    model = transformers.Qwen2ForCausalLM(made).eval()
    weights = _around(decoder, "post_attention_layernorm", "mlp", "norm")
    for index, layer in enumerate(decoder.layers):
        weights |= _attention(layer.mixer, f"model.layers.{index}.self_attn.")
    model.load_state_dict(weights)
    return model


def _bamba(decoder: Decoder) -> nn.Module:
    config = decoder.config
    rope = {"rope_type": "default", "rope_theta": config.rope_theta, "partial_rotary_factor": 1.0}
    made = transformers.BambaConfig(
        **_common(config), rope_parameters=rope, attention_bias=True,
        attn_layer_indices=list(config.transformer), mamba_expand=1, mamba_n_heads=config.heads,
        mamba_n_groups=config.heads, mamba_d_head=config.head_dim, mamba_d_state=config.head_dim,
        mamba_d_conv=config.conv_width, mamba_chunk_size=config.chunk,
        mamba_proj_bias=config.mixer_bias,
    )  # fmt: skip
    model = transformers.BambaForCausalLM(made).eval()
    weights = _around(decoder, "pre_ff_layernorm", "feed_forward", "final_layernorm")
    for index, layer in enumerate(decoder.layers):
        name = f"model.layers.{index}."
        if isinstance(layer.mixer, Attention):
            weights |= _attention(layer.mixer, f"{name}self_attn.")
            weights[f"{name}self_attn.o_proj.bias"] = torch.zeros(config.hidden)
        else:
            weights |= _mamba(layer.mixer, f"{name}mamba.")
            model.model.layers[index].mamba.norm.variance_epsilon = config.mixer_norm_eps
    model.load_state_dict(weights)
    return model


def _around(decoder: Decoder, mlp_norm: str, mlp: str, norm: str) -> dict[str, Tensor]:
    """Everything but the mixers; ids that our head does not score have a row of zeros."""
    rows = decoder.config.vocabulary - decoder.config.speech_rows
    weights = {
        "model.embed_tokens.weight": decoder.embedding.weight,
        f"model.{norm}.weight": decoder.norm.weight,
        "lm_head.weight": nn.functional.pad(decoder.head.weight, (0, 0, 0, rows)),
    }
    for index, layer in enumerate(decoder.layers):
        assert isinstance(layer, Layer)
        name = f"model.layers.{index}."
        gate, up = layer.mlp.gate_up.weight.chunk(2)
        weights |= {
            f"{name}input_layernorm.weight": layer.mixer_norm.weight,
            f"{name}{mlp_norm}.weight": layer.mlp_norm.weight,
            f"{name}{mlp}.gate_proj.weight": gate,
            f"{name}{mlp}.up_proj.weight": up,
            f"{name}{mlp}.down_proj.weight": layer.mlp.down.weight,
        }
    return weights


def _attention(mixer: Attention, name: str) -> dict[str, Tensor]:
    sizes = [part * mixer.head_dim for part in (mixer.heads, mixer.kv_heads, mixer.kv_heads)]
    weights = {f"{name}o_proj.weight": mixer.out.weight}
    for part in ("weight", "bias"):
        rows = getattr(mixer.qkv, part).split(sizes)
        weights |= {f"{name}{x}_proj.{part}": row for x, row in zip("qkv", rows, strict=True)}
    assert all(weight.any() for weight in weights.values())
    return weights


def _mamba(mixer: Mamba2, name: str) -> dict[str, Tensor]:
    config = mixer.config

    def spread(rows: Tensor) -> Tensor:
        """x, B, C with the rows of x and B written out for every head of their group."""
        x, b, c = rows.split([config.kv_inner, config.kv_inner, config.inner])
        shared = [part.unflatten(0, (config.kv_heads, config.head_dim)) for part in (x, b)]
        repeats = config.heads // config.kv_heads
        spread = [part.repeat_interleave(repeats, 0).flatten(0, 1) for part in shared]
        return torch.cat([*spread, c])

    def project(rows: Tensor) -> Tensor:
        z, mixed, dt = rows.split([config.inner, config.conv_channels, config.heads])
        return torch.cat([z, spread(mixed), dt])

    weights = {
        f"{name}in_proj.weight": project(mixer.in_proj.weight),
        f"{name}conv1d.weight": spread(mixer.conv_weight).unsqueeze(1),
        f"{name}conv1d.bias": spread(mixer.conv_bias),
        f"{name}norm.weight": mixer.norm.weight,
        f"{name}out_proj.weight": mixer.out_proj.weight,
        **{f"{name}{x}": getattr(mixer, x) for x in ("dt_bias", "A_log", "D")},
    }
    if config.mixer_bias:
        weights[f"{name}in_proj.bias"] = project(mixer.in_proj.bias)
        weights[f"{name}out_proj.bias"] = torch.zeros(config.hidden)
    return weights


@torch.no_grad()
def _assert_same(decoder: Decoder, theirs: nn.Module, ids: Tensor) -> None:
    """The output of every layer, and the logits."""
    hidden: list[Tensor] = []
    for layer in theirs.model.layers:
        layer.register_forward_hook(
            lambda _, __, out: hidden.append(out[0] if isinstance(out, tuple) else out)
        )
    logits = theirs(input_ids=ids, use_cache=False).logits[..., : decoder.config.speech_rows]
    ours = decoder(ids, keep_hidden=True)
    assert len(hidden) == decoder.config.layers
    assert ours.logits.std() > 0.5
    for mine, other in zip(ours.hidden, hidden, strict=True):
        torch.testing.assert_close(mine, other, **TOLERANCE)
    torch.testing.assert_close(ours.logits, logits + decoder.head.bias, **TOLERANCE)


def _greedy(theirs: nn.Module, config: DecoderConfig, prompt: list[int], steps: int) -> list[int]:
    made = theirs.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
        max_new_tokens=steps, do_sample=False, eos_token_id=list(config.stops), pad_token_id=0,
        suppress_tokens=list(range(config.speech_rows, config.vocabulary)),
    )  # fmt: skip
    tokens: list[int] = made[0, len(prompt) :].tolist()
    return tokens[: min((tokens.index(s) for s in config.stops if s in tokens), default=steps)]


@pytest.mark.parametrize("shape", ["tiny", "heads of cosyvoice2"])
def test_the_teacher_is_qwen2(
    tiny: DecoderConfig, make_decoder: Callable[..., Decoder], shape: str
) -> None:
    config = tiny if shape == "tiny" else HEADS
    decoder = make_decoder(config)
    _assert_same(decoder, _qwen2(decoder), torch.randint(0, config.vocabulary, (3, 21)))


@pytest.mark.parametrize("layers", [(0, 2), (3,)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_hybrid_is_bamba(
    tiny: DecoderConfig, make_decoder: Callable[..., Decoder], layers: tuple[int, ...], bias: bool
) -> None:
    decoder = make_decoder(replace(tiny, transformer=layers, mixer_bias=bias))
    _assert_same(decoder, _bamba(decoder), torch.randint(0, tiny.vocabulary, (3, 21)))


def test_a_hybrid_with_the_heads_of_cosyvoice2_is_bamba(
    make_decoder: Callable[..., Decoder],
) -> None:
    decoder = make_decoder(HEADS.with_layout((0,)))
    _assert_same(decoder, _bamba(decoder), torch.randint(0, HEADS.vocabulary, (2, 11)))


@pytest.mark.parametrize("layers", [(0, 1, 2, 3), (0, 2)])
def test_greedy_tokens_are_theirs(
    tiny: DecoderConfig, make_decoder: Callable[..., Decoder], layers: tuple[int, ...]
) -> None:
    decoder = make_decoder(tiny.with_layout(layers))
    nn.init.zeros_(decoder.head.bias)  # theirs has none
    with torch.no_grad():
        decoder.head.weight[list(tiny.stops)] *= 0.5  # for longer sequences
    theirs = _qwen2(decoder) if len(layers) == tiny.layers else _bamba(decoder)
    prompts = torch.randint(0, tiny.vocabulary, (4, 9)).tolist()
    ours = generate(decoder, [Item(prompt, maximum=40) for prompt in prompts], GREEDY)
    assert [one.tokens for one in ours] == [_greedy(theirs, tiny, prompt, 40) for prompt in prompts]
    assert any(len(one.tokens) > 10 for one in ours)
