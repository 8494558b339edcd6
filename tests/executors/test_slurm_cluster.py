"""A real Slurm: an array with jobs requeued, cancelled, waited for anew gives one run's rows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from run_rows import rows
from shard_runs import carry_out, command, files, leaderboard, script, start
from slurm_cluster import ask, cluster, lacking

from mamtra_eval.reader import RunReader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(lacking() is not None, reason=f"no Slurm here: {lacking()}"),
]
SHARDS = 3
EXTRA = ("--max-failures", "1", "--workers", "1")
SLURM = ("--executor", "slurm", "--set", "execution.slurm.partition=all", "--set",
         f"execution.shards={SHARDS}")  # fmt: skip


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables of a running cluster."""
    pytest.importorskip("submitit")
    with cluster(tmp_path_factory.mktemp("slurm")) as variables:
        yield variables


def _command(tmp_path: Path, seconds: float, *more: object) -> list[str]:
    systems = ("recorded", "es=espeak:voice=en-us", script(tmp_path, seconds))
    return command(*EXTRA, *more, systems=systems, limit=9)


def _running(slurm: dict[str, str]) -> list[str]:
    return ask(slurm, "squeue", "-h", "-r", "-t", "running", "-o", "%i").split()


def _done(folder: Path, system: str) -> int:
    """Clips of a shard that are made, as far as can be told."""
    if not (folder / "run.sqlite").is_file():
        return 0
    return len([*(folder / "clips" / system).glob("*.flac")])


def _until(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_requeued_job_goes_on_and_the_merged_run_is_the_undisturbed_one(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    carry_out(_command(tmp_path, 0, "--out", "whole"), tmp_path)
    (tmp_path / "calls").unlink()
    out = tmp_path / "out"
    process = start(_command(tmp_path, 2, "--out", out, *SLURM), tmp_path, **slurm)
    _until(lambda: _done(out / "shards" / "001", "cmd") >= 1)
    [first] = [job for job in _running(slurm) if job.endswith("_0")]
    ask(slurm, "scontrol", "requeue", first)
    _until(lambda: first not in _running(slurm))
    time.sleep(6)  # KillWait, in which a job that does not leave by itself is killed
    ask(slurm, "scontrol", "update", f"jobid={first}", "starttime=now")
    assert process.wait(200) == 0
    assert rows(out) == rows(tmp_path / "whole")
    assert files(out) == files(tmp_path / "whole")
    assert leaderboard(out) == leaderboard(tmp_path / "whole")
    calls = (tmp_path / "calls").read_text().split()
    assert len(calls) - len({*calls}) <= 1  # what the job was at, no more, is made again
    with RunReader(out / "shards" / "001") as shard:
        assert len(shard.meta("starts")) == 2
    with RunReader(out) as store:
        assert store.meta("distributed") == "slurm"


def test_a_job_told_that_it_will_be_preempted_is_put_back_by_submitit(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    carry_out(_command(tmp_path, 0, "--out", "whole"), tmp_path)
    out = tmp_path / "out"
    process = start(_command(tmp_path, 2, "--out", out, *SLURM), tmp_path, **slurm)
    _until(lambda: _done(out / "shards" / "002", "cmd") >= 1)
    [second] = [job for job in _running(slurm) if job.endswith("_1")]
    ask(slurm, "scancel", "--signal=USR2", second)
    _until(lambda: second not in _running(slurm))
    time.sleep(6)
    ask(slurm, "scontrol", "update", f"jobid={second}", "starttime=now")
    assert process.wait(200) == 0
    said = "".join(path.read_text() for path in (out / "shards" / "jobs").glob("*_1_*.out"))
    assert "Calling checkpoint method" in said
    assert rows(out) == rows(tmp_path / "whole")
    assert leaderboard(out) == leaderboard(tmp_path / "whole")


def test_a_cancelled_job_is_told_and_the_same_command_finishes_it(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    carry_out(_command(tmp_path, 0, "--out", "whole"), tmp_path)
    out = tmp_path / "out"
    arguments = _command(tmp_path, 3, "--out", out, *SLURM)
    done = carry_out([*arguments, "--detach"], tmp_path, **slurm)
    assert "Submitted: 3 shards of 3" in done.stderr
    again = carry_out([*arguments, "--detach"], tmp_path, **slurm)
    assert "Submitted" not in again.stderr
    assert "3 shards wait or run" in again.stderr
    _until(lambda: _done(out / "shards" / "003", "cmd") >= 1)
    [third] = [job for job in _running(slurm) if job.endswith("_2")]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(carry_out, arguments, tmp_path, expected=1, **slurm)
        time.sleep(3)
        ask(slurm, "scancel", third)
        told = waiting.result().stderr
    assert "Submitted" not in told
    assert f"Shard 3/3: job {third} ended before it was done" in told
    assert "CANCELLED" in told  # the end of its log
    assert "of the shards 3/3" in told
    found = carry_out(arguments, tmp_path, **slurm)
    assert "Submitted: 1 shards of 3" in found.stderr
    assert rows(out) == rows(tmp_path / "whole")
    assert leaderboard(out) == leaderboard(tmp_path / "whole")


def test_the_command_killed_while_it_waits_finds_its_jobs_again(
    slurm: dict[str, str], tmp_path: Path
) -> None:
    carry_out(_command(tmp_path, 0, "--out", "whole"), tmp_path)
    out = tmp_path / "out"
    arguments = _command(tmp_path, 1, "--out", out, *SLURM)
    process = start(arguments, tmp_path, **slurm)
    _until(lambda: _done(out / "shards" / "001", "cmd") >= 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = carry_out(arguments, tmp_path, **slurm)
    assert "Submitted" not in done.stderr
    assert rows(out) == rows(tmp_path / "whole")
