"""The collector's database: nothing lost, nothing double, lists balanced."""

from __future__ import annotations

import json
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.listening.collect.lines import MAX_LINE_BYTES, MAX_LINES, Refused
from mamtra_eval.listening.collect.reading import read_sessions
from mamtra_eval.listening.collect.records import Begun, Collected, Unavailable
from tests.listening.collect_pages import REPOSITORY, record, secret, uuid

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
LISTS = ("l00", "l01", "l02")
FIRST = json.dumps({"seq": 0, "type": "session", "session": uuid(1), "list": "l00"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "collected.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Collected]:
    made = Collected(path, patience_s=0.1)
    yield made
    made.close()


def begin(
    store: Collected,
    number: int,
    participant: str | None = None,
    now: datetime = NOW,
    lists: tuple[str, ...] = LISTS,
) -> Begun:
    name = f"p{number}" if participant is None else participant
    return store.begin(uuid(number), secret(number), name, "", "", lists, now)


def finish(store: Collected, number: int, given: str, now: datetime = NOW, end: object = True):
    return store.append(uuid(number), secret(number), record(uuid(number), given, end=end), now)


def kept(path: Path) -> dict[str, tuple[str, ...]]:
    return {one.session: one.lines for one in read_sessions(path)}


def test_one_session_from_its_beginning_to_its_end(store: Collected, path: Path) -> None:
    assert store.begin(uuid(1), secret(1), "p", "study", "sub", LISTS, NOW) == ("l00", 0)
    lines = record(uuid(1), "l00")
    assert store.append(uuid(1), secret(1), lines[:2], NOW) == (2, False)
    assert begin(store, 1, "p") == ("l00", 2)
    later = NOW + timedelta(minutes=5)
    assert store.append(uuid(1), secret(1), lines[1:], later) == (6, True)
    assert store.append(uuid(1), secret(1), lines, later) == (6, True)
    (one,) = read_sessions(path)
    assert (one.participant, one.study, one.submission, one.list) == ("p", "study", "sub", "l00")
    assert (one.started_at, one.last_at) == ("2026-11-27T10:00:00.000Z", "2026-11-27T10:05:00.000Z")
    assert one.complete
    assert one.lines == tuple(lines)


def test_the_file_is_its_owners_and_has_no_secret(store: Collected, path: Path) -> None:
    begin(store, 1)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert secret(1).encode() not in file.read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_any_order_of_batches_gives_the_same_lines(slices: list[tuple[int, int]]) -> None:
    lines = record(uuid(1), "l00", trials=7)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.sqlite")
        store = Collected(path)
        begin(store, 1)
        count = 0
        for start, stop in slices:
            batch = lines[start:stop]
            if batch and start > count:
                with pytest.raises(Refused) as refused:
                    store.append(uuid(1), secret(1), batch, NOW)
                assert (refused.value.reason, refused.value.next_seq) == ("gap", count)
            else:
                count = max(count, min(stop, len(lines)) if batch else 0)
                answer = store.append(uuid(1), secret(1), batch, NOW)
                assert answer == (count, count == len(lines))
            assert kept(path)[uuid(1)] == tuple(lines[:count])
        assert store.append(uuid(1), secret(1), lines, NOW) == (len(lines), True)
        store.close()
        assert kept(path)[uuid(1)] == tuple(lines)


def test_another_line_in_a_place_that_is_taken_is_refused(store: Collected, path: Path) -> None:
    begin(store, 1)
    lines = record(uuid(1), "l00")
    store.append(uuid(1), secret(1), lines[:3], NOW)
    with pytest.raises(Refused) as refused:
        store.append(uuid(1), secret(1), [lines[1].replace("[2]", "[5]"), lines[3]], NOW)
    assert (refused.value.reason, refused.value.next_seq) == ("conflict", 3)
    assert kept(path)[uuid(1)] == tuple(lines[:3])


def test_lines_before_a_refused_one_are_kept(store: Collected, path: Path) -> None:
    begin(store, 1)
    lines = record(uuid(1), "l00")
    with pytest.raises(Refused) as refused:
        store.append(uuid(1), secret(1), [*lines[:2], "{", lines[2]], NOW)
    assert (refused.value.reason, refused.value.next_seq) == ("form", 2)
    assert kept(path)[uuid(1)] == tuple(lines[:2])


@pytest.mark.parametrize("end", [True, False, None, "yes"])
def test_only_an_end_that_says_so_is_complete(end: object, store: Collected, path: Path) -> None:
    begin(store, 1)
    assert finish(store, 1, "l00", end=end) == (6, True)
    assert [one.complete for one in read_sessions(path)] == [end is True]
    with pytest.raises(Refused, match="ended"):
        store.append(uuid(1), secret(1), ['{"seq": 6, "type": "event"}'], NOW)


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        ("", "form", "not JSON"),
        ("[" * 16000, "form", "not JSON"),
        ('{"seq": 0, "type": "session"', "form", "not JSON"),
        ('{"seq": 0, "type": "x", "n": ' + "9" * 5000 + "}", "form", "not JSON"),
        ("[]", "form", "no JSON object"),
        ("null", "form", "no JSON object"),
        ('{"type": "session"}', "form", "no seq"),
        ('{"seq": true, "type": "session"}', "form", "no seq"),
        ('{"seq": 0.0, "type": "session"}', "form", "no seq"),
        ('{"seq": "0", "type": "session"}', "form", "no seq"),
        ('{"seq": -1, "type": "session"}', "form", "no seq"),
        (f'{{"seq": {MAX_LINES}, "type": "x"}}', "size", "at most"),
        ('{"seq": 0}', "form", "no type"),
        ('{"seq": 0, "type": 3}', "form", "no type"),
        ('{"seq": 0, "type": ""}', "form", "no type"),
        ('{"seq": 0, "type": "x", "n": NaN}', "form", "not finite"),
        ('{"seq": 0, "type": "x", "n": [1e999]}', "form", "not finite"),
        ('{"seq": 0,\n"type": "session"}', "form", "line break"),
        ('{"seq": 0, "type": "x", "n": "\0"}', "form", "NUL"),
        ('{"seq": 0, "type": "x", "n": "\\u0000"}', "form", "NUL"),
        ('{"seq": 0, "type": "x", "n": "\ud800"}', "form", "surrogate"),
        ('{"seq": 0, "type": "x", "n": {"\\ud800": 1}}', "form", "surrogate"),
        (FIRST[:-1] + ', "n": "' + "é" * (MAX_LINE_BYTES // 2) + '"}', "size", "longer"),
        ('{"seq": 0, "type": "rating"}', "form", "first line"),
        (FIRST.replace(uuid(1), uuid(2)), "form", "first line"),
        (FIRST.replace("l00", "l01"), "conflict", "the list l00"),
        (FIRST.replace("0,", "1,", 1), "gap", "Line 0 is due"),
    ],
)
def test_lines_that_are_refused(
    line: str, reason: str, words: str, store: Collected, path: Path
) -> None:
    begin(store, 1)
    with pytest.raises(Refused, match=words) as refused:
        store.append(uuid(1), secret(1), [line], NOW)
    assert (refused.value.reason, refused.value.next_seq) == (reason, 0)
    assert kept(path)[uuid(1)] == ()
    assert store.append(uuid(1), secret(1), [FIRST], NOW) == (1, False)


def test_a_line_of_the_greatest_length_is_kept_byte_for_byte(store: Collected, path: Path) -> None:
    begin(store, 1)
    start = FIRST[:-1] + ', "text": "A&B + 50% \u2028 \U0001f600 '
    line = start + "é" * ((MAX_LINE_BYTES - len(start.encode()) - 2) // 2) + '"}'
    line = line[:-2] + "x" * (MAX_LINE_BYTES - len(line.encode())) + '"}'
    assert len(line.encode()) == MAX_LINE_BYTES
    store.append(uuid(1), secret(1), [line], NOW)
    assert kept(path)[uuid(1)] == (line,)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=4), st.text(max_size=40))
def test_anything_is_kept_or_refused(texts: list[str], more: str) -> None:
    value = json.dumps({"seq": 1, "type": "event", "detail": more})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.sqlite")
        store = Collected(path)
        begin(store, 1)
        lines = [FIRST, value, *texts]
        try:
            count = store.append(uuid(1), secret(1), lines, NOW).next_seq
        except Refused as refused:
            count = refused.next_seq or 0
        store.close()
        assert kept(path)[uuid(1)] == tuple(lines[:count])
        assert count == (1 if "\0" in more else 2)


@pytest.mark.parametrize("wrong", [secret(2), "", "\ud800", secret(1).upper() + "0"])
def test_a_wrong_secret_is_told_nothing(wrong: str, store: Collected, path: Path) -> None:
    begin(store, 1)
    with pytest.raises(Refused) as refused:
        store.append(uuid(1), wrong, [FIRST], NOW)
    assert (refused.value.reason, refused.value.next_seq) == ("secret", None)
    assert kept(path)[uuid(1)] == ()
    if wrong == secret(2):
        with pytest.raises(Refused, match="secret"):
            store.begin(uuid(1), wrong, "", "", "", LISTS, NOW)


@pytest.mark.parametrize("session", [uuid(9), "", "\ud800", "' OR 1=1 --"])
def test_a_session_that_was_not_begun(session: str, store: Collected) -> None:
    with pytest.raises(Refused) as refused:
        store.append(session, secret(1), [FIRST], NOW)
    assert refused.value.reason == "unknown"


@pytest.mark.parametrize(
    ("session", "key", "participant"),
    [
        ("x", secret(1), ""), (uuid(1) + "\n", secret(1), ""),
        (uuid(0xABC).upper(), secret(1), ""), (uuid(1), "0" * 31, ""),
        (uuid(1), secret(1), "x" * 201), (uuid(1), secret(1), "a\0"),
        (uuid(1), secret(1), "\udc00"),
    ],
)  # fmt: skip
def test_identifiers_that_are_refused(
    session: str, key: str, participant: str, store: Collected, path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        store.begin(session, key, participant, "", "", LISTS, NOW)
    assert refused.value.reason == "form"
    assert kept(path) == {}


@pytest.mark.parametrize("named", [True, False])
def test_500_participants_one_after_the_other(named: bool, store: Collected) -> None:
    lists = tuple(f"l{number:02d}" for number in range(7))
    counts: Counter[str] = Counter()
    for number in range(1, 501):
        given_list = begin(store, number, None if named else "", lists=lists).list
        counts[given_list] += 1
        assert max(counts.values()) - min(counts[name] for name in lists) <= 1
        assert given_list == lists[(number - 1) % 7]  # one replicate after the other


def test_lists_of_those_who_left_go_out_again(store: Collected, path: Path) -> None:
    rng, now, complete = random.Random(0), NOW, Counter[str]()
    number = 0
    while sum(complete.values()) < 120:
        number += 1
        now += timedelta(minutes=90)  # each is done, or taken to have left, before the next
        given_list = begin(store, number, now=now).list
        if rng.random() < 0.4:
            store.append(uuid(number), secret(number), record(uuid(number), given_list)[:3], now)
        else:
            finish(store, number, given_list, now)
            complete[given_list] += 1
        assert max(complete.values()) - min(complete[name] for name in LISTS) <= 1
    assert number > 150
    assert Counter(one.list for one in read_sessions(path) if one.complete) == complete


def test_silence_is_counted_from_the_last_sign(store: Collected) -> None:
    assert [begin(store, number).list for number in (1, 2, 3)] == ["l00", "l01", "l02"]
    later = NOW + timedelta(minutes=50)
    store.append(uuid(1), secret(1), [FIRST], later)
    begin(store, 3, now=later)
    after = NOW + timedelta(minutes=61)
    assert begin(store, 4, now=after).list == "l01"  # of the second, who is silent for 61 minutes
    assert begin(store, 5, now=after).list == "l00"


@pytest.mark.parametrize("how", ["withdraw", "end"])
def test_the_list_of_a_session_that_ended_early_goes_out_at_once(
    how: str, store: Collected
) -> None:
    assert begin(store, 1).list == "l00"
    line = json.dumps({"seq": 1, "type": how, "complete": False})
    store.append(uuid(1), secret(1), [FIRST, line], NOW)
    assert begin(store, 2).list == "l00"


def test_who_has_withdrawn_completes_nothing(store: Collected, path: Path) -> None:
    begin(store, 1)
    more = [
        json.dumps({"seq": 1, "type": "withdraw"}),
        '{"seq": 2, "type": "end", "complete": true}',
    ]
    assert store.append(uuid(1), secret(1), [FIRST, *more], NOW) == (3, True)
    assert not next(read_sessions(path)).complete
    assert begin(store, 2).list == "l00"


def test_who_comes_again(store: Collected, path: Path) -> None:
    assert begin(store, 1, "anna").list == "l00"
    assert begin(store, 2, "ben").list == "l01"
    assert begin(store, 3, "anna").list == "l00", "not completed yet: the same"
    assert begin(store, 4, "cleo").list == "l02"
    assert begin(store, 5, "dora").list == "l00", "anna's two sessions are one person"
    finish(store, 3, "l00")
    assert begin(store, 6, "anna").list == "l01", "completed: another, although l00 is first"
    finish(store, 6, "l01")
    assert begin(store, 7, "anna").list == "l02"
    finish(store, 7, "l02")
    assert begin(store, 8, "anna").list in LISTS, "all completed: any"
    assert begin(store, 9, "ben", NOW + timedelta(days=2)).list == "l01", "however late"
    assert sum(one.participant == "anna" for one in read_sessions(path)) == 5


def test_several_threads(store: Collected, path: Path) -> None:
    def take_part(number: int) -> None:
        given_list = begin(store, number).list
        for line in record(uuid(number), given_list):
            store.append(uuid(number), secret(number), [line], NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take_part, range(1, 41)))
    sessions = list(read_sessions(path))
    assert sorted(Counter(one.list for one in sessions).values()) == [13, 13, 14]
    assert all(one.lines == tuple(record(one.session, one.list)) for one in sessions)


def test_several_processes_from_a_file_that_is_not_there(path: Path) -> None:
    program = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from mamtra_eval.listening.collect.records import Collected
path, first = Path(sys.argv[1]), int(sys.argv[2])
path.with_suffix(f".{first}").touch()
while len(list(path.parent.iterdir())) < 3:
    time.sleep(0.001)
store = Collected(path, patience_s=30)
for number in range(first, first + 100):
    session = f"00000000-0000-0000-0000-{number:012x}"
    lists = ("l00", "l01", "l02")
    store.begin(session, f"{number:032x}", f"p{number}", "", "", lists, datetime.now(UTC))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(1000 * place)],
                         cwd=REPOSITORY)
        for place in range(3)
    ]  # fmt: skip
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert Counter(one.list for one in read_sessions(path)) == dict.fromkeys(LISTS, 100)


def test_a_database_that_is_locked_loses_nothing(store: Collected, path: Path) -> None:
    begin(store, 1)
    store.append(uuid(1), secret(1), [FIRST], NOW)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    line = '{"seq": 1, "type": "event"}'
    with pytest.raises(Unavailable):
        store.append(uuid(1), secret(1), [line], NOW)
    assert kept(path)[uuid(1)] == (FIRST,)  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    assert store.append(uuid(1), secret(1), [line], NOW) == (2, False)


def test_a_disk_that_is_full_loses_nothing(store: Collected, path: Path) -> None:
    begin(store, 1)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count={pages + 2}")
    lines = [FIRST] + [
        json.dumps({"seq": seq, "type": "event", "detail": "x" * 1000}) for seq in range(1, 60)
    ]
    done = 0
    with suppress(Unavailable):
        while done < 60:
            done = store.append(uuid(1), secret(1), lines[done : done + 2], NOW).next_seq
    assert 0 < done < 60
    with pytest.raises(Unavailable, match="full"):
        store.append(uuid(1), secret(1), lines[done:], NOW)
    assert kept(path)[uuid(1)] == tuple(lines[:done])
    store._db.execute(f"PRAGMA max_page_count={pages + 200}")
    assert store.append(uuid(1), secret(1), lines, NOW) == (60, False)


def test_reading_what_is_not_there_or_no_database(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing has been collected"):
        list(read_sessions(tmp_path / "none.sqlite"))
    text = tmp_path / "text.sqlite"
    text.write_text("not a database, but long enough to be looked at" * 40)
    with pytest.raises(UserError, match="not readable"):
        list(read_sessions(text))
    with pytest.raises(UserError, match="can't be opened"):
        Collected(text)
    with pytest.raises(UserError, match="can't be opened"):
        Collected(tmp_path / "no folder" / "c.sqlite")


def test_reading_sees_one_moment(store: Collected, path: Path) -> None:
    for number in (1, 2):
        begin(store, number)
    reading = read_sessions(path)
    assert next(reading).lines == ()
    finish(store, 2, "l01")
    assert next(reading).lines == ()
    assert list(reading) == []
    assert len(kept(path)[uuid(2)]) == 6
