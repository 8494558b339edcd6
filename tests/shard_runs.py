"""Small runs in shards, for tests: the command line, a whole run to compare with, reports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

REPOSITORY = Path(__file__).parent.parent
MINI = REPOSITORY / "testsets" / "mini-en"
SYSTEMS = ("recorded", "es=espeak:voice=en-us")


def command(*arguments: object, systems: Iterable[str] = SYSTEMS, limit: int = 6) -> list[str]:
    """An evaluation of the digits."""
    return [
        sys.executable, "-m", "mamtra_eval", "evaluate", *systems, "--testset",
        str(MINI / "digits.lst"), "--limit", str(limit), "--metrics", "wer,health",
        *map(str, arguments),
    ]  # fmt: skip


def merging(out: Path, *shards: Path) -> list[str]:
    """The command that joins shards."""
    return [sys.executable, "-m", "mamtra_eval", "merge", str(out), *map(str, shards)]


def environment(**more: str) -> dict[str, str]:
    """For these commands as processes."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", **more}


def carry_out(
    arguments: list[str], cwd: Path, expected: int | None = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its exit code must be the expected one, if one is.

    What it says goes to files: jobs that go on after it would keep pipes open.
    """
    with TemporaryFile("w+") as out, TemporaryFile("w+") as errors:
        done = subprocess.run(
            arguments, cwd=cwd, env=environment(**variables), stdout=out, stderr=errors,
            timeout=300, check=False,
        )  # fmt: skip
        out.seek(0)
        errors.seek(0)
        said = subprocess.CompletedProcess(arguments, done.returncode, out.read(), errors.read())
    assert expected in (None, said.returncode), said.stderr
    return said


def start(arguments: list[str], cwd: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start a command and go on."""
    return subprocess.Popen(
        arguments, cwd=cwd, env=environment(**variables), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def leaderboard(folder: Path) -> str:
    """A run's leaderboard without its times: those of making, and what is said of them."""
    text = (folder / "leaderboard.md").read_text(encoding="utf-8")
    text = re.sub(r"## Cost\n\n[^\n]*\n\n(\|[^\n]*\n)+\n", "", text)
    text = re.sub(r"\n\nNote: Real-time factors are not shown[^\n]*", "", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text)


def files(folder: Path) -> dict[str, bytes]:
    """All clips of a run."""
    clips = folder / "clips"
    return {str(path.relative_to(clips)): path.read_bytes() for path in sorted(clips.rglob("*.*"))}


def script(folder: Path, seconds: float) -> str:
    """A target that notes its calls, takes some time, and fails for one utterance.

    The time is no part of it: asked for again with another, it is the same target.
    """
    path = folder / "speak.sh"
    (folder / "seconds").write_text(f"{seconds:g}")
    path.write_text(
        "#!/bin/sh\n"
        f'echo "$2" >> {folder}/calls\n'
        f"sleep $(cat {folder}/seconds)\n"
        'test "$2" = rms-d002 && exit 4\n'
        f'cp "{MINI}/recordings/$2.flac" "$1"\n'
    )
    path.chmod(0o755)
    return f"cmd=command:{path} {{out}} {{utterance}}"
