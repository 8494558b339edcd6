"""Tables of other tools, written here as those tools write them, read back rating by rating.

webMUSHRA's columns are those of its ``service/write.php`` of May 2025, pymushra's those of its
version 0.5, the P.808 toolkit's those of its ``result_parser.py`` and comparison template (2026).
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import RATINGS, Bundle
from mamtra_eval.listening.ingest import Report, ingest
from mamtra_eval.listening.ratings import Ratings
from mamtra_eval.listening.trials import Response, Session
from tests.listening import made_bundles

SCORES = (4, 3, 5, 2, 1, 1, 4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return made_bundles.write(tmp_path_factory.mktemp("bundle"), "mos", 0.1)


@pytest.fixture
def bundle(made: Bundle, tmp_path: Path) -> Bundle:
    """A copy without audio and ratings."""
    left_out = shutil.ignore_patterns("site", "ratings")
    return Bundle(shutil.copytree(made.folder, tmp_path / "bundle", ignore=left_out))


def _csv(rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _ingest(bundle: Bundle, text: str, format_: str | None = None) -> Report:
    path = bundle.folder.parent / "ratings.csv"
    path.write_text(text, encoding="utf-8")
    return ingest(bundle, [path], format_)


def _stored(bundle: Bundle) -> list[Session]:
    return Ratings(bundle.folder / RATINGS).sessions()


def _given(session: Session) -> dict[str, tuple[float, ...]]:
    return {one.trial: one.ratings for one in session.responses}


def _expected(bundle: Bundle, name: str) -> dict[str, tuple[float, ...]]:
    return {
        trial.id: (float(score),) for trial, score in zip(bundle.lists[name], SCORES, strict=True)
    }


LSS = ["session_test_id", "participant_id", "note", "trial_id", "stimuli_rating", "stimuli",
       "rating_time"]  # fmt: skip


def _lss(
    bundle: Bundle, name: str, person: str, scores: Sequence[object] = SCORES
) -> list[list[object]]:
    return [
        ["mos_l00", person, "A&B", trial.id, score, trial.tokens[0], 2100 + score_place]
        for score_place, (trial, score) in enumerate(zip(bundle.lists[name], scores, strict=True))
    ]


def test_webmushra_likert(bundle: Bundle) -> None:
    rows = [LSS, *_lss(bundle, "l00", "ann"), *_lss(bundle, "l01", "ben")]
    report = _ingest(bundle, _csv(rows))
    assert report.files[0].format == "webmushra"
    assert report.refusals == []
    first, second = _stored(bundle)
    assert _given(first) == _expected(bundle, "l00")
    assert _given(second) == _expected(bundle, "l01")
    assert first.rater != second.rater
    assert first.responses[2].rt_ms == 2102
    assert first.facts["questionnaire"] == {"note": "A&B"}
    assert first.complete


def test_webmushra_practice_is_passed_over(bundle: Bundle) -> None:
    practice = ["mos_l00", "ann", "", "practice_01", 3, made_bundles.token("practice"), 900]
    report = _ingest(bundle, _csv([LSS, practice, *_lss(bundle, "l00", "ann")]))
    assert report.refusals == []
    assert _given(_stored(bundle)[0]) == _expected(bundle, "l00")


def test_webmushra_ratings_padded_with_blanks_and_unrated_ones(bundle: Bundle) -> None:
    scores = [" 4 ", "NA", " 5 ", " 2 ", " 1 ", " 1 ", " NA "]
    report = _ingest(bundle, _csv([LSS, *_lss(bundle, "l00", "ann", scores)]))
    assert report.refusals == []
    (session,) = _stored(bundle)
    assert list(_given(session)) == ["l00_01", "l00_03", "l00_04", "l00_05", "l00_06"]
    assert session.facts["unrated"] == ["l00_02", "l00_07"]


def test_webmushra_tells_sessions_of_one_person_apart(bundle: Bundle) -> None:
    rows = [*_lss(bundle, "l00", "ann"), *_lss(bundle, "l01", "ann"), *_lss(bundle, "l00", "ann")]
    _ingest(bundle, _csv([LSS, *rows]))
    sessions = _stored(bundle)
    assert [one.list_id for one in sessions] == ["l00", "l01", "l00"]
    assert len({one.session for one in sessions}) == 3
    assert len({one.rater for one in sessions}) == 1


def test_webmushra_without_a_participant_keeps_sessions_apart(bundle: Bundle) -> None:
    rows = [*_lss(bundle, "l00", ""), *_lss(bundle, "l00", "")]
    _ingest(bundle, _csv([LSS, *rows]))
    assert len({one.rater for one in _stored(bundle)}) == 2


def test_webmushra_rows_written_by_two_at_once(bundle: Bundle) -> None:
    ann, ben = _lss(bundle, "l00", "ann"), _lss(bundle, "l01", "ben")
    mixed = [row for both in zip(ann, ben, strict=True) for row in both]
    report = _ingest(bundle, _csv([LSS, *mixed]))
    assert report.refusals == []
    assert [_given(one) for one in _stored(bundle)] == [
        _expected(bundle, "l00"), _expected(bundle, "l01"),
    ]  # fmt: skip


def test_webmushra_file_that_grew_brings_the_new_sessions_alone(bundle: Bundle) -> None:
    rows = [LSS, *_lss(bundle, "l00", "ann")]
    _ingest(bundle, _csv(rows))
    report = _ingest(bundle, _csv([*rows, *_lss(bundle, "l00", "ann"), *_lss(bundle, "l01", "b")]))
    assert report.sessions == 2
    assert report.refusals == []
    assert len(_stored(bundle)) == 3


def test_webmushra_rows_of_another_header_are_refused_loudly(bundle: Bundle) -> None:
    rows = _lss(bundle, "l00", "ann")
    drifted = [[*row[:2], "31", *row[2:]] for row in _lss(bundle, "l01", "ben")]
    report = _ingest(bundle, _csv([LSS, *rows, *drifted]))
    assert report.sessions == 1
    assert len(report.refusals) == 7
    assert "8 cells under a header of 7 columns" in report.refusals[0].why
    assert report.refusals[0].place == "line 9"


MUSHRA = ["session_test_id", "participant_id", "session_uuid", "trial_id", "rating_stimulus",
          "rating_score", "rating_time", "rating_comment"]  # fmt: skip


def _mushra(bundle: Bundle, hidden: str | None = None) -> list[list[object]]:
    rows: list[list[object]] = []
    for trial in bundle.lists["l00"]:
        tokens = list(dict.fromkeys(trial.tokens))
        for place, token in enumerate(reversed(tokens)):
            system = bundle.key.tokens[token].system
            name = "reference" if system == hidden and hidden else token
            rows.append(["m", "ann", "u-1", trial.id, name, 10 * place + 7, 9000, ""])
    return rows


def _checks_of_three(bundle: Bundle) -> list[str]:
    """Trials of the made bundle with three different clips."""
    return [one.id for one in bundle.lists["l00"] if len(set(one.tokens)) == 3]


@pytest.mark.parametrize("hidden", [None, "recordings"])
def test_webmushra_mushra(tmp_path: Path, hidden: str | None) -> None:
    bundle = made_bundles.write(tmp_path / "mushra", "mushra", 0.1)
    _ingest(bundle, _csv([MUSHRA, *_mushra(bundle, hidden)]))
    (session,) = _stored(bundle)
    assert [one.trial for one in session.responses] == _checks_of_three(bundle)
    trial = bundle.lists["l00"][0]
    answer = session.responses[0]
    assert answer.tokens == tuple(reversed(trial.tokens))
    assert answer.ratings == (7, 17, 27)
    assert answer.rt_ms == 9000


def test_webmushra_mushra_with_a_stimulus_missing_is_refused(tmp_path: Path) -> None:
    bundle = made_bundles.write(tmp_path / "mushra", "mushra", 0.1)
    rows = _mushra(bundle)
    del rows[1]
    report = _ingest(bundle, _csv([MUSHRA, *rows]))
    assert any("2 of the 3 tokens of trial l00_01" in one.why for one in report.refusals)
    assert report.refusals[0].place == "lines 2, 3"
    assert "l00_02" in _given(_stored(bundle)[0])


def test_pymushra(bundle: Bundle) -> None:
    header = ["responses_stimulusRating", "wm_type", "questionaire_uuid", "wm_id", "wm_date",
              "responses_stimulus", "questionaire_participant_id", "wm_testId", "responses_time",
              "wm_config"]  # fmt: skip
    rows = [
        [f"[{score}]" if place % 2 else f"['{score}']", "likert_single_stimulus", person, trial.id,
         "2026-11-27 10:00:00", trial.tokens[0], "ann", "mos", 2500, "configs/a.yaml"]
        for person in ("uuid-1", "uuid-2")
        for place, (trial, score) in enumerate(zip(bundle.lists["l00"], SCORES, strict=True))
    ]  # fmt: skip
    report = _ingest(bundle, _csv([header, *rows], delimiter=";"))
    assert report.files[0].format == "webmushra"
    assert report.refusals == []
    first, second = _stored(bundle)
    assert _given(first) == _given(second) == _expected(bundle, "l00")
    assert first.rater == second.rater
    assert first.responses[0].rt_ms == 2500


def test_webmushra_has_no_pairs(tmp_path: Path) -> None:
    bundle = made_bundles.write(tmp_path / "ab", "ab", 0.1)
    report = _ingest(bundle, _csv([LSS, ["t", "p", "", "l00_01", 1, "s_x", 1]]))
    assert "no page for ab" in report.refusals[0].why


def _p808(bundle: Bundle, worker: str, assignment: str, name: str = "l00") -> dict[str, object]:
    row: dict[str, object] = {
        "HITId": "H1", "WorkerId": worker, "AssignmentId": assignment,
        "AssignmentStatus": "Submitted", "Input.math": "m.wav",
    }  # fmt: skip
    for number, (trial, score) in enumerate(zip(bundle.lists[name], SCORES, strict=True), start=1):
        url = f"https://host.example/audio/c07_{trial.tokens[0]}.wav?v=1"
        row[f"Input.Q{number - 1}"] = url
        row[f"Answer.q{number}"] = score
        row[f"Answer.q{number}_url"] = url
        row[f"Answer.audio_n_finish_q{number}"] = 1 if number != 3 else 0
    return row


def _dicts(*rows: dict[str, object]) -> str:
    return _csv([list(rows[0]), *(list(row.values()) for row in rows)])


def test_p808(bundle: Bundle) -> None:
    report = _ingest(bundle, _dicts(_p808(bundle, "W1", "A1"), _p808(bundle, "W1", "A2", "l02")))
    assert report.files[0].format == "p808"
    assert report.refusals == []
    first, second = _stored(bundle)
    assert _given(first) == _expected(bundle, "l00")
    assert _given(second) == _expected(bundle, "l02")
    assert first.rater == second.rater
    assert first.responses[0].heard == (1.0,)
    assert first.responses[2].heard == (0.0,)


def test_p808_foreign_clip_is_refused_by_question(bundle: Bundle) -> None:
    row = _p808(bundle, "W1", "A1")
    row["Answer.q2_url"] = "https://host.example/other.wav"
    report = _ingest(bundle, _dicts(row))
    assert [(one.place, one.why) for one in report.refusals] == [
        ("line 2, q2", "the bundle has no token 'https://host.example/other.wav'")
    ]
    assert len(_stored(bundle)[0].responses) == 6


def test_p808_comparison_is_turned_to_the_clip_that_was_second(tmp_path: Path) -> None:
    bundle = made_bundles.write(tmp_path / "cmos", "cmos", 0.1)
    row: dict[str, object] = {"HITId": "H", "WorkerId": "W", "AssignmentId": "A"}
    for place, trial in enumerate(bundle.lists["l00"][:2]):
        partner, processed = (f"https://h.example/{token}.wav" for token in trial.tokens)
        row |= {
            f"Input.Q{place}_P": processed, f"Input.Q{place}_R": partner,
            f"Answer.q{place + 1}": 2, f"Answer.Q{place + 1}_URL": processed,
            f"Answer.Q{place + 1}_order": "rp" if place == 0 else "pr",
        }  # fmt: skip
    report = _ingest(bundle, _dicts(row))
    assert report.refusals == []
    first, second = _stored(bundle)[0].responses
    trials = bundle.lists["l00"]
    assert (first.tokens, first.ratings) == (trials[0].tokens, (2.0,))
    assert (second.tokens, second.ratings) == (trials[1].tokens[::-1], (-2.0,))


PLAIN = ["session", "rater", "trial", "token", "rating"]


def _plain(bundle: Bundle, session: str = "s1", rater: str = "ann") -> list[list[object]]:
    return [
        [session, rater, trial.id, trial.tokens[0], score]
        for trial, score in zip(bundle.lists["l00"], SCORES, strict=True)
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_plain_in_every_dialect(bundle: Bundle, delimiter: str, mark: str, end: str) -> None:
    text = mark + _csv([PLAIN, *_plain(bundle)], delimiter).replace("\n", end)
    path = bundle.folder.parent / "plain.csv"
    path.write_bytes(text.encode())
    report = ingest(bundle, [path])
    assert report.files[0].format == "plain"
    assert report.refusals == []
    assert _given(_stored(bundle)[0]) == _expected(bundle, "l00")


def test_plain_with_all_its_columns(bundle: Bundle) -> None:
    header = ["RATING", *PLAIN[:4], "position", "list", "rt_ms", "heard", "plays", "at", "mine"]
    trial = bundle.lists["l00"][0]
    row = [4, "s1", "", "", trial.tokens[0], 3, "l00", 1234.5, 0.97, 2, "2026-11-27T11:00:00+01:00",
           "=1"]  # fmt: skip
    assert _ingest(bundle, _csv([header, row])).refusals == []
    (session,) = _stored(bundle)
    assert session.responses == (
        Response(
            trial.id, 3, trial.tokens, (4.0,), 1234.5, (0.97,), (2,), "2026-11-27T10:00:00.000Z"
        ),
    )
    assert session.started_at == "2026-11-27T10:00:00.000Z"


@pytest.mark.parametrize("kind", ["cmos", "ab"])
def test_plain_pairs(tmp_path: Path, kind: str) -> None:
    bundle = made_bundles.write(tmp_path / kind, kind, 0.1)
    trial, other = bundle.lists["l00"][:2]
    rows = [["s", "r", trial.id, *trial.tokens, -1], ["s", "r", other.id, *other.tokens[::-1], 1]]
    assert _ingest(bundle, _csv([[*PLAIN[:4], "token2", "rating"], *rows])).refusals == []
    first, second = _stored(bundle)[0].responses
    assert (first.tokens, first.ratings) == (trial.tokens, (-1,))
    assert (second.tokens, second.ratings) == (other.tokens[::-1], (1,))


def test_plain_mushra(tmp_path: Path) -> None:
    bundle = made_bundles.write(tmp_path / "mushra", "mushra", 0.1)
    trial = bundle.lists["l00"][0]
    rows = [["s", "r", trial.id, token, score] for token, score in zip(trial.tokens, (9, 50, 100),
                                                                       strict=True)]  # fmt: skip
    assert _ingest(bundle, _csv([PLAIN, *rows])).refusals == []
    assert _given(_stored(bundle)[0]) == {trial.id: (9, 50, 100)}


def test_plain_session_of_two_raters_is_refused_row_by_row(bundle: Bundle) -> None:
    rows = _plain(bundle)
    rows[3][1] = "ben"
    report = _ingest(bundle, _csv([PLAIN, *rows]))
    assert [one.place for one in report.refusals] == ["line 5"]
    assert "rater is another than in line 2" in report.refusals[0].why
    assert len(_stored(bundle)[0].responses) == 6


def test_a_named_format_is_not_guessed(bundle: Bundle) -> None:
    text = _csv([PLAIN, *_plain(bundle)])
    assert "no column workerid" in _ingest(bundle, text, "p808").refusals[0].why
    assert _ingest(bundle, text, "plain").sessions == 1
    with pytest.raises(UserError, match="no format of ratings named 'csv'"):
        _ingest(bundle, text, "csv")
