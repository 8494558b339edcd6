"""What nobody should send: refused with a reason, and nothing else is lost."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import RATINGS, Bundle
from mamtra_eval.listening.ingest import Report, ingest
from mamtra_eval.listening.ingest.formats import FORMATS
from mamtra_eval.listening.ratings import Ratings
from mamtra_eval.listening.simulating import simulate
from tests.listening import made_bundles

HEADER = ["session", "rater", "trial", "token", "rating", "position", "rt_ms", "heard", "at"]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return [made_bundles.write(folder / kind, kind, 0.1) for kind in ("mos", "cmos", "mushra")]


@pytest.fixture
def bundle(bundles: list[Bundle], tmp_path: Path) -> Bundle:
    """A copy without audio and ratings."""
    left_out = shutil.ignore_patterns("site", "ratings")
    return Bundle(shutil.copytree(bundles[0].folder, tmp_path / "bundle", ignore=left_out))


def _good(bundle: Bundle) -> list[dict[str, object]]:
    at = datetime(2026, 11, 27, 1, tzinfo=UTC)
    return [
        {"session": "s1", "rater": "ann", "trial": trial.id, "token": trial.tokens[0], "rating": 3,
         "position": place, "rt_ms": 2000, "heard": 1,
         "at": (at + timedelta(seconds=10 * place)).isoformat()}
        for place, trial in enumerate(bundle.lists["l00"], start=1)
    ]  # fmt: skip


def _take(bundle: Bundle, rows: list[dict[str, object]]) -> Report:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER)
    writer.writeheader()
    writer.writerows(rows)
    path = bundle.folder.parent / "ratings.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    return ingest(bundle, [path])


def _n(bundle: Bundle) -> int:
    return sum(len(one.responses) for one in Ratings(bundle.folder / RATINGS).sessions())


NOT_THERE = "s_" + "0" * 32


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("token", NOT_THERE, "no token"),
        ("token", "../../etc/passwd", "no token"),
        ("token", made_bundles.token("gold"), "is not of trial"),
        ("trial", "l00_99", "no trial"),
        ("trial", "l01_03", "is not of list l00"),
        ("trial", "l00_01", "answered before"),
        ("rating", 6, "off the scale"),
        ("rating", 0, "off the scale"),
        ("rating", 3.5, "off the scale"),
        ("rating", -1e300, "off the scale"),
        ("rating", "NaN", "no number"),
        ("rating", "inf", "no number"),
        ("rating", "1e400", "no number"),
        ("rating", "4; DROP TABLE sessions", "no number"),
        ("rating", "=1+1", "no number"),
        ("rating", "٣", "no number"),
        ("rating", "0x3", "no number"),
        ("rating", "1_0", "no number"),
        ("position", 0, "position"),
        ("position", 8, "position"),
        ("position", 1.5, "position"),
        ("position", 2, "position 2 was taken before"),
        ("rt_ms", -1, "time to answer"),
        ("rt_ms", 1e12, "time to answer"),
        ("rt_ms", "soon", "time to answer"),
        ("heard", 1.01, "share heard"),
        ("heard", "nan", "share heard"),
        ("at", "2026-11-27T00:50:00Z", "before the answer before it"),
        ("at", "2999-01-01T00:00:00Z", "future"),
        ("at", "yesterday", "not ISO 8601"),
        ("at", "0001-01-01T00:00:00+23:00", "not ISO 8601"),
    ],
)
def test_one_bad_answer_is_refused_alone(
    bundle: Bundle, column: str, value: object, why: str
) -> None:
    rows = _good(bundle)
    rows[2][column] = value
    report = _take(bundle, rows)
    assert [one.place for one in report.refusals] == ["line 4"]
    assert why in report.refusals[0].why
    assert _n(bundle) == 6
    assert Ratings(bundle.folder / RATINGS).refusals() == report.refusals


def test_time_may_go_back_by_a_minute(bundle: Bundle) -> None:
    rows = _good(bundle)
    rows[2]["at"] = "2026-11-27T00:59:30Z"
    assert _take(bundle, rows).refusals == []


def test_a_clock_set_back_costs_one_answer(bundle: Bundle) -> None:
    rows = _good(bundle)
    for row in rows[3:]:
        row["at"] = str(row["at"]).replace("T01:", "T00:")
    assert [one.place for one in _take(bundle, rows).refusals] == ["line 5"]


def test_more_answers_than_the_list_has_trials(bundle: Bundle) -> None:
    rows = _good(bundle)
    report = _take(bundle, [*rows, rows[0]])
    assert "more answers than l00 has trials (7)" in report.refusals[0].why
    assert _n(bundle) == 7


def test_a_session_of_nothing_that_is_known(bundle: Bundle) -> None:
    rows = [{**row, "trial": "x", "session": "bad"} for row in _good(bundle)]
    report = _take(bundle, [*_good(bundle), *rows])
    assert len(report.refusals) == 7
    assert report.sessions == 1


def test_texts_that_look_like_formulas_are_kept_as_texts(bundle: Bundle, tmp_path: Path) -> None:
    lines = simulate(bundle, 1, 0)[0].splitlines()
    last = json.loads(lines[-1])
    said = {"note": '=HYPERLINK("http://x")', "more": 'A&B + 50% off "é" \ud800'}
    lines.insert(-1, json.dumps({**last, "type": "questionnaire", "answers": said}))
    lines[-1] = json.dumps({**last, "seq": last["seq"] + 1})
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines))
    assert ingest(bundle, [path]).refusals == []
    (session,) = Ratings(bundle.folder / RATINGS).sessions()
    assert session.facts["questionnaire"] == said


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ratings": [float("nan")]}, "no number"),
        ({"ratings": [float("inf")]}, "no number"),
        ({"ratings": [10**400]}, "no number"),
        ({"ratings": [True]}, "no number"),
        ({"ratings": [[4]]}, "no number"),
        ({"ratings": ["=1+1"]}, "no number"),
        ({"ratings": []}, "0 ratings where 1"),
        ({"ratings": [3, 3]}, "2 ratings where 1"),
        ({"ratings": {"a": 1}}, "no number"),
        ({"tokens": None}, "no token"),
        ({"tokens": []}, "0 of the 1 tokens"),
        ({"trial": {"$gt": ""}}, "no trial"),
        ({"trial": None}, "no trial"),
        ({"heard": "all"}, "share heard"),
        ({"plays": [-1]}, "number of plays"),
        ({"at": 1764237600}, "not ISO 8601"),
        ({"position": True}, "position"),
    ],
)
def test_one_bad_line_of_our_own_is_refused_alone(
    bundle: Bundle, tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    lines = [json.loads(line) for line in simulate(bundle, 1, 0)[0].splitlines()]
    lines[3].update(changes)
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    report = ingest(bundle, [path])
    assert [one.place for one in report.refusals] == ["line 4"]
    assert why in report.refusals[0].why
    assert _n(bundle) == 6


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[" * 100_000, "no JSON"),
        ('{"type":"event","detail":' + "[" * 30 + "]" * 30 + "}", "nested deeper"),
        ("[1, 2]", "no JSON object with a type"),
        ('{"type": 3}', "no JSON object with a type"),
        ('{"type":"event","seq":' + "9" * 5000 + "}", "no JSON"),
        ('{"type":"event","seq":-1}', "seq is '-1'"),
    ],
)
def test_lines_that_are_no_events(bundle: Bundle, tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{simulate(bundle, 1, 0)[0]}{line}\n")
    report = ingest(bundle, [path])
    assert [why in one.why for one in report.refusals] == [True]
    assert _n(bundle) == 7


PLAIN = b"session,rater,trial,token,rating\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (PLAIN + b"s,\xff\xfe,l00_01,t,4\n", "not UTF-8 at byte 36 (line 2)"),
        (b"\xef\xbb\xbf" + PLAIN + b"s,\xff\n", "not UTF-8 at byte 39 (line 2)"),
        (PLAIN + b"s,a\x00b,l00_01,t,4\n", "NUL byte at byte 37 (line 2)"),
        (PLAIN.decode().encode("utf-16"), "NUL byte at byte 4 (line 1)"),
        (PLAIN + b"s," + b"a" * 1_000_000 + b",t,u,4\n", "line 2 has 1000008 characters"),
        (PLAIN + b's,"open,l00_01,t,4\ns,r,l00_02,t,3\n', "line 2 opens isn't closed"),
        (PLAIN.replace(b"rater", b"trial"), "no known format"),
        (b"session,rater,trial,token,rating,rating\n1,2,3,4,5,6\n", "'rating' is there twice"),
        (b"%PDF-1.7\n%\xe2\xe3", "not UTF-8 at byte 11 (line 2)"),
        (b"SQLite format 3\x00" + b"\x01" * 5000, "not readable as a database of ratings"),
    ],
)
def test_a_file_that_is_none_is_refused_and_the_others_are_taken(
    bundle: Bundle, tmp_path: Path, content: bytes, why: str
) -> None:
    before, bad, after = (tmp_path / f"{name}.csv" for name in ("before", "bad", "after"))
    first, second = simulate(bundle, 2, 0)
    before.write_text(first)
    bad.write_bytes(content)
    after.write_text(second)
    report = ingest(bundle, [before, bad, after])
    assert report.sessions == 2
    assert [(one.file, one.place) for one in report.refusals] == [("bad.csv", "file")]
    assert why in report.refusals[0].why
    assert _n(bundle) == 14


def test_an_upload_of_fifty_megabytes_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    bad, good = tmp_path / "big.csv", tmp_path / "good.jsonl"
    with bad.open("wb") as file:
        file.write(PLAIN)
        file.truncate(50_000_001)
    good.write_text(simulate(bundle, 1, 0)[0])
    report = ingest(bundle, [bad, good])
    assert "the file has 50.0 MB; 50 MB is the most" in report.refusals[0].why
    assert _n(bundle) == 7


def test_a_refused_file_may_be_tried_again(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(PLAIN + b"\xff")
    for _ in range(2):
        assert "not UTF-8" in ingest(bundle, [path]).refusals[0].why
    assert len(Ratings(bundle.folder / RATINGS).refusals()) == 1


HEADERS = (
    b"", b"{", b"SQLite format 3\x00", PLAIN,
    b"session,rater,trial,token,token2,rating,at,heard,position,plays\n",
    b"session_test_id,participant_id,trial_id,stimuli_rating,stimuli,rating_time\n",
    b"wm_id;responses_stimulus;responses_score;questionaire_uuid\n",
    b"HITId,WorkerId,AssignmentId,Answer.q1,Answer.q1_url,Answer.audio_n_finish_q1,Answer.q1_order\n",
)  # fmt: skip
CELLS = st.lists(
    st.sampled_from(
        [b",", b";", b"\n", b"\r", b'"', b"[", b"l00_01", b"4", b"NA", b"-1e999", b"\xc3\xa9",
         made_bundles.token("gold").encode(), b'{"type":"session","seq":0}', b"\t", b"="]
    ),
    max_size=40,
).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(header=st.sampled_from(HEADERS), rest=st.one_of(st.binary(max_size=200), CELLS))
def test_no_bytes_bring_a_reader_to_fall(
    name: str, bundles: list[Bundle], tmp_path: Path, header: bytes, rest: bytes
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(header + rest)
    for bundle in bundles:
        try:
            sessions, refusals = FORMATS[name].read(bundle, path)
        except UserError as error:
            assert str(error)  # noqa: PT017 -- any other exception is the failure
        else:
            assert all(one.why and one.place for one in refusals)
            assert all(one.list_id in bundle.lists for one in sessions if one.responses)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
    | st.sampled_from(["l00_01", made_bundles.token("gold"), "2026-11-27T10:00:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner,
                                                               max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = ("seq", "at", "session", "participant", "list", "trial", "tokens", "ratings", "position",
        "rt_ms", "heard", "plays", "answers", "complete", "agent", "sha256", "agreed", "code",
        "seeks")  # fmt: skip
TYPES = (
    "session",
    "rating",
    "headphones",
    "questionnaire",
    "consent",
    "problem",
    "withdraw",
    "end",
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, 9), st.sampled_from(TYPES),
            st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5),
        ),
        max_size=4,
    )
)  # fmt: skip
def test_no_values_in_a_session_bring_ingest_to_fall(
    bundles: list[Bundle], tmp_path: Path, changes: list[tuple[int, str, dict[str, object]]]
) -> None:
    bundle = bundles[0]
    lines = [json.loads(line) for line in simulate(bundle, 1, 0)[0].splitlines()]
    for place, kind, values in changes:
        lines[place] = {**lines[place], **({"type": kind} if place else {}), **values}
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    (bundle.folder / RATINGS).unlink(missing_ok=True)
    report = ingest(bundle, [path])
    stored = Ratings(bundle.folder / RATINGS).sessions()
    assert len(stored) == report.sessions
    assert all(
        bundle.kind.scale.admits(rating)
        for one in stored
        for response in one.responses
        for rating in response.ratings
    )
