"""Exports in the P.808 toolkit itself: it takes our tables, and its numbers are ours."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mamtra_eval.listening import exports
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.exports.p808 import CONDITIONS, answers_csv
from mamtra_eval.statistics import crossed
from tests.listening import export_bundles
from tests.listening.export_sessions import sessions, votes

FOLDER = "MAMTRA_EVAL_P808"
PYTHON = "MAMTRA_EVAL_P808_PYTHON"
"""A Python with the toolkit's own needs; this one where it is not set."""
URL = "https://host.example/audio/"


def missing() -> str | None:
    folder = os.environ.get(FOLDER)
    if not folder:
        return f"{FOLDER} does not name a copy of the P.808 toolkit"
    if not (Path(folder) / "src/result_parser.py").is_file():
        return f"{FOLDER}={folder} is no copy of the P.808 toolkit"
    needs = "import pandas, scipy, jinja2, azure.storage.blob"
    found = subprocess.run([_python(), "-c", needs], capture_output=True, check=False)
    return f"its Python lacks one of: {needs}" if found.returncode else None


def _python() -> str:
    return os.environ.get(PYTHON, sys.executable)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


def toolkit(script: str, folder: Path, **options: str | Path) -> str:
    """Run one of its programs in ``folder``; what it printed."""
    command = [_python(), str(Path(os.environ[FOLDER]) / "src" / script)]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def export(bundle: Bundle) -> Path:
    (folder,) = exports.write(bundle, ["p808"], base_url=URL)
    return folder


def test_it_takes_our_tables(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path / "bundle", "mos")
    folder = export(bundle)
    toolkit(
        "master_script.py", tmp_path, project="study", cfg=folder / "master.cfg", method="acr",
        clips=folder / "rating_clips.csv", training_clips=folder / "training_clips.csv",
        gold_clips=folder / "gold_clips.csv", trapping_clips=folder / "trapping_clips.csv",
    )  # fmt: skip
    theirs = read(tmp_path / "study/study_publish_batch.csv")
    ours = read(folder / "publish_batch.csv")
    assert list(theirs[0]) == list(ours[0])
    for column in ("math", "TP", "gold_clips"):
        assert {row[column] for row in theirs} <= {row[column] for row in ours}
    for column in ("TP_ANS", "gold_clips_ans"):
        assert {float(row[column]) for row in theirs} == {1.0}
    assert {frozenset((row["CMP1_A"], row["CMP1_B"])) for row in theirs} <= {
        frozenset((row[f"CMP{number}_A"], row[f"CMP{number}_B"]))
        for row in ours
        for number in range(1, 5)
    }
    clips = {row[f"Q{number}"] for row in ours for number in range(4)}
    assert {row[f"Q{number}"] for row in theirs for number in range(4)} == clips
    assert (tmp_path / "study/study_acr.html").stat().st_size > 10_000


def test_it_takes_our_pairs(tmp_path: Path) -> None:
    bundle = export_bundles.write(tmp_path / "bundle", "cmos")
    folder = export(bundle)
    toolkit(
        "master_script.py", tmp_path, project="study", cfg=folder / "master.cfg", method="ccr",
        clips=folder / "rating_clips.csv", training_clips=folder / "training_clips.csv",
    )  # fmt: skip
    theirs = read(tmp_path / "study/study_publish_batch.csv")
    ours = read(folder / "publish_batch.csv")
    assert set(ours[0]) == set(theirs[0])
    assert "TP" in ours[0]
    pairs = {(row[f"Q{number}_P"], row[f"Q{number}_R"]) for row in ours for number in range(4)}
    assert {
        (row[f"Q{number}_P"], row[f"Q{number}_R"]) for row in theirs for number in range(4)
    } == pairs


@pytest.mark.parametrize(
    ("kind", "method", "figure"), [("mos", "acr", "MOS"), ("cmos", "ccr", "CMOS")]
)
def test_its_numbers_are_ours(tmp_path: Path, kind: str, method: str, figure: str) -> None:
    bundle = export_bundles.write(tmp_path / "bundle", kind)
    folder = export(bundle)
    answered = sessions(bundle)
    answers_csv(bundle, answered, tmp_path / "answers.csv", base_url=URL)
    said = toolkit(
        "result_parser.py", tmp_path, cfg=folder / "result_parser.cfg", method=method,
        answers=tmp_path / "answers.csv",
    )  # fmt: skip
    assert f"{len(answered)} answers are good to be used further" in said
    codes = json.loads((bundle.folder / CONDITIONS).read_text("utf-8"))
    theirs = {
        tuple(codes[row["condition_name"]].values()): row
        for row in read(tmp_path / "answers_votes_per_cond.csv")
    }
    ours = votes(bundle, answered)
    assert set(theirs) == set(ours)
    for condition, given in ours.items():
        row = theirs[condition]
        assert int(row["n"]) == len(given)
        naive = crossed.naive(given)
        assert float(row[figure]) == pytest.approx(naive.value, abs=1e-12)
        # 1.96 is rounded: 1.959964 of the normal distribution differs in the fifth digit.
        half = float(row["95%CI"])
        assert naive.value + half == pytest.approx(naive.high, abs=2e-5 * half)
        assert naive.value - half == pytest.approx(naive.low, abs=2e-5 * half)


@pytest.mark.parametrize("kind", ["mos", "cmos"])
def test_a_wrong_trap_or_gold_answer_is_seen(tmp_path: Path, kind: str) -> None:
    """The comparison can fail: the toolkit does read the columns of checks."""
    bundle = export_bundles.write(tmp_path / "bundle", kind)
    folder = export(bundle)
    answered = sessions(bundle)
    answers_csv(bundle, answered, tmp_path / "answers.csv", base_url=URL)
    rows = read(tmp_path / "answers.csv")
    column = "Answer.q5" if kind == "mos" else "Answer.audio_n_finish_q_1"
    rows[0][column] = "5" if kind == "mos" else "0"
    with (tmp_path / "answers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    said = toolkit(
        "result_parser.py", tmp_path, cfg=folder / "result_parser.cfg",
        method="acr" if kind == "mos" else "ccr", answers=tmp_path / "answers.csv",
    )  # fmt: skip
    assert f"{len(answered) - 1} answers are good to be used further" in said
