"""AdamW with a warm-up and a cosine, and which parameters decay, learn or stay.

The state of the optimizer is kept by parameter name, so that it can lie in a safetensors file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mamtra_eval.distill.config import OptimizerConfig
from mamtra_eval.models.decoder import Decoder, Layer

MOMENTS = ("exp_avg", "exp_avg_sq")
STEPS = "optimizer_steps"
"""AdamW's own count, the same for all parameters: fp16 skips steps that overflow."""


def learning_rate(step: int, config: OptimizerConfig) -> float:
    """Of step 0 … steps-1: linear up over the warm-up, then a cosine down to ``final``."""
    warmup = max(1, round(config.warmup * config.steps))
    if step < warmup:
        return config.lr * (step + 1) / warmup
    done = (step - warmup) / max(1, config.steps - warmup)
    return config.lr * (config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * done)))


def freeze(decoder: Decoder, parts: Sequence[str]) -> None:
    """Keep the parameters of these parts as they are."""
    frozen: list[nn.Module] = []
    layers = [layer for layer in decoder.layers if isinstance(layer, Layer)]
    for part in parts:
        if part == "embedding":
            frozen.append(decoder.embedding)
        elif part == "head":
            frozen.append(decoder.head)
        elif part == "norms":
            frozen.append(decoder.norm)
            frozen += [norm for layer in layers for norm in (layer.mixer_norm, layer.mlp_norm)]
        elif part == "mlp":
            frozen += [layer.mlp for layer in layers]
        else:
            wanted = part == "attention"
            frozen += [layer.mixer for layer in layers if layer.is_transformer == wanted]
    for module in frozen:
        module.requires_grad_(False)


def make(decoder: Decoder, config: OptimizerConfig) -> torch.optim.AdamW:
    """The optimizer of the parameters that learn."""
    learning = {name: p for name, p in decoder.named_parameters() if p.requires_grad}
    decaying = [p for name, p in learning.items() if decays(name, p)]
    others = [p for name, p in learning.items() if not decays(name, p)]
    groups = [
        {"params": decaying, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
    )


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: to the matrices of projections, MLPs and head alone."""
    return parameter.ndim == 2 and not name.startswith("embedding") and "conv" not in name


def moments(decoder: Decoder, optimizer: torch.optim.AdamW) -> dict[str, Tensor]:
    """The optimizer's tensors by ``moment/parameter``; empty before the first step."""
    found = {}
    for name, parameter in decoder.named_parameters():
        for moment in MOMENTS:
            if parameter in optimizer.state:
                found[f"{moment}/{name}"] = optimizer.state[parameter][moment]
                found[STEPS] = optimizer.state[parameter]["step"]
    return found


def restore(decoder: Decoder, optimizer: torch.optim.AdamW, kept: dict[str, Tensor]) -> None:
    """Put the tensors of ``moments`` back."""
    for name, parameter in decoder.named_parameters():
        if f"{MOMENTS[0]}/{name}" in kept:
            optimizer.state[parameter] = {
                "step": kept[STEPS].clone(),
                **{moment: kept[f"{moment}/{name}"].clone() for moment in MOMENTS},
            }
