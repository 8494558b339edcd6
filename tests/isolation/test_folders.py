"""Folders for audio: where there is room, removed, swept only when nobody holds them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mamtra_eval.isolation import folders


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "MEMORY", tmp_path)
    monkeypatch.setattr(folders, "ROOM", 1)
    return tmp_path


def _age(folder: Path) -> None:
    os.utime(folder, (1, 1))


def test_memory_is_preferred_where_there_is_room(base: Path, monkeypatch) -> None:
    folder, lock = folders.make()
    assert folder.parent == base
    assert folder.stat().st_mode & 0o777 == 0o700
    folders.remove(folder, lock)
    assert list(base.iterdir()) == []
    monkeypatch.setattr(folders, "ROOM", 2**62)
    monkeypatch.setattr("tempfile.tempdir", str(base / "t"))
    (base / "t").mkdir()
    for memory in (base, base / "absent"):
        monkeypatch.setattr(folders, "MEMORY", memory)
        folder, lock = folders.make()
        assert folder.parent == base / "t"
        folders.remove(folder, lock)


def test_a_folder_left_behind_is_swept_and_one_in_use_is_not(base: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from mamtra_eval.isolation import folders\n"
        "folders.MEMORY, folders.ROOM = Path(sys.argv[1]), 1\n"
        "folder, _ = folders.make(); (folder / '5.f32').write_bytes(b'x')\n"
        "print(folder, flush=True)\n"
        "os._exit(9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, base], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    left = Path(done.stdout.strip())
    mine, lock = folders.make()
    assert left.exists()  # young: its host may be about to lock it
    stranger = base / f"{folders.PREFIX}x"
    stranger.mkdir()
    for folder in (left, mine, stranger):
        _age(folder)
    other, another = folders.make()
    assert not left.exists()
    assert mine.exists()
    assert stranger.exists()  # nobody knows whose
    folders.remove(mine, lock)
    folders.remove(other, another)
    shutil.rmtree(stranger)
