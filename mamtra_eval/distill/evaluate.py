"""How well a decoder predicts held-out speech tokens, and how close it is to a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mamtra_eval.distill.batches import cut
from mamtra_eval.distill.losses import cross_entropy, skew_kl
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.sequences import IGNORE, Example, collate


class HeldOut(NamedTuple):
    """Means over all scored tokens.

    Attributes:
        ce: cross-entropy in nats.
        kl: KL(teacher ‖ student) in nats; ``None`` without a teacher.
        agreement: share of positions where both find the same token likeliest.
        tokens: scored tokens.
    """

    ce: float
    kl: float | None
    agreement: float | None
    tokens: int


@torch.no_grad()
def evaluate(
    decoder: Decoder, teacher: Decoder | None, examples: Sequence[Example], batch_tokens: int
) -> HeldOut:
    """Score examples, which have at least one target."""
    ce = kl = agreeing = 0.0
    tokens = 0
    lengths = [len(example.ids) for example in examples]
    ranked = sorted(range(len(examples)), key=lambda index: lengths[index])
    for rows in cut(ranked, lengths, batch_tokens):
        batch = collate([examples[row] for row in rows], decoder.device)
        logits = decoder(batch.ids).logits
        scored = batch.targets != IGNORE
        tokens += int(scored.sum())
        ce += float(cross_entropy(logits, batch.targets))
        if teacher is not None:
            reference = teacher(batch.ids).logits
            kl += float(skew_kl(reference, logits, batch.targets, alpha=0.0))
            same = reference[scored].argmax(-1) == logits[scored].argmax(-1)
            agreeing += float(same.sum())
    n = tokens
    if teacher is None:
        return HeldOut(ce / n, None, None, tokens)
    return HeldOut(ce / n, kl / n, agreeing / n, tokens)
