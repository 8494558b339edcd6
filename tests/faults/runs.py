"""Small runs as real processes, for what happens to them from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader

REPOSITORY = Path(__file__).parent.parent.parent
MINI = REPOSITORY / "testsets" / "mini-en"


def command(
    out: Path, *more: str, n: int = 6, body: str = "", metrics: str = "health"
) -> list[str]:
    """The command of a run of a program beside ``out``, whose shell script begins with ``body``."""
    script = out.parent / "speak.sh"
    text = f'#!/bin/sh\n{body}\ncp "{MINI}/recordings/$2.flac" "$1"\n'
    if not script.exists() or script.read_text() != text:
        script.write_text(text)
        script.chmod(0o755)
    target = f"cmd=command:{script} {{out}} {{utterance}}"
    return [
        sys.executable, "-m", "mamtra_eval", "evaluate", target, "--testset",
        str(MINI / "digits.lst"), "--limit", str(n), "--metrics", metrics, "--max-failures", "9",
        "--out", str(out), *more,
    ]  # fmt: skip


def start(arguments: list[str], **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
    )  # fmt: skip


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Standard error of a process that ends with this exit code."""
    _, errors = process.communicate(timeout=240)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    return errors


def mamtra(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mamtra_eval", *map(str, arguments)]


def n_done(folder: Path) -> int:
    try:
        with RunReader(folder) as store:
            return sum(row.status == "done" for row in store.clips())
    except UserError:  # not there yet
        return 0


def until(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)
