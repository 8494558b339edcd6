"""A disk that is full, a folder that can't be written: told, nothing lost, finished later."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from run_rows import rows

sys.path.insert(0, str(Path(__file__).parent))
from runs import command, finish, mamtra, n_done, start

pytestmark = pytest.mark.slow


def _mount(*arguments: object) -> None:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"can't mount here: {done.stderr.decode().strip()}")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", folder], check=True)


def _fill(folder: Path, leave: int) -> Path:
    """Fill a file system up to some bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    with ballast.open("r+b") as file:
        file.truncate(max(0, ballast.stat().st_size - leave))
    return ballast


@pytest.mark.parametrize("leave", [200_000, 330_000, 500_000])
def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(
    small: Path, tmp_path: Path, leave: int
) -> None:
    finish(start(command(tmp_path / "whole")))
    ballast = _fill(small, leave)
    again = command(tmp_path / "whole")
    again[again.index(str(tmp_path / "whole"))] = str(small / "run")
    errors = finish(start(again), code=2)
    assert "same command" in errors
    assert any(word in errors for word in ("No space left", "full", "disk I/O error"))
    before = n_done(small / "run")
    ballast.unlink()
    finish(start(again))
    assert n_done(small / "run") >= before
    assert rows(small / "run") == rows(tmp_path / "whole")


def test_a_folder_that_can_not_be_written_is_told_and_can_still_be_read(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    finish(start(command(run)))
    before = rows(run)
    _mount("--bind", run, run)
    try:
        _mount("-o", "remount,ro,bind", run)
        errors = finish(start(command(run)), code=2)
        assert str(run) in errors
        assert "writable" in errors
        finish(start(mamtra("verify", run)))
        finish(start(mamtra("leaderboard", run, "-o", tmp_path / "board.md")))
        assert rows(run) == before
    finally:
        subprocess.run(["umount", run], check=True)


def test_no_folder_can_be_made_where_nothing_may_be_written(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    _mount("--bind", closed, closed)
    try:
        _mount("-o", "remount,ro,bind", closed)
        arguments = command(tmp_path / "run")
        arguments[arguments.index(str(tmp_path / "run"))] = str(closed / "run")
        errors = finish(start(arguments), code=2)
        assert "the run folder can't be made" in errors
    finally:
        subprocess.run(["umount", closed], check=True)
