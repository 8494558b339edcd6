"""``layouts`` and ``cost`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from mamtra_eval.cli import app
from mamtra_eval.errors import UserError
from mamtra_eval.models.config import preset

KEYS = {
    "ratio", "layers", "transformer", "context", "batch", "dtypes", "parameters", "weight_bytes",
    "kv_bytes", "state_bytes", "flops_per_token", "flops_per_pass", "convention", "break_even",
}  # fmt: skip


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def _json(*arguments: object) -> Any:
    done = _run(*arguments, "--json")
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def _refusal(*arguments: object) -> str:
    done = _run(*arguments)
    assert isinstance(done.exception, UserError), done.output
    return str(done.exception)


def _ranking(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.json"
    order = list(range(23, -1, -1))
    path.write_text(json.dumps({"kind": kind, "layers": 24, "ranking": order}), encoding="utf-8")
    return path


def test_layouts_are_the_published_four() -> None:
    rows = _json("layouts")
    assert [set(row) for row in rows] == 4 * [{"ratio", "placement", "transformer"}]
    assert [(row["ratio"], row["placement"]) for row in rows] == [
        ("1:1", "BlockBeg"), ("1:3", "BlockBeg"), ("1:5", "WER"), ("1:11", "WER"),
    ]  # fmt: skip
    assert rows[2]["transformer"] == [0, 8, 11, 16]


def test_layouts_are_drawn() -> None:
    lines = _run("layouts", "--ratio", "1:5").stdout.splitlines()
    assert lines[1].split(maxsplit=3) == ["1:5", "WER", "T.......T..T....T.......", "0, 8, 11, 16"]
    assert "T Transformer" in lines[0]
    assert "none" in _run("layouts", "--ratio", "0:1").stdout


def test_all_placements_are_those_that_can_be_told(tmp_path: Path) -> None:
    def names(*arguments: object) -> list[str]:
        return [row["placement"] for row in _json("layouts", "--placement", "ALL", *arguments)]

    unranked = ["BlockBeg", "BlockEnd", "Front", "Back", "Middle", "Sandwich"]
    assert names("--ratio", "1:3") == unranked
    assert names("--ratio", "1:5") == [*unranked, "WER"]
    assert names("--ratio", "1:5", "--layers", 12) == unranked
    cosine = _ranking(tmp_path, "Cosine")
    assert names("--ratio", "1:5", "--ranking", cosine) == [*unranked, "WER", "Cosine"]


def test_a_ranking_says_its_placement(tmp_path: Path) -> None:
    (row,) = _json("layouts", "--ratio", "1:11", "--ranking", _ranking(tmp_path, "CE"))
    assert row == {"ratio": "1:11", "placement": "WER", "transformer": [22, 23]}
    said = _refusal("layouts", "--placement", "cosine", "--ranking", _ranking(tmp_path, "WER"))
    assert "kind WER does not say where Cosine" in said
    assert "rank-layers" in _refusal("layouts", "--placement", "Cosine")


def test_cost_in_json_holds_what_it_promises() -> None:
    found = _json("cost", "cosyvoice2", "--ratio", "1:1", "--context", 2048)
    assert set(found) == KEYS
    assert (found["ratio"], found["context"]) == ("1:1", 2048)
    assert found["transformer"] == list(range(0, 24, 2))
    assert found["parameters"]["total"] == 505_803_812 + 12 * 820_906
    assert found["weight_bytes"] == 2 * found["parameters"]["total"]
    assert (found["kv_bytes"], found["state_bytes"]) == (12 * 512 * 2048, 12 * 61952 * 2)
    assert round(found["flops_per_token"] / 1e9, 4) == 0.8386
    assert round(found["flops_per_pass"] / 1e12, 4) == 1.6244
    assert found["convention"]["attention"] == "causal"
    assert round(found["break_even"]["cache"]) == 242


def test_cost_takes_types_batches_and_conventions() -> None:
    base = ("cost", "cosyvoice2", "--context", 2048)
    found = _json(*base, "--layout", "0,8,11,16", "--cache-dtype", "bf16", "--state-dtype", "fp32",
                  "--weight-dtype", "fp32", "--batch", 3)  # fmt: skip
    assert found["ratio"] == "1:5"
    assert found["kv_bytes"] == 3 * 4 * 512 * 2048
    assert found["state_bytes"] == 3 * 20 * 61952 * 4
    assert found["weight_bytes"] == 4 * found["parameters"]["total"]
    assert found["break_even"]["cache"] == 484
    tools = _json(*base, "--attention", "full", "--no-scan", "--no-head")
    assert tools["ratio"] == "1:0"
    assert tools["flops_per_pass"] == 1_826_434_842_624
    assert tools["break_even"]["cache_and_weights"] is None


def test_cost_for_people_is_rounded_and_says_its_convention() -> None:
    text = _run("cost", "cosyvoice2", "--ratio", "1:1", "--context", 2048).stdout
    for part in ("515.655", "1,031.31", "12.58", "1.49", "0.8386", "1.6244", "242 (9.7 s)",
                 "3,449 (137.9 s)", "causal attention, scan and convolution in, head in",
                 "MB = 1e6 bytes"):  # fmt: skip
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    assert "–" in _run("cost", "mini", "--context", 1).stdout


def test_cost_of_a_checkpoint_takes_its_layout(tmp_path: Path) -> None:
    shape = preset("mini").with_layout((0, 16))
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"decoder": shape.to_dict(), "step": 3}), encoding="utf-8")
    for source in (tmp_path, path):
        assert _json("cost", source, "--context", 9)["transformer"] == [0, 16]
    assert _json("cost", path, "--context", 9, "--ratio", "1:0")["ratio"] == "1:0"
    ranked = _json("cost", path, "--context", 9, "--ratio", "1:11", "--ranking",
                   _ranking(tmp_path, "Cosine"))  # fmt: skip
    assert ranked["transformer"] == [22, 23]


@pytest.mark.parametrize("text", ["", "decoder: 3", "step: 1", "decoder: [", "- 1"])
def test_cost_refuses_other_files(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    path = tmp_path / "config.yaml"
    assert "no configuration of a decoder" in _refusal("cost", path, "--context", 9)
    assert str(path) in _refusal("cost", tmp_path, "--context", 9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cosyvoice3", "--context", 9), "Did you mean cosyvoice2"),
        (("mini", "--context", 0), "at least one token, not 0"),
        (("mini", "--context", 9, "--batch", 0), "at least one sequence, not 0"),
        (("mini", "--context", 9, "--ratio", "1:4"), "can't be split 1:4"),
        (("mini", "--context", 9, "--placement", "WER"), "Add --ratio"),
        (("mini", "--context", 9, "--ratio", "1:1", "--layout", "0"), "Leave --ratio"),
        (("mini", "--context", 9, "--layout", "0,99"), "no set of layers of 24"),
        (("mini", "--context", 9, "--cache-dtype", "fp64"), "no type of elements"),
        (("mini", "--context", 9, "--attention", "none"), "no way to count attention"),
    ],
)
def test_cost_refuses_nonsense(arguments: tuple[object, ...], said: str) -> None:
    assert said in _refusal("cost", *arguments)


def test_bad_input_ends_with_one_paragraph(cli: Callable[..., Any]) -> None:
    done = cli("cost", "mini", "--context", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mamtra-eval: a context has at least one token, not 0.\n"
