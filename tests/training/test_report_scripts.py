"""The tables of the training report, from runs whose figures can be worked out by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.rows import ClipKey, MetricRow, SystemRow
from mamtra_eval.store import Store
from mamtra_eval.testset import Utterance

UTTERANCES = ("a", "b", "c")
FIGURES = (
    Figure("wer", "errors", "words", unit="fraction", higher_is_better=False),
    Figure("similarity", "score", unit="cosine", higher_is_better=True),
)
ERRORS = {  # of ten words, by utterance and repeat
    "1-3": [(1, 1), (2, 0), (0, 0)],
    "1-3-undistilled": [(2, 2), (3, 1), (1, 1)],  # one word more everywhere
    "1-3-at-30": [(9, 9), (8, 10), (9, 9)],
    "1-3-at-200": [(1, 1), (1, 1), (1, 1)],
    "teacher-at-30": [(0, 0), (0, 0), (0, 0)],
}


def _store(folder: Path, *, without: str | None = None) -> Path:
    """A run with every clip's readings; ``without`` one reading of a system."""
    with Store(folder) as store:
        store.add_utterances(
            [Utterance(name, "ten words") for name in UTTERANCES], dict.fromkeys(UTTERANCES, "")
        )
        for figure in FIGURES:
            store.add_metric(MetricRow(figure.name, "signature", "", (figure,)))
        for system, rows in ERRORS.items():
            store.add_system(SystemRow(system, "recorded", "x", system, {}))
            for utterance, repeats in zip(UTTERANCES, rows, strict=True):
                for repeat, errors in enumerate(repeats):
                    key = ClipKey(system, utterance, repeat)
                    store.add_clip(key, 0)
                    store.finish_clip(key, path="x.wav", sha256="", duration_s=1.0,
                                      sample_rate_hz=16000, synthesis_s=0.1)  # fmt: skip
                    if (system, utterance) != (without, "c"):
                        store.add_reading(key, "wer", Reading({"errors": errors, "words": 10}), 0.1)
                    store.add_reading(key, "similarity", Reading({"score": 1 - errors / 100}), 0.1)
        store.set_meta("testset", {"name": "t", "language": "en", "sha256": "", "n": 3,
                                   "repeats": 2, "seed": 0})  # fmt: skip
        store.set_meta("baseline", "1-3")
        store.set_meta("statistics", {"level": 0.95, "resamples": 1000, "seed": 0})
    return folder


def _run(monkeypatch: pytest.MonkeyPatch, script: ModuleType, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, arguments)])
    script.main()


def test_repeats_are_averaged_and_gaps_refused(
    scripts: dict[str, ModuleType], tmp_path: Path
) -> None:
    by_utterance = scripts["_spoken"].by_utterance
    found = by_utterance(_store(tmp_path / "run"), "wer")
    assert [*found] == [*ERRORS]
    assert found["1-3"] == pytest.approx([0.1, 0.1, 0.0])
    with pytest.raises(SystemExit, match=r"teacher-at-30.* has no wer"):
        by_utterance(_store(tmp_path / "gap", without="teacher-at-30"), "wer")


def test_gain_is_paired(
    scripts: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, ce in (("1-3", 2.5), ("1-3-undistilled", 2.75)):
        (tmp_path / name).mkdir()
        card = {"training": {"held_out": {"ce": ce, "kl": ce - 2}}}
        (tmp_path / name / "card.json").write_text(json.dumps(card))
    _run(monkeypatch, scripts["gain"], tmp_path, _store(tmp_path / "run"))
    [row] = capsys.readouterr().out.splitlines()[2:]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:5] == ["1:3", "2.500", "2.750", "0.500", "0.750"]
    # Ten points on each utterance: paired, that has no spread at all.
    assert cells[7:] == ["+10.0 pt [+10.0, +10.0]", "+0.010 [+0.010, +0.010]"]


def test_word_error_rate_by_step(
    scripts: dict[str, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    script, run = scripts["by_step"], _store(tmp_path / "run")
    found = script.curves(run)
    assert {name: [*steps] for name, steps in found.items()} == {"1-3": [30, 200], "teacher": [30]}
    assert found["1-3"][30].value == pytest.approx(0.9)
    assert found["1-3"][200] == pytest.approx((0.1, 0.1, 0.1))
    drawn: list[Path] = []
    monkeypatch.setattr(script, "draw", lambda _, path: drawn.append(path))
    _run(monkeypatch, script, run, tmp_path / "by_step.svg")
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "| step | 1-3 | teacher |"
    assert table[2].endswith("| 0.0 % [0.0, 0.0] |")
    assert table[3] == "| 200 | 10.0 % [10.0, 10.0] |  |"
    assert drawn == [tmp_path / "by_step.svg"]
