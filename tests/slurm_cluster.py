"""A Slurm cluster of one node on this machine, with all its files in one folder, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
CryptoType=crypto/none
MpiDefault=none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
ReturnToService=2
KillWait=5
JobRequeue=1
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> str | None:
    """Why there can be no cluster here, if there can't."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"{', '.join(absent)} not installed"
    return None if os.geteuid() == 0 else "slurmd wants root"


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Start it; the environment variables by which programs find it. It ends with the block."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().partition(".")[0]
    text = CONFIGURATION.format(host=host, ports=_free_ports(2), folder=folder)
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
    environment = {**os.environ, **variables}
    started: list[subprocess.Popen[bytes]] = []
    with (folder / "out").open("wb") as out:
        try:
            for program in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
                started.append(subprocess.Popen(program, env=environment, stdout=out, stderr=out))
                time.sleep(1)
            _await_node(environment, folder)
            yield variables
        finally:
            subprocess.run(["scancel", "--user=root"], env=environment, check=False)
            _await_quiet(environment)
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(30)


def ask(variables: dict[str, str], *command: str) -> str:
    """What a program of Slurm answers."""
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60,
        check=True,
    ).stdout  # fmt: skip


def _path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _await_node(environment: dict[str, str], folder: Path) -> None:
    command = ["sinfo", "--noheader", "--format=%t"]
    for _ in range(60):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(f"no node: {(folder / 'out').read_text(errors='replace')[-2000:]}")


def _await_quiet(environment: dict[str, str]) -> None:
    for _ in range(40):
        done = subprocess.run(["squeue", "--noheader"], env=environment, capture_output=True,
                              text=True, check=False)  # fmt: skip
        if not done.stdout.strip():
            return
        time.sleep(0.5)
