"""SIGKILL at any moment, then again: the rest is finished, nothing repeated, the same rows."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from run_rows import rows

from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parent.parent


def _script(folder: Path, mini: Path) -> Path:
    """A synthesizer that notes every call and fails for one utterance."""
    script = folder / "speak.sh"
    script.write_text(
        "#!/bin/sh\n"
        f'echo "$2" >> {folder}/calls\n'
        'test "$2" = rms-d002 && exit 4\n'
        f'cp "{mini}/recordings/$2.flac" "$1"\n'
    )
    script.chmod(0o755)
    return script


def _command(mini: Path, script: Path, out: Path) -> list[str]:
    return [
        sys.executable, "-m", "mamtra_eval", "evaluate", "recorded", "es=espeak:voice=en-us",
        f"cmd=command:{script} {{out}} {{utterance}}", "--testset", str(mini / "digits.lst"),
        "--limit", "10", "--metrics", "wer,health", "--max-failures", "1", "--out", str(out),
        "--json",
    ]  # fmt: skip


def _start(command: list[str], cwd: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_killed_and_resumed_equals_undisturbed(seed: int, tmp_path: Path, mini: Path) -> None:
    script = _script(tmp_path, mini)
    calls = tmp_path / "calls"
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    started = time.monotonic()
    assert _start(_command(mini, script, whole), tmp_path).wait(120) == 0
    duration = time.monotonic() - started
    calls.unlink()

    rng, kills = random.Random(seed), 0
    done_before_kill: set[str] = set()
    for _ in range(4):
        process = _start(_command(mini, script, torn), tmp_path)
        time.sleep(rng.uniform(0.15, 0.7) * duration)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait(30)
        with suppress(UserError):  # killed before the folder was a run's
            done_before_kill |= _done(torn, "cmd")
    assert kills > 0
    counted = _count(calls, done_before_kill)
    assert _start(_command(mini, script, torn), tmp_path).wait(120) == 0
    assert _count(calls, done_before_kill) == counted  # what was done was not done again
    assert rows(torn) == rows(whole)
    for clip in sorted((whole / "clips").rglob("*.*")):
        assert (torn / clip.relative_to(whole)).read_bytes() == clip.read_bytes()


def _done(folder: Path, system: str) -> set[str]:
    with RunReader(folder) as store:
        return {row.key.utterance for row in store.clips()
                if row.key.system == system and row.status != "planned"}  # fmt: skip


def _count(calls: Path, utterances: set[str]) -> int:
    lines = calls.read_text().split() if calls.exists() else []
    return sum(line in utterances for line in lines)


def test_an_interrupt_ends_quickly_says_how_to_go_on_and_leaves_no_process(
    tmp_path: Path, mini: Path
) -> None:
    command = [
        sys.executable, "-m", "mamtra_eval", "evaluate", "recorded", "--testset",
        str(mini / "meta.lst"), "--metrics", "wer", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, start_new_session=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while not _readings(tmp_path / "run") and time.monotonic() < deadline:
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert output == ""
    assert errors == "Interrupted. The same command goes on from here.\n"
    assert _readings(tmp_path / "run") > 0
    deadline = time.monotonic() + 10
    while _group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _group_lives(process.pid)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _readings(folder: Path) -> int:
    try:
        with RunReader(folder) as store:
            return len(store.reading_keys())
    except UserError:  # not there yet, or not complete
        return 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_programs_end_with_the_run_that_started_them(
    how: signal.Signals, tmp_path: Path, mini: Path
) -> None:
    script = tmp_path / "slow.sh"
    script.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\nsleep 300\n")
    script.chmod(0o755)
    command = [
        sys.executable, "-m", "mamtra_eval", "evaluate", f"s=command:{script} {{out}} {{text}}",
        "--testset", str(mini / "meta.lst"), "--metrics", "health", "--out", str(tmp_path / "run"),
    ]  # fmt: skip
    process = _start(command, tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "pids").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(how)
    process.wait(20)
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert pids
    deadline = time.monotonic() + 15
    while any(_group_lives(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_group_lives(pid) for pid in pids)
