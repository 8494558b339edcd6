"""AdamW or Muon with a warm-up and a cosine, and which parameters decay, learn or stay.

Muon (``muon``) moves the matrices of the layers by orthogonalized momentum, at AdamW's scale of
steps; AdamW does the rest.

The state of the optimizers is kept by parameter name, so that it can lie in a safetensors file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mamtra_eval.distill.config import OptimizerConfig
from mamtra_eval.distill.muon import MOMENTUM, Muon
from mamtra_eval.models.decoder import Decoder, Layer

MOMENTS = {"AdamW": ("exp_avg", "exp_avg_sq"), "Muon": (MOMENTUM,)}
"""Names of the state that each optimizer keeps of a parameter."""

STEP, STEPS = "step", "optimizer_steps"
"""AdamW's own count and its name in a file: the same for all parameters, fp16 skips some steps."""


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


def make(decoder: Decoder, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """The optimizers of the parameters that learn."""
    learning = {name: p for name, p in decoder.named_parameters() if p.requires_grad}
    made: list[torch.optim.Optimizer] = []
    if config.kind == "muon":
        matrices = [n for n, p in learning.items() if decays(n, p) and n.startswith("layers")]
        turned = [learning.pop(name) for name in matrices]
        if turned:
            made.append(Muon(turned, lr=config.lr, weight_decay=config.weight_decay))
    decaying = [p for name, p in learning.items() if decays(name, p)]
    others = [p for name, p in learning.items() if not decays(name, p)]
    groups = [
        {"params": decaying, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    if learning:
        made.append(
            torch.optim.AdamW(
                [group for group in groups if group["params"]],
                lr=config.lr,
                betas=(config.beta1, config.beta2),
            )
        )
    return made


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weight decay applies: to the matrices of projections, MLPs and head alone."""
    return parameter.ndim == 2 and not name.startswith("embedding") and "conv" not in name


def moments(decoder: Decoder, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The optimizers' tensors by ``moment/parameter``; empty before the first step."""
    found = {}
    for name, parameter in decoder.named_parameters():
        for optimizer in optimizers:
            for moment, value in optimizer.state.get(parameter, {}).items():
                found[STEPS if moment == STEP else f"{moment}/{name}"] = value
    return found


def restore(
    decoder: Decoder, optimizers: Sequence[torch.optim.Optimizer], kept: dict[str, Tensor]
) -> None:
    """Put the tensors of ``moments`` back."""
    parameters = dict(decoder.named_parameters())
    for optimizer in optimizers:
        own = {id(p) for group in optimizer.param_groups for p in group["params"]}
        moments = MOMENTS[type(optimizer).__name__]
        for name, parameter in parameters.items():
            if id(parameter) in own and f"{moments[0]}/{name}" in kept:
                state = {moment: kept[f"{moment}/{name}"].clone() for moment in moments}
                if isinstance(optimizer, torch.optim.AdamW):
                    state[STEP] = kept[STEPS].clone()
                optimizer.state[parameter] = state
