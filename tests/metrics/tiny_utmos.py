"""UTMOS22-strong's architecture at a small size, with random weights in a file as published."""

from __future__ import annotations

from pathlib import Path

import torch

from mamtra_eval.metrics import _utmos_network as networks
from mamtra_eval.metrics._utmos_network import Dimensions, Utmos22Strong
from mamtra_eval.metrics._utmos_ssl import SslDimensions

# The convolutions are the published ones, so that frames and receptive field are, too.
TINY = Dimensions(
    SslDimensions(
        channels=12, width=16, layers=2, heads=4, feed_forward=24, position_kernel=8,
        position_groups=4,
    ),
    domain=6, judge=5, recurrent=7, projection=10,
)  # fmt: skip


def randomize(module: torch.nn.Module, seed: int = 0) -> None:
    """Every tensor away from what it starts as, so that none can be ignored or mixed up."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))


def make(seed: int = 0) -> Utmos22Strong:
    """A network for evaluation."""
    torch.manual_seed(seed)
    network = Utmos22Strong(TINY)
    randomize(network, seed)
    return network.eval().requires_grad_(False)


def write(path: Path, seed: int = 0, **changed: torch.Tensor | None) -> Path:
    """Weights as the published file holds them; ``changed`` replaces or (None) drops tensors."""
    tensors = dict(make(seed).state_dict())
    for name, tensor in changed.items():
        if tensor is None:
            del tensors[name]
        else:
            tensors[name] = tensor
    torch.save(tensors, path)
    return path


def use(monkeypatch) -> None:
    """Let the metric build the small network where it would build the published one."""
    monkeypatch.setattr(networks, "PUBLISHED", TINY)
