"""Runs on a Ray cluster of two nodes: the rows of a local run, whatever dies in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from run_rows import rows

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))
from ray_cluster import Cluster, cluster
from runs import finish, n_done, until

from mamtra_eval import results
from mamtra_eval.reader import RunReader

pytest.importorskip("ray", reason="the extra [ray] is not installed")
pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parent.parent.parent
N = 10


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    with cluster(1, 1) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path, mini: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a run of a program (a shell script's body) and of recordings; more options behind."""
    begun: list[subprocess.Popen[str]] = []

    def begin(out: str, body: str, *more: str) -> subprocess.Popen[str]:
        script = tmp_path / "speak.sh"
        script.write_text(
            f'#!/bin/sh\necho "$PPID $2" >> {tmp_path}/calls\n{body}\n'
            f'cp "{mini}/recordings/$2.flac" "$1"\n'
        )
        script.chmod(0o755)
        (tmp_path / "calls").unlink(missing_ok=True)
        target = f"cmd=command:{script} {{out}} {{utterance}}"
        command = [
            sys.executable, "-m", "mamtra_eval", "evaluate", target, "recorded", "--testset",
            str(mini / "digits.lst"), "--limit", str(N), "--metrics", "wer,health",
            "--max-failures", "9", "--out", str(tmp_path / out), *more,
        ]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def _calls(folder: Path) -> list[tuple[int, str]]:
    """Worker process and utterance of every call of the program since the last start."""
    file = folder / "calls"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(line.split()[0]), line.split()[1]) for line in lines]


def _figures(folder: Path) -> object:
    """Every figure with its interval, and every verdict."""
    with RunReader(folder) as store:
        found = results.collect(store)
    return [(system.row.name, system.values, system.n_failed) for system in found.systems]


def test_a_node_is_killed_in_the_middle_and_every_row_is_there_once(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    finish(start("local", "sleep 0.3"))
    with cluster(1, 1) as nodes:
        process = start("torn", "sleep 0.3", "--executor", "ray", "--address", nodes.address)
        until(lambda: 2 <= n_done(tmp_path / "torn") <= N - 4)
        nodes.kill(1)
        finish(process)
    assert rows(tmp_path / "torn") == rows(tmp_path / "local")
    assert len({worker for worker, _ in _calls(tmp_path)}) >= 2
    assert _figures(tmp_path / "torn") == _figures(tmp_path / "local")
    for clip in sorted((tmp_path / "local" / "clips").rglob("*.*")):
        torn = tmp_path / "torn" / clip.relative_to(tmp_path / "local")
        assert torn.read_bytes() == clip.read_bytes()


def test_a_machine_that_joins_later_is_used(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    with cluster(1) as nodes:
        process = start("grown", "sleep 0.7", "--executor", "ray", "--address", nodes.address)
        until(lambda: n_done(tmp_path / "grown"))
        nodes.add(1)
        finish(process)
    assert len({worker for worker, _ in _calls(tmp_path)}) == 2


def test_a_clip_that_kills_its_worker_is_quarantined_in_the_words_of_a_local_run(
    two_nodes: Cluster, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    poison = 'case "$2" in rms-d002) kill -9 $PPID; sleep 5;; esac'
    finish(start("local", poison))
    finish(start("ray", poison, "--executor", "ray", "--address", two_nodes.address))
    found = rows(tmp_path / "ray")
    assert found == rows(tmp_path / "local")
    errors = [error for *_, error in found["clips"] if error]
    assert errors == [
        "the worker process died: SIGKILL (out of memory?); quarantined after 2 tries"
    ]
    tried = [worker for worker, utterance in _calls(tmp_path) if utterance == "rms-d002"]
    assert len(tried) == len({*tried}) == 2


def test_a_hanging_clip_costs_its_time_and_nothing_else(
    two_nodes: Cluster, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    hang = 'case "$2" in rms-d002) sleep 100;; esac'
    more = ("--set", "execution.timeout_s=4", "--executor", "ray", "--address", two_nodes.address)
    finish(start("ray", hang, *more))
    errors = [error for *_, error in rows(tmp_path / "ray")["clips"] if error]
    assert errors == ["no result within 4 s; the worker was ended; quarantined after 2 tries"]


def test_an_actor_that_is_killed_is_nobodys_fault(
    two_nodes: Cluster, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    import psutil

    process = start("ray", "sleep 0.4", "--executor", "ray", "--address", two_nodes.address)
    until(lambda: n_done(tmp_path / "ray") >= 2)
    worker = psutil.Process(_calls(tmp_path)[-1][0])
    worker.parent().kill()
    finish(process)
    with RunReader(tmp_path / "ray") as store:
        assert [row.error for row in store.clips() if row.status != "done"] == []
    until(lambda: not worker.is_running())


def test_a_killed_driver_leaves_no_process_and_its_run_goes_on(
    two_nodes: Cluster, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    import psutil

    finish(start("local", "sleep 0.3"))
    more = ("--executor", "ray", "--address", two_nodes.address)
    process = start("torn", "sleep 0.3", *more)
    until(lambda: n_done(tmp_path / "torn") >= 3)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    workers = {worker for worker, _ in _calls(tmp_path)}
    until(lambda: not any(psutil.pid_exists(pid) for pid in workers))
    before = n_done(tmp_path / "torn")
    finish(start("torn", "sleep 0.3", *more))
    assert before < 2 * N
    assert rows(tmp_path / "torn") == rows(tmp_path / "local")


def test_without_a_cluster_it_says_how_to_start_one(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    process = start("none", "true", "--executor", "ray", "--address", "127.0.0.1:1")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "no Ray cluster answers" in errors
    assert "ray start --head" in errors


def test_where_nobody_has_room_it_says_so(
    two_nodes: Cluster, start: Callable[..., subprocess.Popen[str]]
) -> None:
    process = start("none", "true", "--executor", "ray", "--address", two_nodes.address,
                    "--set", "execution.cpus=64")  # fmt: skip
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "no machine of the Ray cluster can work (64 CPUs and 0 GPUs a worker)" in errors
