"""``published`` as a command."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from mamtra_eval.cli.published import published
from mamtra_eval.errors import UserError

app = typer.Typer()
app.command()(published)


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_all_of_one_figure() -> None:
    text = _run("--set", "seed-tts-eval/en", "--system", "cosyvoice2", "--metric", "wer")
    for value in ("2.57 %", "3.24 %", "2.03 %"):
        assert value in text
    assert "seed-tts-zh " not in text
    assert "similarity" not in text.partition("None of it")[0].partition("CosyVoice 2 3.24")[0]
    assert "None of it was measured here" in text
    assert "CosyVoice 2 3.24 %: A replication by others" in text


def test_json_is_one_document() -> None:
    found = json.loads(_run("--set", "seed-tts-zh-hard", "--json"))
    assert {number["testset"] for number in found} == {"seed-tts-zh-hard"}
    first = found[0]
    assert (first["value"], first["unit"], first["text"]) == (0.0683, "fraction", "6.83 %")
    assert first["protocol"]["asr"] is None
    assert first["source"]


def test_what_is_known_of_a_protocol() -> None:
    assert "f5-tts, paraformer-zh, f5_tts, mean" in _run("--system", "f5-tts")


def test_a_system_without_numbers() -> None:
    assert "No such number" in _run("--system", "zonos-v0.1")


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--set", "seed-tts-fr", "no test set named 'seed-tts-fr'.*Did you mean"),
        ("--system", "cosyvoice", "no system named 'cosyvoice'"),
        ("--metric", "cer", "no published figure named 'cer'"),
    ],
)
def test_unknown_names_are_refused(option: str, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(app, [option, name], catch_exceptions=False)
