"""``env`` as a user types it; making one is tested in ``tests/environments``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mamtra_eval import environments
from mamtra_eval.cli import app
from mamtra_eval.environments import PART, RECORD, lockfiles
from mamtra_eval.errors import UserError


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAMTRA_EVAL_ENVS", str(tmp_path))
    return tmp_path


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["env", *arguments])


def _refusal(*arguments: str) -> str:
    done = _run(*arguments)
    assert isinstance(done.exception, UserError), done.output
    return str(done.exception)


def _rows() -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(_run("list", "--json").stdout)}


def _pretend(root: Path, name: str, digest: str | None = None, torch: str | None = None) -> None:
    """Something that looks complete, of the package's lock unless another is given."""
    found = digest or lockfiles.read(environments.locks()[name]).digest
    (root / name / "bin").mkdir(parents=True)
    (root / name / "bin" / "python").symlink_to(sys.executable)
    record = {"lock": found, "python": "3.11.9", "torch": torch, "created": "2026-01-01T00:00:00"}
    (root / name / RECORD).write_text(json.dumps(record), "utf-8")


def test_the_list_tells_how_it_stands(root: Path) -> None:
    _pretend(root, "zonos", torch="torch==2.6.0")
    _pretend(root, "old", "of long ago")
    (root / "cosyvoice2").mkdir()
    (root / "cosyvoice2" / PART).touch()
    (root / "llasa").mkdir()  # somebody's own
    rows = _rows()
    assert {name: row["state"] for name, row in rows.items()} == {
        "cosyvoice2": "interrupted", "llasa": "absent", "old": "outdated", "zonos": "created",
    }  # fmt: skip
    assert rows["zonos"]["torch"] == "torch==2.6.0"
    assert rows["llasa"]["distributions"] > 40
    assert "XCodec2" in rows["llasa"]["about"]
    lines = _run("list").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["cosyvoice2", "interrupted"], ["llasa", "absent"], ["old", "outdated"],
        ["zonos", "created"],
    ]  # fmt: skip


def test_one_is_shown_with_what_to_do(root: Path) -> None:
    assert "Make it with: mamtra-eval env create zonos\n" in _run("show", "zonos").stdout
    _pretend(root, "zonos", "another")
    text = _run("show", "zonos").stdout
    assert "state: outdated" in text
    assert "env create zonos --recreate" in text
    _pretend(root, "llasa")
    text = _run("show", "llasa").stdout
    assert "state: created" in text
    assert f"folder: {root / 'llasa'}" in text
    assert "python: 3.11.9" in text
    assert "Make it" not in text


def test_a_complete_one_is_left_alone_and_says_so(root: Path) -> None:
    _pretend(root, "zonos")
    done = _run("create", "zonos")
    assert done.exit_code == 0
    assert "was there, complete" in done.stdout
    document = json.loads(_run("create", "zonos", "--json").stdout)
    assert document["made"] is False
    assert document["python"] == str(root / "zonos" / "bin" / "python")


def test_a_removed_one_is_gone(root: Path) -> None:
    _pretend(root, "zonos")
    assert "is removed" in _run("remove", "zonos").stdout
    assert not (root / "zonos").exists()
    assert "nothing to remove" in _run("remove", "zonos").stdout


@pytest.mark.parametrize("command", ["create", "show", "remove"])
def test_an_unknown_name_has_a_near_match(command: str) -> None:
    text = _refusal(command, "cosyvoice")
    assert "there is no environment named 'cosyvoice'. Did you mean cosyvoice2?" in text


def test_another_python_than_the_locks_is_refused(root: Path) -> None:
    fake = root / "python"
    fake.write_text("#!/bin/sh\necho 3.9.1\n", "utf-8")
    fake.chmod(0o755)
    text = _refusal("create", "zonos", "--python", str(fake))
    assert "it is Python 3.9.1; the lock of zonos was resolved for 3.11" in text
    assert not (root / "zonos").exists()
