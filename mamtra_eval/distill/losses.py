"""The three losses of the distillation, as sums over tokens.

Each function returns a sum; the trainer divides by the number of scored (or real) tokens of a
whole step, so that a step is the same however it is cut into batches.

``cross_entropy`` of the ground-truth tokens; ``skew_kl`` of the teacher's and the student's
distributions; ``hidden_match`` of the outputs of their layers. Skewed divergences: Ko et al.,
"DistiLLM", 2024 (arXiv 2402.03898). Which one the paper takes, and with which weights, is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from mamtra_eval.models.sequences import IGNORE


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum of the negative log-likelihoods in nats: logits (B, T, V), targets (B, T)."""
    return F.cross_entropy(
        logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORE, reduction="sum"
    )


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
    scored = targets != IGNORE
    log_p = F.log_softmax(teacher[scored].float() / temperature, dim=-1)
    log_q = F.log_softmax(student[scored].float() / temperature, dim=-1)
    first, second = (log_p, log_q) if direction == "forward" else (log_q, log_p)
    if alpha > 0:
        log_alpha, log_rest = (
            torch.tensor(v, device=first.device).log() for v in (alpha, 1 - alpha)
        )
        second = torch.logaddexp(first + log_alpha, second + log_rest)
    # xlogy-safe: a probability that underflows to zero contributes nothing.
    divergence = torch.where(first.exp() > 0, first.exp() * (first - second), 0.0)
    return divergence.sum() * temperature**2


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
