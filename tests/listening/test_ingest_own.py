"""The page's own sessions: as files, several in one, broken off, and from the collector."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import COLLECTED, RATINGS, Bundle
from mamtra_eval.listening.ingest import Report, ingest
from mamtra_eval.listening.ratings import WITHDRAWN, Ratings
from mamtra_eval.listening.simulating import simulate
from mamtra_eval.listening.trials import Session
from tests.listening import made_bundles


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return made_bundles.write(tmp_path / "bundle", "mos", 0.1)


def _write(path: Path, *sessions: str) -> Path:
    path.write_text("".join(sessions), encoding="utf-8")
    return path


def _stored(bundle: Bundle) -> list[Session]:
    return Ratings(bundle.folder / RATINGS).sessions()


def _lines(session: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in session.splitlines()]


def _text(lines: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def _why(report: Report) -> str:
    return "; ".join(f"{one.place}: {one.why}" for one in report.refusals)


def test_several_sessions_in_one_file(bundle: Bundle, tmp_path: Path) -> None:
    texts = simulate(bundle, 3, 7)
    report = ingest(bundle, [_write(tmp_path / "all.jsonl", *texts)])
    assert (report.sessions, report.responses, report.refusals) == (3, 21, [])
    assert report.files[0].format == "own"
    for text, session in zip(texts, _stored(bundle), strict=True):
        ratings = [line for line in _lines(text) if line["type"] == "rating"]
        assert [one.ratings[0] for one in session.responses] == [
            line["ratings"][0] for line in ratings
        ]
        assert [one.at for one in session.responses] == [line["at"] for line in ratings]
        assert session.complete
        assert session.simulated
        assert session.rater.startswith("r_")


@pytest.mark.parametrize("kind", ["smos", "cmos", "ab", "mushra"])
def test_every_kind_comes_through_whole(tmp_path: Path, kind: str) -> None:
    bundle = made_bundles.write(tmp_path / kind, kind, 0.1)
    report = ingest(bundle, [_write(tmp_path / "a.jsonl", *simulate(bundle, 3, 1))])
    assert report.refusals == []
    assert report.responses == 21


def test_no_participant_is_named_in_the_ratings(bundle: Bundle, tmp_path: Path) -> None:
    lines = _lines(simulate(bundle, 1, 0)[0])
    lines[0]["participant"] = "5f1e-prolific-id"
    ingest(bundle, [_write(tmp_path / "a.jsonl", _text(lines))])
    assert b"prolific-id" not in (bundle.folder / RATINGS).read_bytes()


def test_a_file_taken_again_is_told_and_does_nothing(bundle: Bundle, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", *simulate(bundle, 1, 0))
    ingest(bundle, [path])
    again = ingest(bundle, [path.rename(tmp_path / "b.jsonl")])
    assert not again.files[0].taken
    assert "taken before, as a.jsonl" in again.files[0].notes[0]


def test_a_partial_file_and_then_the_whole(bundle: Bundle, tmp_path: Path) -> None:
    whole = simulate(bundle, 1, 0)[0]
    partial = "".join(whole.splitlines(keepends=True)[:5])
    ingest(bundle, [_write(tmp_path / "partial.jsonl", partial)])
    assert not _stored(bundle)[0].complete
    report = ingest(bundle, [_write(tmp_path / "whole.jsonl", whole)])
    assert "replaced the shorter version from partial.jsonl" in report.files[0].notes[0]
    (session,) = _stored(bundle)
    assert session.complete
    assert len(session.responses) == 7


def test_a_line_cut_off_costs_that_line_alone(bundle: Bundle, tmp_path: Path) -> None:
    text = simulate(bundle, 1, 0)[0]
    report = ingest(bundle, [_write(tmp_path / "a.jsonl", text[:-60])])
    assert len(report.refusals) == 1
    assert "no JSON" in report.refusals[0].why
    assert len(_stored(bundle)[0].responses) >= 6


def test_lines_twice_are_read_once_and_gaps_are_told(bundle: Bundle, tmp_path: Path) -> None:
    lines = _lines(simulate(bundle, 1, 0)[0])
    changed = {**lines[4], "ratings": [1 if lines[4]["ratings"] != [1] else 2]}
    mixed = [*lines[:6], lines[3], changed, *lines[7:]]
    report = ingest(bundle, [_write(tmp_path / "a.jsonl", _text(mixed))])
    assert "seq 4 already: the first stays" in _why(report)
    assert "lines 6 to 6 of the session are missing" in _why(report)
    assert len(report.refusals) == 2
    assert len(_stored(bundle)[0].responses) == 6
    assert _stored(bundle)[0].responses[2].ratings[0] == lines[4]["ratings"][0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"bundle_id": "b_0000000000000000"}, "of the bundle"),
        ({"content_sha256": "0" * 64}, "content_sha256"),
        ({"schema": 2}, "schema"),
        ({"list": "l99"}, "no list"),
        ({"list": None}, "list is missing"),
        ({"session": "../../etc"}, "letters, digits"),
        ({"at": "2999-01-01T00:00:00.000Z"}, "future"),
    ],
)
def test_a_foreign_session_is_refused_whole_and_the_next_one_is_kept(
    bundle: Bundle, tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    first, second = simulate(bundle, 2, 0)
    lines = _lines(first)
    lines[0].update(changes)
    report = ingest(bundle, [_write(tmp_path / "a.jsonl", _text(lines), second)])
    assert why in _why(report)
    assert report.refusals[0].place == "line 1"
    assert [one.list_id for one in _stored(bundle)] == ["l01"]


def test_skipped_trials_and_problems_are_facts_not_answers(bundle: Bundle, tmp_path: Path) -> None:
    lines = _lines(simulate(bundle, 1, 0)[0])
    lines[3].update(ratings=None, problem="missing")
    problem = {"type": "problem", "seq": len(lines), "at": lines[-1]["at"], "code": "missing",
               "token": "s_x", "trial": None, "detail": "404"}  # fmt: skip
    report = ingest(bundle, [_write(tmp_path / "a.jsonl", _text([*lines, problem]))])
    assert report.refusals == []
    (session,) = _stored(bundle)
    assert len(session.responses) == 6
    assert session.facts["problems"] == [{"code": "missing", "token": "s_x", "trial": "None"}]


def test_of_who_withdrew_nothing_is_kept(bundle: Bundle, tmp_path: Path) -> None:
    lines = _lines(simulate(bundle, 1, 0)[0])[:-1]
    lines.append({"type": "withdraw", "seq": len(lines), "at": lines[-1]["at"]})
    ingest(bundle, [_write(tmp_path / "a.jsonl", _text(lines))])
    (session,) = _stored(bundle)
    assert session.responses == ()
    assert session.facts == {WITHDRAWN: True}


def _collect(bundle: Bundle, sessions: list[str], waiting: tuple[str, ...] = ()) -> Path:
    """A database as the collector makes it."""
    path = bundle.folder / COLLECTED
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS sessions (session PRIMARY KEY, secret_sha256, "
            "participant, study, submission, list, started_at, last_at, complete)"
        )
        db.execute(
            "CREATE TABLE IF NOT EXISTS events (session, seq INTEGER, line, received_at, "
            "PRIMARY KEY (session, seq))"
        )
        for text in sessions:
            first = json.loads(text.splitlines()[0])
            db.execute(
                "INSERT OR REPLACE INTO sessions VALUES (?, '', ?, '', '', ?, ?, ?, 1)",
                (first["session"], first["participant"], first["list"], first["at"], first["at"]),
            )
            db.executemany(
                "INSERT OR REPLACE INTO events VALUES (?, ?, ?, '')",
                [(first["session"], seq, line) for seq, line in enumerate(text.splitlines())],
            )
        for name in waiting:
            db.execute(
                "INSERT INTO sessions VALUES (?, '', 'p', '', '', 'l00', "
                "'2026-11-27T00:00:00.000Z', '', 0)",
                (name,),
            )
    return path


def test_the_collectors_database_says_the_same_as_the_files(bundle: Bundle, tmp_path: Path) -> None:
    texts = simulate(bundle, 3, 0)
    _collect(bundle, texts, waiting=("only-opened",))
    report = ingest(bundle)
    assert report.refusals == []
    assert report.sessions == 4
    stored = {one.session: one for one in _stored(bundle)}
    assert stored["only-opened"].responses == ()
    files = ingest(bundle, [_write(tmp_path / "a.jsonl", *texts)])
    assert files.sessions == 0
    assert all("the same is here" in note for note in files.files[0].notes)


def test_a_database_that_grew_is_taken_again_and_one_that_did_not_is_not(bundle: Bundle) -> None:
    first, second = simulate(bundle, 2, 0)
    _collect(bundle, ["".join(first.splitlines(keepends=True)[:5])])
    assert ingest(bundle).sessions == 1
    assert not ingest(bundle).files[0].taken
    _collect(bundle, [first, second])
    assert ingest(bundle).sessions == 2
    assert [one.complete for one in _stored(bundle)] == [True, True]


def test_nothing_collected_and_files_that_are_missing_are_said(
    bundle: Bundle, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="nothing was collected"):
        ingest(bundle)
    with pytest.raises(UserError, match="missing"):
        ingest(bundle, [tmp_path / "nowhere.jsonl"])
    with pytest.raises(UserError, match="format of ratings"):
        ingest(bundle, [tmp_path], format="xls")


def test_a_folder_stands_for_its_files(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    for name, text in zip("ab", simulate(bundle, 2, 0), strict=True):
        _write(folder / f"{name}.jsonl", text)
    (folder / "notes.txt").write_text("nothing to read")
    assert [one.file for one in ingest(bundle, [folder]).files] == ["a.jsonl", "b.jsonl"]
