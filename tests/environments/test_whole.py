"""An environment holds what its lock names, wherever pip is set up to install; real processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mamtra_eval import environments
from mamtra_eval.environments import PART, RECORD, creating, lockfiles, running
from mamtra_eval.errors import UserError
from tests.environments import small_locks


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in small_locks.write(tmp_path).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_pips_own_variables_send_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*running.ELSEWHERE, "PIP_USER", "PYTHONPATH"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "wheels")  # where from is the user's own affair
    seen = (running._output_of(["env"]) or "").splitlines()
    assert {"PIP_USER=0", "PIP_FIND_LINKS=wheels"} <= set(seen)
    names = {line.partition("=")[0] for line in seen}
    assert not names & {*running.ELSEWHERE, "PYTHONPATH"}


def test_a_pip_that_installs_elsewhere_makes_no_environment(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a configuration file can have it, which no variable overrules."""
    config = place / "pip.conf"
    config.write_text(f"[install]\ntarget = {place / 'elsewhere'}\n", "utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    with pytest.raises(UserError, match=r"2 of its packages are not there \(tiny-dep==1\.0, say\)"):
        creating.create("tiny")
    assert environments.find("tiny") is None
    assert not (place / "envs" / "tiny").exists()


def test_names_are_compared_as_indexes_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creating, "distributions", lambda _: ["Tiny_Dep", "pip"])
    creating._require_whole(place, lockfiles.Lock(("tiny.dep==1.0",)))
    with pytest.raises(UserError, match=r"1 of its packages are not there \(b==2, say\)"):
        creating._require_whole(place, lockfiles.Lock(("tiny-dep==1.0",), ("b==2",)))


def test_what_stands_aside_is_not_listed(place: Path) -> None:
    for name in ("tiny", ".tiny.old"):
        folder = place / "envs" / name
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(sys.executable)
        (folder / RECORD).write_text("{}", "utf-8")
    assert [env.name for env in environments.created()] == ["tiny"]
    (place / "envs" / "tiny" / RECORD).rename(place / "envs" / "tiny" / PART)
    assert environments.created() == []
