"""Rankings of layers: a layer that does nothing comes last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from mamtra_eval.cli import app
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


@pytest.mark.parametrize(("by", "placement"), [("damage", "WER"), ("cosine", "Cosine")])
def test_what_is_measured_can_be_placed_by(
    by: str, placement: str, toy: Any, tmp_path: Path
) -> None:
    """From the file of one command into the other."""
    file, data = tmp_path / "ranking.json", toy.folder / "held_out.jsonl"
    runner = CliRunner()
    measured = runner.invoke(
        app,
        ["rank-layers", str(toy.teacher), str(data), "--by", by, "--limit", "8", "-o", str(file)],
    )
    assert measured.exit_code == 0, measured.output
    shown = runner.invoke(
        app, ["layouts", "--layers", "4", "--ratio", "1:1", "--ranking", str(file), "--json"]
    )
    assert shown.exit_code == 0, shown.output
    [row] = json.loads(shown.stdout)
    assert row["placement"] == placement
    assert row["transformer"] == sorted(json.loads(file.read_text())["ranking"][:2])


def test_hybrids_and_unknown_kinds_are_refused(toy: Any) -> None:
    teacher = checkpoint.load(toy.teacher)
    with pytest.raises(UserError, match="Did you mean cosine"):
        rank(teacher, [], "cosin")
