"""Environments are complete or not there, whatever happens while they are made; real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mamtra_eval import environments
from mamtra_eval.environments import PART, RECORD, creating, running
from mamtra_eval.errors import UserError
from tests.environments import small_locks

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with locks, in which environments are made."""
    for name, value in small_locks.write(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def _create(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mamtra_eval", "env", "create", "tiny", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
    )  # fmt: skip


def _until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_in_the_middle_and_made_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place / "envs" / "tiny"
    monkeypatch.setenv("SMALL_PIP", "hang")
    first = _create("--python", str(place / "fake"))
    try:
        _until((place / "at-work").exists)
        assert (folder / PART).exists()
        assert environments.find("tiny") is None
        assert creating.at_work("tiny")
        second = _create()
        assert "another process is making" in second.communicate(timeout=60)[1]
        assert second.returncode == 2
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    _until(lambda: not creating.at_work("tiny"))  # for its pip dies with it
    assert environments.begun("tiny")
    assert environments.find("tiny") is None

    third = _create("--json")
    out, progress = third.communicate(timeout=120)
    assert third.returncode == 0, progress
    assert "clearing away what was interrupted" in progress
    made = environments.find("tiny")
    assert made is not None
    document = json.loads(out)
    assert (document["made"], document["lock"], document["torch"]) == (True, made.lock_hash, None)
    assert not environments.stale(made)
    assert not (folder / PART).exists()
    code = "import tiny_dep, tiny_voice; print(tiny_dep.version, tiny_voice.version)"
    ran = subprocess.run([made.python, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1.0", "2.0"]
    assert creating.create("tiny") == (made, False)

    assert creating.remove("tiny")
    assert not folder.exists()
    assert not creating.remove("tiny")


def test_a_complete_one_is_left_alone(place: Path) -> None:
    folder = place / "envs" / "tiny"
    _pretend(folder)
    before = (folder / RECORD).stat()
    found, made = creating.create("tiny")
    assert (found.folder, made) == (folder, False)
    assert (folder / RECORD).stat() == before
    with pytest.raises(UserError, match="here with the torch of its lock, not with torch==2"):
        creating.create("tiny", torch="torch==2.6.0")


def test_a_stale_one_stays_until_it_is_made_anew(place: Path) -> None:
    """pip fails at the new lock: its last words are told, and the old environment is back."""
    _pretend(place / "envs" / "tiny")
    small_locks.lock(place / "locks", "tiny", "tiny-voice==2.0", "tiny-dep==3.0")
    old = environments.find("tiny")
    assert old is not None
    assert environments.stale(old)
    with pytest.raises(UserError, match=r"another lock than this version's.*--recreate"):
        creating.create("tiny")
    with pytest.raises(UserError, match="ERROR: no network"):
        creating.create("tiny", python=str(place / "fake"), recreate=True)
    assert environments.find("tiny") == old
    assert sorted(path.name for path in environments.root().iterdir()) == [".tiny.lock", "tiny"]


def test_nothing_is_left_of_a_failure_but_its_last_words(place: Path) -> None:
    said: list[str] = []
    with pytest.raises(UserError) as caught:
        creating.create("tiny", python=str(place / "fake"), say=said.append)
    assert "-m pip install failed with exit code 1: line 3 / line 4" in caught.value.what
    assert caught.value.what.endswith("line 13 / ERROR: no network")
    assert environments.find("tiny") is None
    assert not (place / "envs" / "tiny").exists()
    assert said == [f"making {place / 'envs' / 'tiny'} with Python {small_locks.PYTHON}.99"]


def test_pip_is_asked_for_another_torch_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], str]] = []

    def listen(command: list[str], *_: object) -> None:
        if "pip" in command:
            asked.append((command[4:], Path(command[-1]).read_text("utf-8")))

    monkeypatch.setattr(creating, "call", listen)
    small_locks.lock(
        place / "locks", "tiny", "a==1", "nvidia-x==1", "torch==2.7.1", "# --no-deps", "b==2"
    )
    with pytest.raises(UserError, match="was made and has no Python"):  # for nothing was
        creating.create("tiny", torch="torch==2.6.0")
    assert not (place / "envs" / "tiny").exists()
    assert [text.split() for _, text in asked] == [["torch==2.6.0"], ["a==1"], ["b==2"]]
    assert ["--no-deps" in command for command, _ in asked] == [False, True, True]


def test_a_folder_of_somebody_else_is_never_touched(place: Path) -> None:
    precious = place / "envs" / "tiny" / "thesis.tex"
    precious.parent.mkdir(parents=True)
    precious.write_text("years", "utf-8")
    with pytest.raises(UserError, match="something else than an environment of ours"):
        creating.create("tiny")
    assert not creating.remove("tiny")
    assert precious.read_text("utf-8") == "years"


def test_a_recreation_that_was_killed_brings_the_old_one_back(place: Path) -> None:
    root = place / "envs"
    old = _pretend(root / ".tiny.old")
    half = root / "tiny"
    half.mkdir()
    (half / PART).touch()
    (half / "bin").mkdir()
    found, made = creating.create("tiny")
    assert (made, found.lock_hash) == (False, old)
    assert not (root / ".tiny.old").exists()


def test_a_recreation_that_was_killed_at_its_end_is_complete(place: Path) -> None:
    root = place / "envs"
    _pretend(root / "tiny")
    _pretend(root / ".tiny.old")
    assert creating.create("tiny")[1] is False
    assert not (root / ".tiny.old").exists()


def _pretend(folder: Path) -> str:
    """Something that looks complete, of the lock that is there."""
    from mamtra_eval.environments import lockfiles

    digest = lockfiles.read(environments.lock_of("tiny")).digest
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / RECORD).write_text(json.dumps({"lock": digest}), "utf-8")
    return digest


@pytest.mark.parametrize("damage", ["no record", "garbage", "a list", "no python"])
def test_what_is_not_complete_is_not_found(place: Path, damage: str) -> None:
    folder = place / "envs" / "tiny"
    _pretend(folder)
    assert environments.find("tiny") is not None
    if damage == "no record":
        (folder / RECORD).unlink()
    elif damage == "no python":
        (folder / "bin" / "python").unlink()
    else:
        (folder / RECORD).write_bytes({"garbage": b"\xff{", "a list": b"[]"}[damage])
    assert environments.find("tiny") is None


@pytest.mark.parametrize("name", ["", ".", "..", "../envs/tiny", "/etc"])
def test_a_name_is_never_a_path(place: Path, name: str) -> None:
    _pretend(place / "envs" / "tiny")
    assert environments.find(name) is None
    with pytest.raises(UserError, match="there is no environment named"):
        creating.create(name)


def test_where_environments_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAMTRA_EVAL_ENVS", str(tmp_path))
    assert environments.root() == tmp_path
    monkeypatch.delenv("MAMTRA_EVAL_ENVS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert environments.root() == Path("/data/mamtra-eval/envs")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert environments.root() == Path("/home/me/.local/share/mamtra-eval/envs")


def test_the_python_is_the_locks(tmp_path: Path) -> None:
    program, version = running.choose_python(None, small_locks.PYTHON, "tiny")
    assert os.access(program, os.X_OK)
    assert version.startswith(small_locks.PYTHON)
    with pytest.raises(UserError, match=r"there is no Python 3\.1 here"):
        running.choose_python(None, "3.1", "tiny")
    with pytest.raises(UserError, match=r"resolved for 3\.1\b"):
        running.choose_python(sys.executable, "3.1", "tiny")
    for wrong in (str(tmp_path), str(tmp_path / "none"), "/bin/false"):
        with pytest.raises(UserError, match="no Python that runs"):
            running.choose_python(wrong, small_locks.PYTHON, "tiny")


def test_progress_is_short() -> None:
    told = "Collecting torch==2.7.1 (from -r /somewhere/pins.txt (line 3))\n"
    assert running._short(told) == "Collecting torch==2.7.1"
    assert running._short("Installing collected packages: a, b, c\n") == "installing 3 packages"
