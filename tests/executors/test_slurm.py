"""Slurm's executor without Slurm: what is submitted, what is refused, jobs as processes here."""

from __future__ import annotations

import os
import pickle
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from run_rows import rows
from shard_runs import carry_out, command, leaderboard, script, start

from mamtra_eval import config, pipeline, sharding
from mamtra_eval.config import ExecutionConfig
from mamtra_eval.errors import MissingExtra, UserError
from mamtra_eval.executors import slurm
from mamtra_eval.executors.slurm import Cluster, Job, ShardJob

submitit = pytest.importorskip("submitit")
LOCAL = ("--executor", "slurm", "--set", "execution.slurm.cluster=local")


def _settings(**given: Any) -> slurm.Settings:
    return Cluster.settings_of(ExecutionConfig(executor="slurm", slurm=given))


def test_parameters_go_to_submitit_by_their_own_names() -> None:
    found = _settings(partition="gpu", cpus_per_task=4, mem_gb=16, slurm_qos="high", clip_s=2.5)
    assert (found.cluster, found.slots, found.clip_s) == ("slurm", slurm.SLOTS, 2.5)
    assert found.parameters == {
        "slurm_partition": "gpu", "cpus_per_task": 4, "mem_gb": 16, "slurm_qos": "high",
        "slurm_array_parallelism": slurm.SLOTS, "timeout_min": slurm.TIMEOUT_MIN,
        "name": "mamtra-eval",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cluster": "debug"}, "cluster must be one of"),
        ({"nodes": 2}, "a shard is one process"),
        ({"tasks_per_node": 4}, "a shard is one process"),
        ({"clip_s": 0}, "clip_s must be a number above 0"),
        ({"array_parallelism": "many"}, "array_parallelism must be"),
    ],
)
def test_wrong_parameters_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        _settings(**given)


def test_parameters_that_submitit_does_not_know_are_refused_with_its_words(tmp_path: Path) -> None:
    settings = ExecutionConfig(slurm={"cluster": "local", "partitoin": "gpu"})
    with pytest.raises(UserError, match="partitoin"):
        Cluster(settings, tmp_path / "jobs")


def test_without_submitit_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "submitit", None)
    with pytest.raises(MissingExtra, match=r"mamtra-eval\[slurm\]|submitit"):
        Cluster(ExecutionConfig(), tmp_path / "jobs")


def test_without_slurm_it_is_said_before_anything_is_written(tmp_path: Path) -> None:
    arguments = command("--out", "out", "--executor", "slurm")
    done = carry_out(arguments, tmp_path, expected=2, PATH=str(tmp_path))
    assert "can't submit jobs" in done.stderr
    assert "execution.slurm.cluster=local" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("clips", "slots", "clip_s", "expected"),
    [
        (10, 8, 4.0, 8),  # one for each slot
        (3, 8, 4.0, 3),  # none without a clip
        (10_000, 8, 4.0, 45),  # a quarter of an hour: 225 clips each
        (10_000, 100, 4.0, 100),
        (0, 8, 4.0, 1),
    ],
)
def test_number_of_shards(clips: int, slots: int, clip_s: float, expected: int) -> None:
    assert sharding.default_count(clips, slots, clip_s) == expected


def test_nothing_but_plain_values_travels() -> None:
    job = ShardJob("/run/shards/plan.yaml", True)
    assert vars(job) == {"plan": "/run/shards/plan.yaml", "retry_failed": True}
    again = job.checkpoint("/run/shards/003", 3, 7)
    assert isinstance(again, submitit.helpers.DelayedSubmission)
    assert (again.function, again.args) == (job, ("/run/shards/003", 3, 7))
    assert b"mamtra_eval.executors.slurm" in pickle.dumps(job)  # by name, not by value


def test_squeue_says_which_jobs_are_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\nprintf '12_0\\n12_2\\n99\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    here = Cluster(ExecutionConfig(slurm={"cluster": "local"}), tmp_path / "jobs")
    (tmp_path / "ended").touch()
    jobs = [Job(f"12_{n}", "slurm", "", str(tmp_path / "no")) for n in range(3)]
    assert here.alive(jobs) == {"12_0", "12_2"}
    assert here.alive([Job("12_0", "slurm", "", str(tmp_path / "ended"))]) == set()
    program.write_text("#!/bin/sh\nexit 1\n")  # the controller does not answer: nobody is given up
    assert here.alive(jobs) == {"12_0", "12_1", "12_2"}


def test_last_words_are_the_end_of_the_log(tmp_path: Path) -> None:
    job = Job("1_0", "slurm", str(tmp_path / "log"), "")
    assert job.last_words() == ""
    (tmp_path / "log.out").write_text("said\n")
    (tmp_path / "log.err").write_text("")
    assert job.last_words() == "said"
    (tmp_path / "log.err").write_text("".join(f"line {n}\n" for n in range(100)))
    assert job.last_words().splitlines() == [f"line {n}" for n in range(88, 100)]


def test_a_system_that_stays_at_home_is_refused(tmp_path: Path) -> None:
    done = carry_out(
        command("--out", "out", *LOCAL, systems=["http://127.0.0.1:9/v1/audio/speech?model=x"]),
        tmp_path, expected=2,
    )  # fmt: skip
    assert "by this machine alone" in done.stderr


def test_detach_is_for_jobs(tmp_path: Path) -> None:
    done = carry_out(command("--out", "out", "--detach"), tmp_path, expected=2)
    assert "--detach is for jobs" in done.stderr


def test_jobs_as_processes_give_the_rows_of_one_run(tmp_path: Path) -> None:
    carry_out(command("--out", "whole"), tmp_path)
    arguments = command("--out", "out", *LOCAL, "--set", "execution.shards=2")
    done = carry_out(arguments, tmp_path)
    assert "Submitted: 2 shards of 2" in done.stderr
    assert "by jobs of a Slurm cluster" in done.stderr
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")
    assert leaderboard(tmp_path / "out") == leaderboard(tmp_path / "whole")
    again = carry_out(arguments, tmp_path)
    assert "Submitted" not in again.stderr
    other = carry_out([*arguments[:-1], "execution.shards=3"], tmp_path, expected=2)
    assert "the run there has 2 shards, this command 3" in other.stderr
    merged = carry_out([*arguments[:3], "merge", str(tmp_path / "out")], tmp_path)
    assert "Taken over: 0 clips, 0 readings" in merged.stderr


@pytest.mark.slow
def test_a_job_that_fails_is_told_with_its_log_and_only_its_shard_is_submitted_again(
    tmp_path: Path,
) -> None:
    carry_out(command("--out", "whole"), tmp_path)
    arguments = command("--out", "out", *LOCAL, "--set", "execution.shards=3")
    stranger = tmp_path / "out" / "shards" / "002" / "stranger"
    stranger.parent.mkdir(parents=True)
    stranger.touch()
    done = carry_out(arguments, tmp_path, expected=1)
    assert "Shard 2/3: job" in done.stderr
    assert "holds no run" in done.stderr  # what the job said last
    assert "of the shards 2/3" in done.stderr
    table = (tmp_path / "out" / "leaderboard.md").read_text(encoding="utf-8")
    assert "4/6" in table  # the others' rows are there
    stranger.unlink()
    done = carry_out(arguments, tmp_path)
    assert "Submitted: 1 shards of 3" in done.stderr
    assert rows(tmp_path / "out") == rows(tmp_path / "whole")


@pytest.mark.slow
def test_from_python_a_failed_job_is_an_error_and_rows_are_kept(tmp_path: Path) -> None:
    mini = Path(__file__).parents[2] / "testsets" / "mini-en" / "digits.lst"
    settings = config.build(
        {"testset": str(mini), "limit": 4, "metrics": ["health"], "systems": {"es": "espeak"},
         "execution": {"executor": "slurm", "shards": 2, "slurm": {"cluster": "local"}}}
    )  # fmt: skip
    stranger = tmp_path / "out" / "shards" / "001" / "stranger"
    stranger.parent.mkdir(parents=True)
    stranger.touch()
    with pytest.raises(UserError, match="1 of 2 shards were not finished") as caught:
        pipeline.evaluate(settings, tmp_path / "out")
    assert "holds no run" in str(caught.value)
    stranger.unlink()
    assert pipeline.evaluate(settings, tmp_path / "out") == tmp_path / "out"


@pytest.mark.slow
def test_detached_preempted_killed_and_taken_in(tmp_path: Path) -> None:
    target = script(tmp_path, 3.0)
    extra = ("--max-failures", "1", "--workers", "1")
    systems = ("recorded", target)
    carry_out(command("--out", "whole", *extra, systems=systems, limit=9), tmp_path)
    out = tmp_path / "out"
    arguments = command("--out", out, *extra, *LOCAL, "--set", "execution.shards=2",
                        systems=systems, limit=9)  # fmt: skip
    done = carry_out([*arguments, "--detach"], tmp_path)
    assert "Submitted: 2 shards of 2" in done.stderr
    done = carry_out([*arguments, "--detach"], tmp_path)
    assert "2 shards wait or run" in done.stderr
    first, second = (_task(out, index) for index in (1, 2))
    _await_clip(out / "shards" / "001")
    os.kill(first, signal.SIGUSR2)  # what submitit takes for a preemption: it starts again
    os.kill(second, signal.SIGKILL)
    waiting = start(arguments, tmp_path)
    time.sleep(3)
    os.kill(waiting.pid, signal.SIGKILL)  # the jobs go on without it
    waiting.wait()
    done = carry_out(arguments, tmp_path, expected=None)
    if done.returncode:  # the first to wait had not looked yet
        done = carry_out(arguments, tmp_path)
    assert rows(out) == rows(tmp_path / "whole")
    assert leaderboard(out) == leaderboard(tmp_path / "whole")
    logs = "".join(path.read_text() for path in (out / "shards" / "jobs").glob("*_log.out"))
    assert "Calling checkpoint method" in logs


def _task(out: Path, index: int) -> int:
    """The process that makes a shard: the child of submitit's own."""
    import json

    job = json.loads((out / "shards" / "jobs.json").read_text())["jobs"][str(index)]["id"]
    deadline = time.monotonic() + 30
    while not (found := Path(f"/proc/{job}/task/{job}/children").read_text().split()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return int(found[0])


def _await_clip(shard: Path) -> None:
    deadline = time.monotonic() + 60
    while not [*(shard / "clips" / "cmd").glob("*.flac")]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
