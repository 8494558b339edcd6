"""Muon: momentum whose matrices are made orthogonal before they move the weights.

Method: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024, with the
scale of steps of Liu et al., arXiv 2502.16982, which makes a learning rate of AdamW fit.

The same rule as ``torch.optim.Muon``, of which tests hold it to be a twin; made again because that
one orthogonalizes matrix by matrix in bfloat16. A processor without bfloat16 products spends four
seconds a step of the mini family on it; here equal shapes go together, in float32 on a CPU: 0.2 s.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
"""Of the Newton-Schulz polynomial, from Jordan et al."""

EPS = 1e-7
MOMENTUM = "momentum_buffer"


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay.

    Args:
        params: matrices.
        lr: learning rate, at AdamW's scale.
        momentum: of the running sum of gradients.
        weight_decay: share of the weights, times ``lr``, that a step takes away.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.1,
    ) -> None:
        if odd := [tuple(p.shape) for p in params if p.ndim != 2]:
            raise ValueError(f"Muon moves matrices alone, not tensors of shape {odd[0]}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # torch overloads it by the closure, refused here
        """Move every parameter that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            alike: dict[Any, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape, parameter.dtype, parameter.device].append(parameter)
            for parameters in alike.values():
                self._move(parameters, group)

    def _move(self, parameters: Sequence[Tensor], group: dict[str, Any]) -> None:
        """A step of parameters of one shape."""
        wanted = []
        for parameter in parameters:
            gradient = parameter.grad
            assert gradient is not None
            state = self.state[parameter]
            if MOMENTUM not in state:
                state[MOMENTUM] = torch.zeros_like(gradient)
            state[MOMENTUM].lerp_(gradient, 1 - group["momentum"])
            wanted.append(gradient.lerp(state[MOMENTUM], group["momentum"]))
        scale = 0.2 * math.sqrt(max(parameters[0].shape))
        for parameter, update in zip(parameters, orthogonalize(torch.stack(wanted)), strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.to(parameter.dtype), alpha=-group["lr"] * scale)


def orthogonalize(matrices: Tensor) -> Tensor:
    """Each matrix of (N, rows, columns) with its singular values brought near to one.

    Float32 on a CPU, bfloat16 elsewhere. The polynomial leaves the values between 0.7 and 1.2.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.to(torch.float32 if matrices.device.type == "cpu" else torch.bfloat16)
    x = x.mT if tall else x
    x = x / torch.linalg.matrix_norm(x.float(), keepdim=True).clamp(min=EPS).to(x.dtype)
    first, second, third = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=second, alpha=third)
        x = torch.baddbmm(x, polynomial, x, beta=first)
    return x.mT if tall else x
