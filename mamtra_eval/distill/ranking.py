"""Which layers of a teacher matter most: the measured rankings that two placements need.

``damage``
    Replace one layer at a time by its linearized Mamba-2 layer and measure how much the held-out
    cross-entropy rises. The paper's "WER" placement ranks by the WER of such replacements; WER
    needs speech, so cross-entropy stands in for it (over the paper's 32 placements and ratios the
    two have a rank correlation of 0.96).
``cosine``
    The mean cosine similarity of a layer's input and output: a layer that turns the residual
    stream little is thought to matter little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812

from mamtra_eval.distill.batches import cut
from mamtra_eval.distill.evaluate import evaluate
from mamtra_eval.distill.linearize import linearize
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.sequences import Example, collate, refuse_unscored
from mamtra_eval.progress import Progress, Silent

KINDS = {"damage": "CE", "cosine": "Cosine"}
"""How a ranking is measured, and its kind in ``models.layout``."""


class Ranking(NamedTuple):
    """Layers, the most important first.

    Attributes:
        kind: CE or Cosine, of ``models.layout.KINDS``.
        by: how it was measured.
        ranking: layer indices.
        values: the measure by layer index: rise of the cross-entropy in nats, or cosine.
    """

    kind: str
    by: str
    ranking: list[int]
    values: list[float]


def rank(
    teacher: Decoder,
    examples: Sequence[Example],
    by: str = "damage",
    *,
    batch_tokens: int = 4000,
    seed: int = 0,
    progress: Progress | None = None,
) -> Ranking:
    """Measure a ranking on held-out examples.

    UserError for a teacher with Mamba-2 layers, and for examples in which nothing is scored.
    """
    if by not in KINDS:
        raise unknown_name("way to rank layers", by, KINDS)
    refuse_unscored(examples, "the held-out examples")
    if teacher.config.mamba:
        raise UserError("a ranking is measured on a teacher of Transformer layers alone")
    if by == "cosine":
        values = layer_cosines(teacher, examples, batch_tokens)
        order = sorted(range(len(values)), key=lambda index: values[index])
        return Ranking(KINDS[by], by, order, values)
    base = evaluate(teacher, None, examples, batch_tokens).ce
    values = []
    with (progress or Silent()).stage("layers", teacher.config.layers) as advance:
        for index in range(teacher.config.layers):
            kept = tuple(i for i in range(teacher.config.layers) if i != index)
            hybrid = linearize(teacher, kept, seed=seed).to(teacher.device)
            values.append(evaluate(hybrid, None, examples, batch_tokens).ce - base)
            advance()
    order = sorted(range(len(values)), key=lambda index: -values[index])
    return Ranking(KINDS[by], by, order, values)


@torch.no_grad()
def layer_cosines(
    decoder: Decoder, examples: Sequence[Example], batch_tokens: int = 4000
) -> list[float]:
    """Mean cosine of input and output by layer, over all real tokens."""
    sums = [0.0] * decoder.config.layers
    tokens = 0
    lengths = [len(example.ids) for example in examples]
    ranked = sorted(range(len(examples)), key=lambda index: lengths[index])
    for rows in cut(ranked, lengths, batch_tokens):
        batch = collate([examples[row] for row in rows], decoder.device)
        before = decoder.embedding(batch.ids)[batch.real]
        tokens += len(before)
        for index, after in enumerate(decoder(batch.ids, keep_hidden=True).hidden):
            after = after[batch.real]
            sums[index] += float(F.cosine_similarity(before, after, dim=-1).double().sum())
            before = after
    return [total / tokens for total in sums]
