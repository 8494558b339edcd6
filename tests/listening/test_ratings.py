"""The database of ratings: a round trip, the same file again, versions of a session, a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.ratings import WITHDRAWN, FileRecord, Ratings
from mamtra_eval.listening.tables import csv_text, safe_cell, write_csv
from mamtra_eval.listening.trials import Refusal, Response, Session

ROOT = Path(__file__).parents[2]
ONE = Response("l00_01", 1, ("s_a",), (4.0,), 1500.0, (1.0,), (2,), "2026-11-27T10:00:00.000Z")
TWO = Response("l00_02", 2, ("s_b", "s_c"), (1.0, 2.5))


def _session(*responses: Response, name: str = "one", **changes: object) -> Session:
    whole = Session(
        name, "r_1", "l00", "2026-11-27T10:00:00.000Z", True, False, "own", responses, (5, 6),
        {"questionnaire": {"age": 31, "note": "=1+1"}},
    )  # fmt: skip
    return replace(whole, **changes)  # type: ignore[arg-type]


def _file(name: str) -> FileRecord:
    return FileRecord(name * 8, f"{name}.jsonl", "own")


@pytest.fixture
def ratings(tmp_path: Path) -> Ratings:
    return Ratings(tmp_path / "ratings" / "ratings.sqlite")


def test_what_is_stored_comes_back_as_it_was(ratings: Ratings) -> None:
    session, refusal = _session(ONE, TWO), Refusal("a.jsonl", "line 7", "why")
    ratings.add(_file("a"), [session], [refusal])
    again = Ratings(ratings.path)
    assert again.sessions() == [session]
    assert again.refusals() == [refusal]
    assert again.files() == [_file("a")]


def test_the_same_file_again_changes_nothing_and_is_told(ratings: Ratings) -> None:
    ratings.add(_file("a"), [_session(ONE)], [])
    added = ratings.add(_file("a"), [_session(ONE, TWO)], [Refusal("a", "b", "c")])
    assert "before" in added.notes[0]
    assert not added.sessions
    assert ratings.sessions() == [_session(ONE)]
    assert ratings.refusals() == []


def test_the_same_session_from_another_file_is_left_alone(ratings: Ratings) -> None:
    ratings.add(_file("a"), [_session(ONE)], [])
    added = ratings.add(_file("b"), [_session(ONE)], [])
    assert "the same is here from a.jsonl" in added.notes[0]
    assert not added.refusals
    assert not added.sessions


def test_a_longer_version_replaces_a_partial_one(ratings: Ratings) -> None:
    ratings.add(_file("a"), [_session(ONE, complete=False)], [])
    added = ratings.add(_file("b"), [_session(ONE, TWO)], [])
    assert "replaced the shorter version from a.jsonl" in added.notes[0]
    assert [one.session for one in added.sessions] == ["one"]
    assert ratings.sessions() == [_session(ONE, TWO)]


def test_a_partial_version_after_the_whole_is_left_out(ratings: Ratings) -> None:
    ratings.add(_file("a"), [_session(ONE, TWO)], [])
    added = ratings.add(_file("b"), [_session(ONE, complete=False)], [])
    assert "a longer version is here" in added.notes[0]
    assert ratings.sessions() == [_session(ONE, TWO)]


@pytest.mark.parametrize(
    "other",
    [
        _session(replace(ONE, ratings=(5.0,)), TWO),
        _session(ONE, TWO, rater="r_2"),
        _session(TWO),
    ],
    ids=["another rating", "another person", "neither is part of the other"],
)
def test_a_session_that_went_two_ways_is_refused(ratings: Ratings, other: Session) -> None:
    here = _session(ONE, replace(TWO, trial="l00_03"))
    ratings.add(_file("a"), [here], [])
    added = ratings.add(_file("b"), [other, _session(ONE, name="fine")], [])
    assert "duplicate" in added.refusals[0].why
    assert "a.jsonl" in added.refusals[0].why
    assert ratings.sessions() == [here, _session(ONE, name="fine")]
    assert ratings.refusals() == list(added.refusals)


def test_who_withdraws_leaves_nothing_and_an_older_file_brings_nothing_back(
    ratings: Ratings,
) -> None:
    gone = _session(facts={WITHDRAWN: True}, complete=False, headphones=None)
    ratings.add(_file("a"), [_session(ONE)], [])
    ratings.add(_file("b"), [gone], [])
    added = ratings.add(_file("c"), [_session(ONE, TWO)], [])
    assert "withdrew" in added.notes[0]
    assert ratings.sessions() == [gone]


def test_a_kill_in_the_middle_of_a_file_leaves_what_was_there(ratings: Ratings) -> None:
    ratings.add(_file("a"), [_session(ONE)], [])
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from mamtra_eval.listening.ratings import FileRecord, Ratings\n"
        "from mamtra_eval.listening.trials import Session\n"
        "def sessions():\n"
        "    yield Session('two', 'r', 'l00', None, True, False, 'own', ())\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "Ratings(Path(sys.argv[1])).add(FileRecord('b', 'b', 'own'), sessions(), [])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(ratings.path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert Ratings(ratings.path).sessions() == [_session(ONE)]
    assert ratings.add(FileRecord("b", "b", "own"), [_session(ONE, name="two")], []).sessions


def test_something_else_in_its_place_is_said(tmp_path: Path) -> None:
    path = tmp_path / "ratings.sqlite"
    path.write_text("no database, but long enough to be looked at" * 50)
    with pytest.raises(UserError, match="not usable as a database"):
        Ratings(path)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_made_harmless_in_a_table(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-3, -0.5, "-3", "+2.5e-3", "fine", "", None, "a=1"])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) == value


def test_a_table_is_written_whole(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "new" / "table.csv", ["a", "=b"], [["=x", -1], [None, "\ud800"]])
    assert path.read_text() == "a,'=b\n'=x,-1\n,\\ud800\n"
    assert [one.name for one in path.parent.iterdir()] == ["table.csv"]
    assert csv_text(["a"], [['say "so"\n']]) == 'a\n"say ""so""\n"\n'
