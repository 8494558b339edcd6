"""Sizes from runs whose spread is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results, sample_size
from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader
from mamtra_eval.sample_size import Question
from mamtra_eval.statistics import power

TEXT = "one two three four five six seven eight nine ten"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Twelve texts of ten words: the student has one error more in every second of them."""
    ids = [f"u{n}" for n in range(12)]
    (tmp_path / "meta.lst").write_text("".join(f"{u}|{TEXT}\n" for u in ids))
    heard = {
        "teacher": dict.fromkeys(ids, TEXT),
        "student": {u: TEXT if n % 2 else TEXT.replace("two", "too") for n, u in enumerate(ids)},
    }
    for system, texts in heard.items():
        rows = [json.dumps({"id": u, "text": text}) for u, text in texts.items()]
        (tmp_path / f"{system}.jsonl").write_text("\n".join(rows))
    config = configuration.build(
        {"testset": str(tmp_path / "meta.lst"),
         "systems": {name: f"transcripts:{tmp_path / name}.jsonl" for name in heard}}
    )  # fmt: skip
    return pipeline.evaluate(config, tmp_path / "run")


def _results(run: Path) -> results.Results:
    with RunReader(run) as store:
        return results.collect(store)


def test_sizes_follow_from_the_spread_of_the_run(run: Path) -> None:
    question = Question(0.005, 0.01, 0.002, (1, 3), 0.9)
    (need,) = sample_size.needs(_results(run), "wer", question)
    # Differences are 0.1 and 0 in turn: variance 12/11 of 0.0025.
    assert (need.system, need.n) == ("student", 12)
    assert need.spread == (pytest.approx(0.0025 * 12 / 11), 0.0)
    assert need.sizes[0].to_see == power.to_see(0.005, need.spread)
    assert need.sizes[0].to_exclude == power.to_exclude(0.01, 0.002, need.spread)
    assert need.seen_here == pytest.approx(3.2415 * (0.0025 / 11) ** 0.5, rel=1e-3)


def test_what_can_t_be_asked(run: Path, tmp_path: Path) -> None:
    question = Question(0.005, None, 0.0, (1,), 0.9)
    with pytest.raises(UserError, match="no mean of utterances in this run named 'wer_pooled'"):
        sample_size.needs(_results(run), "wer_pooled", question)
    config = configuration.build(
        {"testset": str(tmp_path / "meta.lst"),
         "systems": {"teacher": f"transcripts:{tmp_path / 'teacher'}.jsonl"}}
    )  # fmt: skip
    alone = pipeline.evaluate(config, tmp_path / "alone")
    with pytest.raises(UserError, match="power is about differences"):
        sample_size.needs(_results(alone), "wer", question)


def test_the_command(run: Path, cli: Callable[..., Any]) -> None:
    done = cli("power", run, "--difference", 0.5, "--margin", 1, "--loss", 0.2)
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith(" student"))
    assert row.split()[:4] == ["student", "12", "5.2", "pt"]
    assert "1,147" in row
    assert "To exclude a loss of 1.0 pt where it is 0.2 pt." in done.stdout
    assert "sizes for them are upper bounds" in done.stdout
    document = json.loads(cli("power", run, "--difference", 0.5, "--json").stdout)
    assert document["systems"][0]["sizes"][0]["to_see"] == 1147
    for options, message in (
        (["--repeats", "0"], "whole numbers from 1 on"),
        (["--difference", "0"], "never seen"),
        (["--margin", "1", "--loss", "1"], "below the --margin"),
    ):
        refused = cli("power", run, *options)
        assert refused.returncode == 2
        assert message in refused.stderr
