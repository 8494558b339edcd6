"""The three losses of the distillation, as sums over tokens.

Each function returns a sum; the trainer divides by the number of scored (or real) tokens of a
whole step, so that a step is the same however it is cut into batches. (But for a relative
``hidden_match``: its scale is the teacher's in each batch.)

``cross_entropy`` of the ground-truth tokens; ``skew_kl`` of the teacher's and the student's
distributions; ``hidden_match`` of the outputs of their layers. Skewed divergences: Ko et al.,
"DistiLLM", 2024 (arXiv 2402.03898). Which one the paper takes, and with which weights, is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mamtra_eval.models.sequences import IGNORE

ROWS = 128
"""Rows of logits that are worked on at a time: what stays in a core's cache."""


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the negative log-likelihoods in nats: logits (B, T, V), targets (B, T)."""
    total: Tensor = _CrossEntropy.apply(logits, targets)  # type: ignore[no-untyped-call]  # torch has no types for apply
    return total


class _CrossEntropy(torch.autograd.Function):
    """The loss with its gradient, softmax minus one at the target, some rows at a time."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:  # noqa: ANN401 -- torch's
        flat, wanted = logits.flatten(0, -2), targets.flatten()
        learning = ctx.needs_input_grad[0]
        gradient = torch.zeros_like(_precise(flat)) if learning else flat[:0]
        total = torch.zeros((), dtype=_precise(flat[:0]).dtype, device=flat.device)
        for rows in torch.split((wanted != IGNORE).nonzero().flatten(), ROWS):
            log_q = F.log_softmax(_precise(flat[rows]), dim=-1)
            place = wanted[rows, None]
            total -= log_q.gather(-1, place).sum()
            if learning:
                slope = log_q.exp()
                slope.scatter_add_(-1, place, -torch.ones_like(place, dtype=slope.dtype))
                gradient[rows] = slope
        ctx.save_for_backward(gradient.view_as(logits) if learning else gradient)
        ctx.dtype = logits.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:  # noqa: ANN401 -- torch's
        [gradient] = ctx.saved_tensors
        return (gradient * grads[0]).to(ctx.dtype), None


def skew_kl(
    teacher: Tensor,
    student: Tensor,
    targets: Tensor,
    *,
    alpha: float,
    temperature: float = 1.0,
    direction: str = "forward",
) -> Tensor:
    """Sum over scored positions of the skewed divergence in nats, times temperature squared.

    Args:
        teacher: logits (B, T, V).
        student: logits (B, T, V).
        targets: (B, T); positions with ``IGNORE`` are left out.
        alpha: share of the first distribution in the second; 0 is the plain divergence.
        temperature: both logits are divided by it.
        direction: ``forward`` is KL(p ‖ α p + (1-α) q), ``reverse`` KL(q ‖ α q + (1-α) p), with
            the teacher's p and the student's q.
    """
    total: Tensor = _SkewKl.apply(  # type: ignore[no-untyped-call]  # torch has no types for apply
        teacher, student, targets, alpha, temperature, direction
    )
    return total


class _SkewKl(torch.autograd.Function):
    """The divergence and its gradient by hand, some rows at a time.

    Left to autograd, a dozen arrays of (tokens, vocabulary) numbers go through memory: two thirds
    of a training step of the mini family.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 -- torch's
        teacher: Tensor,
        student: Tensor,
        targets: Tensor,
        alpha: float,
        temperature: float,
        direction: str,
    ) -> Tensor:
        teacher, logits = teacher.flatten(0, -2), student.flatten(0, -2)
        learning = ctx.needs_input_grad[1]
        gradient = torch.zeros_like(_precise(logits)) if learning else logits[:0]
        total = torch.zeros((), dtype=_precise(logits[:0]).dtype, device=logits.device)
        part = _forward_part if direction == "forward" else _reverse_part
        for rows in torch.split((targets.flatten() != IGNORE).nonzero().flatten(), ROWS):
            log_p = F.log_softmax(_precise(teacher[rows]) / temperature, dim=-1)
            log_q = F.log_softmax(_precise(logits[rows]) / temperature, dim=-1)
            value, slope = part(log_p, log_q, alpha)
            total += value
            if learning:
                gradient[rows] = slope * temperature
        ctx.save_for_backward(gradient.view_as(student) if learning else gradient)
        ctx.dtype = student.dtype
        return total * temperature**2

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:  # noqa: ANN401 -- torch's
        [gradient] = ctx.saved_tensors
        return None, (gradient * grads[0]).to(ctx.dtype), None, None, None, None


def _forward_part(log_p: Tensor, log_q: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Σ p log(p/m), m = α p + (1-α) q; and its gradient in q's logits, -p r + q Σ p r.

    r = (1-α) q / m is q's share of the mixture.
    """
    log_rest = log_q + math.log1p(-alpha)
    log_m = torch.logaddexp(log_p + math.log(alpha), log_rest) if alpha > 0 else log_rest
    p = log_p.exp()
    pr = p * (log_rest - log_m).exp()
    value = torch.where(p > 0, p * (log_p - log_m), 0.0).sum()
    return value, log_q.exp() * pr.sum(-1, keepdim=True) - pr


def _reverse_part(log_p: Tensor, log_q: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Σ q log(q/m), m = α q + (1-α) p; and its gradient in q's logits, q (h - Σ q h).

    h = log(q/m) - α q / m.
    """
    log_rest = log_p + math.log1p(-alpha)
    log_m = torch.logaddexp(log_q + math.log(alpha), log_rest) if alpha > 0 else log_rest
    q = log_q.exp()
    ratio = torch.where(q > 0, log_q - log_m, 0.0)
    h = ratio - alpha * ratio.exp()
    return (q * ratio).sum(), q * (h - (q * h).sum(-1, keepdim=True))


def _precise(values: Tensor) -> Tensor:
    """In float32 at the least."""
    return values if values.dtype == torch.float64 else values.float()


def hidden_match(
    teacher: Sequence[Tensor],
    student: Sequence[Tensor],
    real: Tensor,
    layers: Sequence[int],
    *,
    relative: bool,
) -> Tensor:
    """Sum over real positions of the mean squared difference, averaged over layers.

    Args:
        teacher: outputs of all layers, each (B, T, D).
        student: the same of the student.
        real: bool (B, T), false at padding.
        layers: indices of the layers that count.
        relative: divide each layer's difference by the teacher's mean square there in this batch.
    """
    total = torch.zeros((), device=real.device)
    for index in layers:
        target = teacher[index][real].float()
        difference = (student[index][real].float() - target).square().mean(dim=-1).sum()
        total = total + (difference / target.square().mean() if relative else difference)
    return total / len(layers)
