"""Helpers of the tests of the speaker encoder wavlm: small sizes, and other implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mamtra_eval import audio
from mamtra_eval.speakers._ecapa import EcapaConfig, SpeakerNetwork
from mamtra_eval.speakers._wavlm import WavLMConfig

TINY = (
    WavLMConfig(
        channels=12, width=32, feed_forward=48, layers=3, heads=4, position_kernel=16,
        position_groups=4, buckets=16, max_distance=20,
    ),
    EcapaConfig(channels=16, pooled=24, embedding=10, steps=8, gate=6, attention=7),
)  # fmt: skip
CLASSIFIER = "loss_calculator.projection.weight"
PREFIX = "feature_extract.model."

State = dict[str, torch.Tensor]
Array = npt.NDArray[np.float64]


def random_state() -> State:
    """A checkpoint's tensors at the tiny sizes, all of them random."""
    generator = torch.Generator().manual_seed(0)

    def draw(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype == torch.int64:  # a batch norm's count
            return torch.tensor(7)
        drawn = torch.randn(tensor.shape, generator=generator)
        if name.endswith(("running_var", "weight_g")):
            return drawn.abs() + 0.5
        if "attention_bias" in name or name == "feature_weight":
            return drawn
        if drawn.ndim > 1:  # so that what is heard outweighs the constants
            return drawn * 2.0 / tensor[0].numel() ** 0.5
        return 0.1 * drawn + (1.0 if name.endswith(".weight") else 0.0)

    return {name: draw(name, tensor) for name, tensor in SpeakerNetwork(*TINY).state_dict().items()}


def save(path: Path, state: State) -> Path:
    classifier = {CLASSIFIER: torch.zeros(5, 10)}
    torch.save({"model": {**state, **classifier}, "best_valid_eer": 100.0}, path)
    return path


TRANSFORMERS_NAMES = {
    "post_extract_proj": "feature_projection.projection",
    "mask_emb": "masked_spec_embed",
    "pos_conv.0.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
    "pos_conv.0.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
    "pos_conv.0": "pos_conv_embed.conv",
    "self_attn_layer_norm": "layer_norm",
    "self_attn.relative_attention_bias": "attention.rel_attn_embed",
    "self_attn.grep_linear": "attention.gru_rel_pos_linear",
    "self_attn.grep_a": "attention.gru_rel_pos_const",
    "self_attn": "attention",
    ".0.weight": ".conv.weight",
    ".2.1.": ".layer_norm.",
    "fc1": "feed_forward.intermediate_dense",
    "fc2": "feed_forward.output_dense",
}


def transformers_name(name: str) -> str:
    if name.startswith("layer_norm."):
        return f"feature_projection.{name}"
    for ours, theirs in TRANSFORMERS_NAMES.items():
        if ours in name:
            return name.replace(ours, theirs)
    return name


def transformers_wavlm(state: State) -> Any:
    """transformers' WavLM with the same weights."""
    import transformers

    sizes = TINY[0]
    model = transformers.WavLMModel(
        transformers.WavLMConfig(
            conv_dim=[sizes.channels] * 7, conv_kernel=[10, 3, 3, 3, 3, 2, 2],
            conv_stride=[5, 2, 2, 2, 2, 2, 2], conv_bias=False, feat_extract_norm="layer",
            do_stable_layer_norm=True, hidden_size=sizes.width, num_hidden_layers=sizes.layers,
            intermediate_size=sizes.feed_forward, num_attention_heads=sizes.heads,
            num_conv_pos_embeddings=sizes.position_kernel, num_buckets=sizes.buckets,
            num_conv_pos_embedding_groups=sizes.position_groups,
            max_bucket_distance=sizes.max_distance,
        )
    )  # fmt: skip
    inner = {name.removeprefix(PREFIX): t for name, t in state.items() if name.startswith(PREFIX)}
    model.load_state_dict({transformers_name(name): tensor for name, tensor in inner.items()})
    return model.eval()


def peer_states(peer: Any, clip: audio.Samples) -> list[torch.Tensor]:
    wide = clip.astype(np.float64)
    even = (wide - wide.mean()) / np.sqrt(wide.var() + 1e-5)
    with torch.inference_mode():
        output = peer(torch.tensor(even[None], dtype=torch.float32), output_hidden_states=True)
    return [*output.hidden_states[:-1], output.last_hidden_state]


def numpy_ecapa(states: list[torch.Tensor], state: State) -> Array:
    """The embedding of one clip from WavLM's states, each (1, T, D)."""
    w = {name: tensor.double().numpy() for name, tensor in state.items()}

    def convolve(x: Array, name: str, dilation: int = 1) -> Array:
        kernel = w[f"{name}.weight"]
        reach = dilation * (kernel.shape[2] - 1) // 2
        padded = np.pad(x, ((0, 0), (reach, reach)))
        taps = [padded[:, tap * dilation :][:, : x.shape[1]] for tap in range(kernel.shape[2])]
        return np.einsum("oik,kit->ot", kernel, np.stack(taps)) + w[f"{name}.bias"][:, None]

    def batch_norm(x: Array, name: str) -> Array:
        scale = w[f"{name}.weight"] / np.sqrt(w[f"{name}.running_var"] + 1e-5)
        return (x - w[f"{name}.running_mean"][:, None]) * scale[:, None] + w[f"{name}.bias"][
            :, None
        ]

    def relu(x: Array) -> Array:
        return np.maximum(x, 0.0)

    def block(x: Array, name: str, dilation: int) -> Array:
        first = f"{name}.Conv1dReluBn1"
        inner = batch_norm(relu(convolve(x, f"{first}.conv")), f"{first}.bn")
        parts = np.split(inner, 8)
        done: list[Array] = []
        for index in range(7):
            heard = parts[index] + (done[-1] if done else 0.0)
            path = f"{name}.Res2Conv1dReluBn"
            made = relu(convolve(heard, f"{path}.convs.{index}", dilation))
            done.append(batch_norm(made, f"{path}.bns.{index}"))
        last = f"{name}.Conv1dReluBn2"
        inner = np.concatenate([*done, parts[7]])
        inner = batch_norm(relu(convolve(inner, f"{last}.conv")), f"{last}.bn")
        gate = f"{name}.SE_Connect"
        hidden = relu(w[f"{gate}.linear1.weight"] @ inner.mean(axis=1) + w[f"{gate}.linear1.bias"])
        opened = w[f"{gate}.linear2.weight"] @ hidden + w[f"{gate}.linear2.bias"]
        return x + inner / (1.0 + np.exp(-opened))[:, None]

    shares = np.exp(w["feature_weight"]) / np.exp(w["feature_weight"]).sum()
    stacked = np.stack([one[0].double().numpy().T for one in states])
    x = np.einsum("s,sdt->dt", shares, stacked) + 1e-6
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    one = batch_norm(relu(convolve(x, "layer1.conv")), "layer1.bn")
    two = block(one, "layer2", 2)
    three = block(two, "layer3", 3)
    four = block(three, "layer4", 4)
    x = relu(convolve(np.concatenate([two, three, four]), "conv"))
    scores = convolve(np.tanh(convolve(x, "pooling.linear1")), "pooling.linear2")
    alpha = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    mean = (alpha * x).sum(axis=1)
    spread = np.sqrt(np.maximum((alpha * x**2).sum(axis=1) - mean**2, 1e-9))
    pooled = batch_norm(np.concatenate([mean, spread])[:, None], "bn")[:, 0]
    return w["linear.weight"] @ pooled + w["linear.bias"]


def official_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor but the classifier, written by rule from UniSpeech's code."""
    shapes: dict[str, tuple[int, ...]] = {"feature_weight": (25,)}

    def affine(name: str, *shape: int) -> None:
        shapes.update({f"{name}.weight": shape, f"{name}.bias": shape[:1]})

    def batch_norm(name: str, size: int) -> None:
        affine(name, size)
        shapes.update({f"{name}.running_mean": (size,), f"{name}.running_var": (size,)})
        shapes[f"{name}.num_batches_tracked"] = ()

    kernels = (10, 3, 3, 3, 3, 2, 2)
    for index, kernel in enumerate(kernels):
        path = f"{PREFIX}feature_extractor.conv_layers.{index}"
        shapes[f"{path}.0.weight"] = (512, 512 if index else 1, kernel)
        affine(f"{path}.2.1", 512)
    affine(f"{PREFIX}layer_norm", 512)
    affine(f"{PREFIX}post_extract_proj", 1024, 512)
    shapes[f"{PREFIX}mask_emb"] = (1024,)
    shapes[f"{PREFIX}encoder.pos_conv.0.bias"] = (1024,)
    shapes[f"{PREFIX}encoder.pos_conv.0.weight_g"] = (1, 1, 128)
    shapes[f"{PREFIX}encoder.pos_conv.0.weight_v"] = (1024, 64, 128)
    affine(f"{PREFIX}encoder.layer_norm", 1024)
    for index in range(24):
        path = f"{PREFIX}encoder.layers.{index}"
        for side in "kvq":
            affine(f"{path}.self_attn.{side}_proj", 1024, 1024)
        affine(f"{path}.self_attn.out_proj", 1024, 1024)
        affine(f"{path}.self_attn.grep_linear", 8, 64)
        shapes[f"{path}.self_attn.grep_a"] = (1, 16, 1, 1)
        affine(f"{path}.self_attn_layer_norm", 1024)
        affine(f"{path}.fc1", 4096, 1024)
        affine(f"{path}.fc2", 1024, 4096)
        affine(f"{path}.final_layer_norm", 1024)
    shapes[f"{PREFIX}encoder.layers.0.self_attn.relative_attention_bias.weight"] = (320, 16)

    affine("layer1.conv", 512, 1024, 5)
    batch_norm("layer1.bn", 512)
    for block in ("layer2", "layer3", "layer4"):
        for side in ("Conv1dReluBn1", "Conv1dReluBn2"):
            affine(f"{block}.{side}.conv", 512, 512, 1)
            batch_norm(f"{block}.{side}.bn", 512)
        for index in range(7):
            affine(f"{block}.Res2Conv1dReluBn.convs.{index}", 64, 64, 3)
            batch_norm(f"{block}.Res2Conv1dReluBn.bns.{index}", 64)
        affine(f"{block}.SE_Connect.linear1", 128, 512)
        affine(f"{block}.SE_Connect.linear2", 512, 128)
    affine("conv", 1536, 1536, 1)
    affine("pooling.linear1", 128, 1536, 1)
    affine("pooling.linear2", 1536, 128, 1)
    batch_norm("bn", 3072)
    affine("linear", 256, 3072)
    return shapes
