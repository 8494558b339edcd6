"""``claims`` as a command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mamtra_eval.claims import VERDICTS
from mamtra_eval.claims._reading import read
from mamtra_eval.cli.claims import STYLES, claims
from mamtra_eval.errors import UserError

app = typer.Typer()
app.command()(claims)


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_all_of_it_in_100_columns() -> None:
    text = _run()
    assert max(map(len, text.splitlines())) <= 100
    assert text == "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    for claim in read().claims:
        assert f"\n{claim.id}: " in f"\n{text}"
    assert text.splitlines()[-2].startswith(f"{len(read().claims)} claims: ")


def test_numbers_stay_with_their_units() -> None:
    for line in _run().splitlines():
        assert not line.strip().startswith(("%", "MB ", "GB ", "tokens ("))


def test_json_is_one_document() -> None:
    found = json.loads(_run("--json"))
    assert sum(found["verdicts"].values()) == len(found["claims"]) == len(read().claims)
    assert set(found["verdicts"]) == set(VERDICTS) == set(STYLES)
    first = next(claim for claim in found["claims"] if claim["id"] == "kv-quadratic")
    assert first["verdict"] == "does not hold"
    assert first["comparisons"][0]["claimed"] == 2
    assert first["comparisons"][0]["ours"] == pytest.approx(1)
    assert first["source"]["address"].startswith("https://")


def test_markdown_is_a_table() -> None:
    lines = _run("--markdown").splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert len(rows) == len(read().claims) + 2
    assert {line.replace(r"\|", "").count("|") for line in rows} == {7}
    assert any("**not explained by the architecture**" in row for row in rows)


def test_some_of_it() -> None:
    text = _run("--only", "KV")
    assert "kv-gigabytes" in text
    assert "wer:" not in text
    assert "blog" not in text
    assert "nmos: " in _run("--only", "blog")


def test_a_word_that_no_claim_has() -> None:
    with pytest.raises(UserError, match="no claim has 'zebra'"):
        _run("--only", "zebra")


def test_one_form_at_a_time() -> None:
    with pytest.raises(UserError, match="--json and --markdown"):
        _run("--json", "--markdown")


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run here"):
        _run("--run", str(tmp_path))
