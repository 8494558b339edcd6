"""Every kind of change after a run is named, and only what changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results
from mamtra_eval.reader import RunReader
from mamtra_eval.report import leaderboard
from mamtra_eval.verify import Difference, verify


@pytest.fixture
def run(make_list: Callable[..., Path], tmp_path: Path) -> Path:
    config = configuration.build(
        {"testset": str(make_list(n=3)), "metrics": ["health"],
         "systems": {"r": "recorded", "n": "noise", "f": str(tmp_path / "set" / "wavs")}}
    )  # fmt: skip
    folder = pipeline.evaluate(config, tmp_path / "run")
    with RunReader(folder) as store:
        leaderboard.write(results.collect(store))
    return folder


def _verify(run: Path) -> list[Difference]:
    with RunReader(run) as store:
        return verify(store)


def test_an_untouched_run_is_what_it_was(run: Path, cli: Callable[..., Any]) -> None:
    assert _verify(run) == []
    done = cli("verify", run)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Nothing changed: 9 clips, 3 systems, 1 metrics")


def test_a_changed_clip_is_named(run: Path, cli: Callable[..., Any]) -> None:
    clip = run / "clips" / "n" / "u1.flac"
    content = bytearray(clip.read_bytes())
    content[-1] ^= 1
    clip.write_bytes(content)
    (run / "clips" / "r" / "u0.wav").unlink()
    done = cli("verify", run, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["differences"] == [
        {"kind": "clip", "name": "clips/r/u0.wav", "what": "is missing"},
        {"kind": "clip", "name": "clips/n/u1.flac", "what": "was changed after it was made"},
    ]


def test_a_changed_list_prompt_or_source_is_named(run: Path, tmp_path: Path) -> None:
    meta = tmp_path / "set" / "meta.lst"
    meta.write_text(
        meta.read_text().replace("u1|a prompt|prompt.wav|zero", "u1|a prompt|prompt.wav|nil")
    )
    found = _verify(run)
    assert found == [Difference("test set", "u1", "has another text, prompt or recording")]
    meta.write_text("\n".join(meta.read_text().splitlines()[:1]) + "\n")
    found = _verify(run)
    assert Difference("test set", "u1", "is not in the list any more") in found
    meta.unlink()
    (found,) = _verify(run)
    assert found.kind == "configuration"
    assert "can't be checked" in found.what
    assert "meta.lst" in found.what


def test_a_changed_recording_is_named_by_all_that_rest_on_it(run: Path, tmp_path: Path) -> None:
    wav = tmp_path / "set" / "wavs" / "u2.wav"
    content = bytearray(wav.read_bytes())
    content[-1] ^= 1
    wav.write_bytes(content)
    assert {(one.kind, one.name) for one in _verify(run)} == {
        ("test set", "u2"), ("system", "r"), ("system", "f"),
    }  # fmt: skip


def test_a_changed_configuration_or_report_is_named(run: Path) -> None:
    path = run / "run.yaml"
    path.write_text(path.read_text().replace("max_failures: 0", "max_failures: 1"))
    (run / "leaderboard.md").write_text("| all | 0.0 % |\n")
    assert _verify(run) == [
        Difference("configuration", "run.yaml", "was changed after the run"),
        Difference("report", "leaderboard.md", "is not what the rows give"),
    ]


def test_other_options_of_an_evaluator_are_named(run: Path) -> None:
    path = run / "run.yaml"
    path.write_text(path.read_text().replace("health: {}", "health: {max_silence_s: 5.0}"))
    kinds = [one.kind for one in _verify(run)]
    assert kinds == ["configuration", "metric"]
