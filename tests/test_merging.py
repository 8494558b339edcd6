"""Runs put together: what is compared, what is marked, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from written_runs import N, run

from mamtra_eval import merging, results, rundata
from mamtra_eval.errors import UserError
from mamtra_eval.report import leaderboard


def merged(*runs: rundata.RunData) -> results.Results:
    return results.assemble(merging.merge(runs))


def test_systems_of_two_runs_are_paired(tmp_path: Path) -> None:
    both = merged(run(tmp_path / "a", {"t": 0, "x": 1}), run(tmp_path / "b", {"y": 2}))
    assert [system.row.name for system in both.systems] == ["t", "x", "y"]
    difference = both.systems[2].values["wer"].difference
    assert difference is not None
    assert difference.value == pytest.approx(0.2)
    assert both.systems[2].values["wer"].n_paired == N
    text = leaderboard.render(both)
    assert "| 3 c | y | 25.0 %" in text
    assert "Put together from the runs a/out, b/out" in text
    assert "## Cost" not in text


def test_it_is_what_one_run_of_all_would_be(tmp_path: Path) -> None:
    both = merged(run(tmp_path / "a", {"t": 0}), run(tmp_path / "b", {"y": 2}))
    one = results.assemble(run(tmp_path / "c", {"t": 0, "y": 2}))
    for two, alone in zip(both.systems, one.systems, strict=True):
        assert two.values == alone.values


def test_a_name_that_is_taken_gets_its_runs(tmp_path: Path) -> None:
    runs = [run(tmp_path / name, {"t": 0}) for name in "abc"]
    names = [system.row.name for system in merged(*runs).systems]
    assert names == ["t", "t of b/out", "t of c/out"]
    thrice = [system.row.name for system in merged(runs[0], runs[0], runs[0]).systems]
    assert thrice == ["t", "t of out", "t of out (3)"]
    # Folders of the same name are told apart; the same run twice is the same system twice.
    twice = merged(runs[0], runs[0])
    assert [system.row.name for system in twice.systems] == ["t", "t of out"]
    difference = twice.systems[1].values["wer"].difference
    assert difference is not None
    assert difference[:] == (0.0, 0.0, 0.0)


def test_another_signature_is_marked_and_compared_with_nothing(tmp_path: Path) -> None:
    ours = run(tmp_path / "a", {"t": 1, "x": 2, "z": 3})
    theirs = run(tmp_path / "b", {"y": 0}, asr={"normalizer": "f5_tts"})
    both = merged(ours, theirs)
    value = both.systems[3].values["wer"]
    assert value.estimate is not None
    assert value.difference is None
    assert value.verdict is None
    assert value.foreign is not None
    assert "f5" in value.foreign
    text = leaderboard.render(both)
    row = next(line for line in text.splitlines() if "| y |" in line)
    assert row.startswith("| – | y | 5.0 % [")  # neither ranked nor in bold, though the best
    assert "≠[^x1]" in row
    assert f"[^x1]: `{value.foreign}`" in text
    assert "| y | ≠ |" in text.split("## Difference")[1]


@pytest.mark.parametrize(
    ("other", "what"), [({"n": N - 1}, "another test set"), ({"repeats": 2}, "number of repeats")]
)
def test_other_texts_are_refused(tmp_path: Path, other: dict[str, object], what: str) -> None:
    runs = [run(tmp_path / "a", {"t": 0}), run(tmp_path / "b", {"y": 1}, **other)]
    with pytest.raises(UserError, match=what) as caught:
        merging.merge(runs)
    assert "--apart" in caught.value.fix


def test_what_else_differs_is_told(tmp_path: Path) -> None:
    runs = [
        run(tmp_path / "a", {"t": 0}),
        run(tmp_path / "b", {"y": 1}, margins={"wer": 0.01}, seed=3),
    ]
    notes = merged(*runs).notes
    told = next(note for note in notes if note.startswith("Run b/out"))
    assert "synthesis seed 3 instead of 0" in told
    assert "margins wer 0.01 instead of wer 0.005" in told
