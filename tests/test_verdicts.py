"""Verdicts in runs: margins declared before the numbers, read by reports, kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results
from mamtra_eval.cli import output
from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader
from mamtra_eval.report import leaderboard
from mamtra_eval.statistics.equivalence import Verdict
from mamtra_eval.store import Store

TEXT = "one two three four five six seven eight nine ten"
WRONG = {"teacher": 0, "alike": 0, "worse": 3, "unsure": 1}
"""Words that each system gets wrong in every second text."""


@pytest.fixture
def base(tmp_path: Path) -> dict[str, object]:
    ids = [f"u{n}" for n in range(40)]
    (tmp_path / "meta.lst").write_text("".join(f"{u}|{TEXT}\n" for u in ids))
    for system, wrong in WRONG.items():
        words = [*["oh"] * wrong, *TEXT.split()[wrong:]]
        rows = [
            json.dumps({"id": u, "text": TEXT if n % 2 else " ".join(words)})
            for n, u in enumerate(ids)
        ]
        (tmp_path / f"{system}.jsonl").write_text("\n".join(rows))
    systems = {name: f"transcripts:{tmp_path / name}.jsonl" for name in WRONG}
    return {"testset": str(tmp_path / "meta.lst"), "systems": systems}


def _evaluate(base: dict[str, object], out: Path, **settings: object) -> results.Results:
    config = configuration.build({**base, **settings})
    with RunReader(pipeline.evaluate(config, out)) as store:
        return results.collect(store)


def _verdicts(found: results.Results) -> dict[str, Verdict | None]:
    return {system.row.name: system.values["wer"].verdict for system in found.systems}


def test_verdicts_by_the_margin_that_was_declared(base: dict[str, object], tmp_path: Path) -> None:
    found = _evaluate(base, tmp_path / "run", margins={"wer": 0.05})
    # "unsure" loses 5 points, which is the margin itself: its interval lies on both sides of it.
    assert _verdicts(found) == {
        "teacher": None, "alike": Verdict.EQUIVALENT, "worse": Verdict.INFERIOR,
        "unsure": Verdict.UNDECIDED,
    }  # fmt: skip
    assert found.systems[1].values["wer_pooled"].verdict is None  # no margin was declared for it
    text = leaderboard.render(found)
    assert "▼ +15.0 pt" in text
    assert "], inferior |" in text
    assert "WER, mean of utterances 5 pt. Equivalent:" in text
    difference = output.document(found)["systems"][1]["metrics"]["wer"]["difference"]
    assert (difference["margin"], difference["verdict"]) == (0.05, "equivalent")
    json.loads(output.to_json(output.document(found)))


def test_a_wide_margin_makes_losses_small(base: dict[str, object], tmp_path: Path) -> None:
    found = _evaluate(base, tmp_path / "run", margins={"wer": 0.5})
    assert set(_verdicts(found).values()) == {None, Verdict.EQUIVALENT}


def test_margins_are_declared_before_the_numbers_and_stay(
    base: dict[str, object], tmp_path: Path
) -> None:
    first = _evaluate(base, tmp_path / "run")
    assert first.systems[1].values["wer"].margin == configuration.DEFAULT_MARGINS["wer"]
    assert _verdicts(first)["worse"] is Verdict.INFERIOR
    with pytest.raises(UserError, match="declared before its numbers"):
        _evaluate(base, tmp_path / "run", margins={"wer": 0.5})
    _evaluate(base, tmp_path / "run")
    again = configuration.load(str(tmp_path / "run" / "run.yaml"))
    assert again.margins == configuration.DEFAULT_MARGINS
    with RunReader(pipeline.evaluate(again, tmp_path / "run")) as store:
        assert _verdicts(results.collect(store)) == _verdicts(first)


def test_a_run_from_before_says_that_its_margins_came_late(
    base: dict[str, object], tmp_path: Path
) -> None:
    assert "before the numbers" in leaderboard.render(_evaluate(base, tmp_path / "run"))
    with Store(tmp_path / "run") as store:
        store.set_meta("margins", None)
    found = _evaluate(base, tmp_path / "run")
    assert "declared after the first numbers: WER" in leaderboard.render(found)
    assert _verdicts(found)["worse"] is Verdict.INFERIOR


def test_a_margin_must_be_positive(base: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"margins\.wer must be above 0"):
        configuration.build({**base, "margins": {"wer": 0.0}})
