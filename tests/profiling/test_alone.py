"""Profiles are refused where they would be made beside other work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.profiling import alone


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_a_distributed_executor_is_refused(executor: str) -> None:
    with pytest.raises(UserError, match=executor):
        alone.check(executor)
    alone.check("local")
    alone.check()


def test_a_ray_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_RAYLET_PID", "1")
    with pytest.raises(UserError, match="Ray"):
        alone.check()


def test_the_command_refuses_before_it_measures(cli: Callable, tmp_path: Path) -> None:
    done = cli("profile", "espeak", "--executor", "ray", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "the executor ray" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_real_ray_worker_is_refused() -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-c", IN_A_WORKER], capture_output=True, text=True, timeout=120,
        check=False, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert "a worker of a Ray cluster" in done.stdout, done.stderr


IN_A_WORKER = """
import ray

def attempt():
    from mamtra_eval.profiling import alone
    try:
        alone.check()
    except Exception as error:
        return str(error)

ray.init(num_cpus=1, log_to_driver=False, include_dashboard=False)
print(ray.get(ray.remote(attempt).remote()))
"""
