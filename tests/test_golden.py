"""An evaluator that changes between two starts, or between two runs, is told."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from plugins import write_plugin

from mamtra_eval import drift

slow = pytest.mark.slow

Cli = Callable[..., object]
PLUGIN = '''"""A metric that says what a file says."""
from pathlib import Path
from mamtra_eval.errors import MeasurementError
from mamtra_eval.metrics import Figure, Metric, Reading

FILE = Path(__file__).with_name("behaviour")

class Told(Metric):
    figures = (Figure("told", "score"),)
    def signature(self):
        return "metric:told"
    def measure(self, item):
        score, text = FILE.read_text().split()
        if text == "fail" and "recordings" in str(item.path):
            raise MeasurementError("not today")
        return Reading({"score": float(score)}, {"text": text})

def create(options):
    return Told()
'''


@pytest.fixture
def behave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets what the metric says; the metric is a distribution on the path of processes."""
    folder = tmp_path / "plugins"
    write_plugin(folder, "told", PLUGIN, "metrics")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda text: (folder / "behaviour").write_text(text) and None


def _run(tmp_path: Path, out: str, limit: int, *more: str) -> tuple[str, list[tuple[object, ...]]]:
    """Standard error of a run as a process, and its readings."""
    import subprocess
    import sys

    repository = Path(__file__).parent.parent
    (tmp_path / "run.yaml").write_text(
        "testset: mini-en\nsystems: {r: recorded}\nmetrics: [told]\nexecution: {workers: 1}\n"
    )
    command = [sys.executable, "-m", "mamtra_eval", "run", str(tmp_path / "run.yaml"),
               f"limit={limit}", *more, "--out", out]  # fmt: skip
    path = f"{tmp_path / 'plugins'}{os.pathsep}{repository}"
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(tmp_path / out / "run.sqlite") as db:
        rows = db.execute("SELECT system, utterance, metric, counts FROM readings ORDER BY 2")
        return done.stderr, rows.fetchall()


@slow
def test_a_change_between_two_starts_is_told(tmp_path: Path, behave: Callable[[str], None]) -> None:
    behave("0.5 same")
    said, before = _run(tmp_path, "a", 1)
    assert "Drift" not in said
    behave("0.6 same")
    assert "Drift" not in _run(tmp_path, "a", 1)[0]  # nothing left to score: nothing measured
    said, after = _run(tmp_path, "a", 2)
    assert "Drift: told of golden clip awb-001 has score 0.6; it was 0.5" in said
    assert "start 1 of this run" in said
    assert after[: len(before)] == before
    assert {row[1] for row in after} == {"awb-001", "rms-001"}
    board = (tmp_path / "a" / "leaderboard.md").read_text()
    assert "Drift: told of golden clip awb-001" in board
    assert "Drift: told of golden clip awb-001" in (tmp_path / "a" / "report.html").read_text()


@slow
def test_another_run_sees_it_and_without_golden_none_does(
    tmp_path: Path, behave: Callable[[str], None]
) -> None:
    behave("0.5 yes")
    _run(tmp_path, "a", 1)
    behave("0.5 no")
    assert "Drift" not in _run(tmp_path, "off", 1, "execution.golden=false")[0]
    said = _run(tmp_path, "b", 1)[0]
    assert "has text 'no'; it was 'yes'" in said
    assert "another run here" in said


@slow
def test_a_golden_clip_that_fails_is_told_and_ends_nothing(
    tmp_path: Path, behave: Callable[[str], None]
) -> None:
    behave("0.5 fail")
    said, readings = _run(tmp_path, "a", 1)
    assert "Golden clip awb-001: told could not be taken (not today)" in said
    assert len(readings) == 1


def _one(**counts: float) -> dict[str, dict[str, object]]:
    return {"c": {"counts": counts, "texts": {}}}


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [(3.0, 4.0, True), (3000.0, 3001.0, True), (0.5, 0.5004, False), (0.5, 0.501, True),
     (0.0, 5e-6, False), (0.0, 1e-3, True)],
)  # fmt: skip
def test_whole_numbers_are_exact_and_others_have_a_tolerance(
    before: float, now: float, changed: bool
) -> None:
    assert bool(drift.changes("m", _one(x=before), _one(x=now))) is changed


def test_a_count_that_is_new_or_gone_is_a_change_and_a_failure_none() -> None:
    assert len(drift.changes("m", _one(x=1), _one(y=1))) == 2
    assert drift.changes("m", _one(x=1), {"c": {"error": "no"}}) == []
