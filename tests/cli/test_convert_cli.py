"""``mamtra-eval convert``: from the official weights to checkpoints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from mamtra_eval.cli import app
from mamtra_eval.distill.linearize import linearize
from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint
from tests.models import official_llm as official


def _run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return official.write(tmp_path_factory.mktemp("official"), official.weights())


def test_the_teacher_itself(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "teacher"
    lines = _run("cosyvoice2", model, out).splitlines()
    assert "T" * 24 in lines[0]
    assert "1:0" in lines[0]
    assert lines[-1] == str(out)
    card = checkpoint.read_card(out)
    assert f"{card['parameters']:,} in fp32" in lines[1]
    sha256 = hashlib.sha256((model / "llm.pt").read_bytes()).hexdigest()
    assert card["source"] == {"file": "llm.pt", "sha256": sha256}
    assert checkpoint.load(out).config.heads == official.HEADS


def test_a_hybrid_is_the_same_from_the_file_and_from_the_teachers_checkpoint(
    model: Path, tmp_path: Path
) -> None:
    teacher, direct, indirect = (tmp_path / name for name in ("teacher", "direct", "indirect"))
    _run("cosyvoice2", model, teacher)
    options = ("--ratio", "1:5", "--keep-biases", "--conv", "identity", "--seed", 7, "--json")
    document = json.loads(_run("cosyvoice2", model, direct, *options))
    again = json.loads(_run("hybrid", teacher, indirect, *options))
    card = document["card"]
    assert document["checkpoint"] == str(direct)
    assert document["layers"] == again["layers"] == "T.......T..T....T......."
    assert card["layout"] == [0, 8, 11, 16]  # the published layers of 1:5
    assert card["sha256"] == again["card"]["sha256"]
    assert card["teacher"] == again["card"]["teacher"] == checkpoint.weights_hash(teacher)
    assert card["linearization"] == again["card"]["linearization"] == {
        "placement": "WER", "keep_biases": True, "conv": "identity", "seed": 7
    }  # fmt: skip
    wanted = linearize(checkpoint.load(teacher), (0, 8, 11, 16), keep_biases=True,
                       conv="identity", seed=7).state_dict()  # fmt: skip
    found = checkpoint.load(direct).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    assert {path.name for path in tmp_path.iterdir()} == {"teacher", "direct", "indirect"}


def test_layers_by_placement_by_index_and_by_ranking(model: Path, tmp_path: Path) -> None:
    ranking = tmp_path / "ranking.json"
    order = [5, 3, *(index for index in range(24) if index not in (5, 3))]
    ranking.write_text(json.dumps({"kind": "Cosine", "layers": 24, "ranking": order}))
    ways = {
        ("--ratio", "1:11", "--placement", "back"): [22, 23],
        ("--ratio", "1:11", "--ranking", str(ranking)): [3, 5],
        ("--layout", "0,9"): [0, 9],
        ("--ratio", "0:1"): [],
    }
    for options, layout in ways.items():
        document = json.loads(_run("cosyvoice2", model, tmp_path / "out", *options, "--json",
                                   "--dtype", "fp16", "--force"))  # fmt: skip
        assert document["card"]["layout"] == layout
        assert document["card"]["dtype"] == "fp16"


def test_a_folder_with_something_in_it_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        _run("cosyvoice2", model, tmp_path)
    _run("cosyvoice2", model, tmp_path, "--force")
    with pytest.raises(UserError, match="not empty"):
        _run("cosyvoice2", model, tmp_path)
    with pytest.raises(UserError, match="is a file"):
        _run("cosyvoice2", model, tmp_path / "notes.txt", "--force")
    with pytest.raises(UserError, match="its own teacher"):
        _run("hybrid", tmp_path, tmp_path, "--ratio", "1:1", "--force")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_other_keys_of_the_teachers_configuration_come_along(model: Path, tmp_path: Path) -> None:
    _run("cosyvoice2", model, tmp_path / "teacher")
    teacher = checkpoint.load(tmp_path / "teacher")
    checkpoint.save(tmp_path / "teacher", teacher, {}, other={"tokenizer": "qwen"})
    _run("hybrid", tmp_path / "teacher", tmp_path / "hybrid", "--ratio", "1:1")
    assert checkpoint.read_other(tmp_path / "hybrid") == {"tokenizer": "qwen"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "one way"),
        (("--ratio", "1:1", "--layout", "0"), "one way"),
        (("--layout", "0", "--placement", "Front"), "leaves nothing"),
        (("--ratio", "1:1", "--placement", "Frnt"), "Front"),
        (("--ratio", "1:1", "--conv", "none"), "standard"),
        (("--ratio", "1:1", "--dtype", "int8"), "fp32"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    options: tuple[str, ...], said: str, model: Path, tmp_path: Path
) -> None:
    _run("cosyvoice2", model, tmp_path / "teacher")
    with pytest.raises(UserError, match=said):
        _run("hybrid", tmp_path / "teacher", tmp_path / "hybrid", *options)
    assert not (tmp_path / "hybrid").exists()
