"""A run whose targets are no addresses opens no connection, in whatever process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TRAP = """
import os, sys

LOG = os.environ["TRAP_LOG"]


def note(word):
    with open(LOG, "a") as file:
        file.write(f"{word}\\n")


def hook(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        note(f"CALL {event} {arguments[0]!r}")
        raise RuntimeError(f"{event} in a run without a network")
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if arguments[0].family.name in ("AF_INET", "AF_INET6"):
            note(f"CALL {event} {arguments[1]!r}")
            raise RuntimeError(f"{event} in a run without a network")


sys.addaudithook(hook)
note(f"process {os.getpid()}")
"""


class Trapped:
    """Runs commands in whose processes every look-up and connection is noted and refused."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "trap.log"
        (folder / "trap").mkdir()
        (folder / "trap" / "sitecustomize.py").write_text(TRAP)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder / "trap"), str(REPOSITORY)])
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "TRANSFORMERS_"))}
        return {**kept, "PYTHONPATH": path, "TRAP_LOG": str(self.log), "COLUMNS": "200"}

    def run(self, *arguments: object, code: int = 0, under: tuple[str, ...] = ()) -> str:
        command = [*under, sys.executable, "-m", "mamtra_eval", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment(), capture_output=True, text=True,
            timeout=400, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def noted(self) -> tuple[int, list[str]]:
        """How many processes were watched, and what was asked for."""
        lines = self.log.read_text().splitlines()
        watched = {line for line in lines if line.startswith("process ")}
        return len(watched), [line for line in lines if line.startswith("CALL ")]


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    return Trapped(tmp_path)


def evaluation(folder: Path, mini: Path) -> tuple[object, ...]:
    return (
        "evaluate", "recorded", "espeak", "--testset", mini, "--limit", 2, "--out", folder,
        "--set", "execution.workers=2",
    )  # fmt: skip


def test_the_trap_itself_snaps(trapped: Trapped) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=trapped.environment(), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert trapped.noted()[1]


@pytest.mark.slow
def test_commands_open_no_connection(trapped: Trapped, tmp_path: Path, mini: Path) -> None:
    run = tmp_path / "run"
    trapped.run(*evaluation(run, mini))
    assert trapped.noted()[0] >= 3  # the command and two workers at least
    trapped.run("report", run, "--embed")
    trapped.run("leaderboard", run)
    trapped.run("verify", run)
    trapped.run("list", "systems")
    trapped.run("list", "metrics")
    assert trapped.noted()[1] == []


@pytest.mark.slow
def test_doctor_opens_no_connection(trapped: Trapped) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mamtra_eval", "doctor"], cwd=trapped.folder,
        env=trapped.environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert trapped.noted()[1] == []


@pytest.mark.slow
def test_a_run_needs_no_network_at_all(trapped: Trapped, tmp_path: Path, mini: Path) -> None:
    program = shutil.which("unshare")
    if program is None:
        pytest.skip("unshare is not installed")
    under = (program, "--user", "--map-root-user", "--net")
    if subprocess.run([*under, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel gives no network namespace to this user")
    trapped.run(*evaluation(tmp_path / "run", mini), under=under)


def test_workers_tell_hubs_to_stay_offline() -> None:
    from mamtra_eval import offline
    from mamtra_eval.executors._hand import Hand, end

    hand = Hand(_Asker, (), 60.0)
    hand.give([*offline.VARIABLES], together=False)
    found = {}
    while len(found) < len(offline.VARIABLES):
        hand.hears(60.0)
        if (message := hand.read()) is not None:
            found[message[0]] = message[1]
    end([hand], [])
    assert [found[index] for index in range(len(found))] == [*offline.VARIABLES.values()]


def test_a_users_own_program_keeps_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from mamtra_eval import offline

    monkeypatch.setattr(offline, "_before", {})
    for name in offline.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    offline.stay()
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    outside = offline.outside()
    assert outside["HF_HUB_OFFLINE"] == "0"
    assert "TRANSFORMERS_OFFLINE" not in outside


class _Asker:
    """What its process has in its environment."""

    def __call__(self, names: list[str]):  # type: ignore[no-untyped-def]
        for index, name in enumerate(names):
            yield index, os.environ.get(name)
