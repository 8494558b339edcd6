"""Rankings of layers: a layer that does nothing comes last."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mamtra_eval.distill.ranking import rank
from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint
from mamtra_eval.models.decoder import Layer
from mamtra_eval.models.sequences import read_examples


@pytest.mark.parametrize("kind", ["damage", "cosine"])
def test_a_layer_that_adds_nothing_matters_least(kind: str, toy: Any) -> None:
    teacher = checkpoint.load(toy.teacher)
    layer = teacher.layers[2]
    assert isinstance(layer, Layer)
    with torch.no_grad():
        layer.mixer.out.weight.zero_()  # type: ignore[union-attr]
        layer.mlp.down.weight.zero_()
    examples = read_examples(toy.folder / "held_out.jsonl", teacher.config)[:40]
    found = rank(teacher, examples, kind)
    assert sorted(found.ranking) == [0, 1, 2, 3]
    assert found.ranking[-1] == 2
    assert found.values[2] == pytest.approx({"damage": 0.0, "cosine": 1.0}[kind], abs=1e-5)
    ordered = [found.values[index] for index in found.ranking]
    assert ordered == sorted(ordered, reverse=kind == "damage")


def test_hybrids_and_unknown_kinds_are_refused(toy: Any) -> None:
    teacher = checkpoint.load(toy.teacher)
    with pytest.raises(UserError, match="Did you mean cosine"):
        rank(teacher, [], "cosin")
