"""The run's database locked, damaged, lost: told, saved, finished, and the same rows at the end."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from run_rows import rows

sys.path.insert(0, str(Path(__file__).parent))
from runs import command, finish, mamtra, n_done, start, until

from mamtra_eval import database
from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader
from mamtra_eval.store import Store

N = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some clips, undisturbed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    finish(start(command(folder, n=N, metrics="health,wer")))
    return folder


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be harmed."""
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def test_a_short_lock_is_waited_for(run: Path) -> None:
    other = sqlite3.connect(run / "run.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(3, other.execute, ("ROLLBACK",))
    timer.start()
    (run / "clips" / "cmd").rename(run / "clips" / "gone")
    finish(start(_again(run)))
    timer.join()
    other.close()
    assert n_done(run) == N


def test_a_long_lock_is_told_and_loses_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_S", 0.2)
    other = sqlite3.connect(run / "run.sqlite", isolation_level=None)
    with Store(run) as store:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UserError, match="another program has locked the run's database"), store:
            store.set_meta("baseline", "cmd")
    other.execute("ROLLBACK")
    other.close()
    with Store(run) as store:
        store.set_meta("baseline", "cmd")


def _truncate(share: float) -> Callable[[Path], None]:
    def harm(database: Path) -> None:
        size = database.stat().st_size
        with database.open("r+b") as file:
            file.truncate(int(size * share))

    return harm


def _zero(page: int, to: int) -> Callable[[Path], None]:
    def harm(database: Path) -> None:
        with database.open("r+b") as file:
            file.seek(4096 * page)
            file.write(b"\0" * 4096 * (to - page))

    return harm


def _garble_header(database: Path) -> None:
    with database.open("r+b") as file:
        file.write(b"\xff" * 64)


def _empty(database: Path) -> None:
    database.write_bytes(b"")


HARMS = {
    "cut in half": _truncate(0.5),
    "last page cut": _truncate(0.97),
    "almost all cut": _truncate(0.05),
    "pages of zeros": _zero(3, 9),
    "one page of zeros": _zero(12, 13),
    "first page gone": _zero(0, 1),
    "header garbled": _garble_header,
    "empty": _empty,
}


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARMS)
def test_damage_is_told_and_rescue_leads_to_the_same_rows(
    harm: str, run: Path, whole: Path
) -> None:
    HARMS[harm](run / "run.sqlite")
    if harm != "empty":
        errors = finish(start(_again(run)), code=2)
        assert "damaged" in errors
        assert f"mamtra-eval rescue {run}" in errors
    finish(start(mamtra("rescue", run)))
    assert [*run.glob("run.sqlite.damaged-1")]
    finish(start(_again(run)))
    assert rows(run) == rows(whole)
    with RunReader(run) as store:
        assert any("damaged" in note for note in store.notes())


def _again(run: Path) -> list[str]:
    """The command of the whole run, for a copy of it: its program lies beside the first one."""
    return mamtra("run", run / "run.yaml", "--out", run)


def test_rescue_keeps_what_can_be_read_and_makes_no_clip_again(run: Path) -> None:
    _zero(12, 13)(run / "run.sqlite")
    before = {path: path.stat().st_mtime_ns for path in (run / "clips").rglob("*.flac")}
    finish(start(mamtra("rescue", run)))
    finish(start(_again(run)))
    assert {path: path.stat().st_mtime_ns for path in (run / "clips").rglob("*.flac")} == before


def test_a_clip_that_was_cut_off_is_not_taken_back(run: Path, whole: Path) -> None:
    clip = next((run / "clips").rglob("*.flac"))
    clip.write_bytes(clip.read_bytes()[:50])
    _empty(run / "run.sqlite")
    finish(start(mamtra("rescue", run)))
    assert n_done(run) == N - 1
    finish(start(_again(run)))
    assert rows(run) == rows(whole)


def test_a_clip_that_was_changed_after_it_was_scored_is_made_again(run: Path, whole: Path) -> None:
    clip = next((run / "clips").rglob("*.flac"))
    clip.write_bytes(clip.read_bytes()[:-200])
    _zero(12, 13)(run / "run.sqlite")
    finish(start(mamtra("rescue", run)))
    finish(start(_again(run)))
    finish(start(mamtra("verify", run)))
    assert rows(run) == rows(whole)


def test_a_lost_log_is_told_and_rescue_leads_to_the_same_rows(tmp_path: Path, whole: Path) -> None:
    torn = tmp_path / "run"
    process = start(command(torn, n=N, metrics="health,wer", body="sleep 0.5"))
    until(lambda: n_done(torn) >= 2)
    process.kill()
    process.communicate()
    (torn / "run.sqlite-wal").unlink()
    (torn / "run.sqlite-shm").unlink(missing_ok=True)
    finish(start(mamtra("rescue", torn)))
    finish(start(_again(torn)))
    found, expected = rows(torn), rows(whole)
    assert {**found, "systems": 0} == {**expected, "systems": 0}  # another script


def test_without_its_configuration_a_run_is_left_as_it_is(run: Path) -> None:
    _zero(3, 9)(run / "run.sqlite")
    (run / "run.yaml").unlink()
    harmed = (run / "run.sqlite").read_bytes()
    assert "run.yaml is missing" in finish(start(mamtra("rescue", run)), code=2)
    assert (run / "run.sqlite").read_bytes() == harmed


def test_a_rescue_that_fails_puts_the_database_back(run: Path) -> None:
    with Store(run) as store:
        store._db.execute("UPDATE metrics SET signature = 'another'")
    harmed = (run / "run.sqlite").read_bytes()
    assert "as another" in finish(start(mamtra("rescue", run)), code=2)
    assert (run / "run.sqlite").read_bytes() == harmed


def test_damage_that_is_met_while_reading_is_told(run: Path) -> None:
    _zero(3, 9)(run / "run.sqlite")
    errors = finish(start(mamtra("report", run)), code=2)
    assert f"mamtra-eval rescue {run}" in errors


@pytest.mark.slow
def test_a_second_run_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    slow = command(tmp_path / "run", body="sleep 2", n=8)
    first = start(slow)
    until(lambda: n_done(tmp_path / "run") >= 1)
    errors = finish(start(slow), code=2)
    assert "another process is writing this run" in errors
    assert "another process" in finish(start(mamtra("rescue", tmp_path / "run")), code=2)
    finish(start(mamtra("report", tmp_path / "run")))  # reading beside a writer is no harm
    finish(first)
    assert n_done(tmp_path / "run") == 8


def test_a_run_can_be_moved_and_goes_on(run: Path, tmp_path: Path, whole: Path) -> None:
    moved = tmp_path / "elsewhere" / "moved"
    moved.parent.mkdir()
    run.rename(moved)
    next((moved / "clips").rglob("*.flac")).unlink()
    finish(start(_again(moved)))
    finish(start(mamtra("verify", moved)))
    columns = {table: found for table, found in rows(moved).items() if table != "utterances"}
    expected = {table: found for table, found in rows(whole).items() if table != "utterances"}
    assert columns == expected
