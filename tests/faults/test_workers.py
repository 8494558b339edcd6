"""A clip that takes its worker down, hangs, or eats all memory: a row, and no other is harmed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from plugins import write_plugin
from run_rows import rows

sys.path.insert(0, str(Path(__file__).parent))
from runs import REPOSITORY, command, finish, n_done, start, until

PLUGIN = '''"""Hums, and misbehaves for the utterances that it is told to."""
import os, resource, signal
import numpy as np
from pathlib import Path
from mamtra_eval.audio import Clip
from mamtra_eval.registry import read_options
from mamtra_eval.systems import System

class Odd(System):
    def __init__(self, how, at, notes):
        self.how, self.at, self.notes = how, at.split("+"), Path(notes)
    def identity(self, requests):
        return {}
    def speak(self, request):
        with self.notes.open("a") as file:
            file.write(f"{os.getpid()} {request.utterance}\\n")
        if request.utterance in self.at:
            getattr(self, self.how)()
        return Clip(np.full(16000, 0.1, np.float32), 16000)
    def segfault(self):
        os.kill(os.getpid(), signal.SIGSEGV)
    def memory(self):
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        np.ones(1 << 40)
    def killed(self):  # as the kernel does when memory is out
        os.kill(os.getpid(), signal.SIGKILL)
    def gpu(self):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    def gpu_once(self):
        if self.notes.read_text().split().count(self.at[0]) == 1:
            self.gpu()

def create(options):
    return Odd(**read_options("odd", options, {"how": "segfault", "at": "", "notes": ""}))
'''


@pytest.fixture
def plugins(tmp_path: Path) -> str:
    """A PYTHONPATH on which a distribution with the system ``odd`` lies."""
    folder = tmp_path / "plugins"
    write_plugin(folder, "odd", PLUGIN)
    return f"{folder}{os.pathsep}{REPOSITORY}"


def _run(
    out: Path, plugins: str, how: str, *more: str, at: str = "rms-d002"
) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """Errors by utterance; worker and utterance of every attempt."""
    notes = out.parent / "notes"
    arguments = command(out, *more)
    where = next(i for i, one in enumerate(arguments) if one.startswith("cmd=command:"))
    arguments[where] = f"odd=odd:how={how},at={at},notes={notes}"
    finish(start(arguments, PYTHONPATH=plugins))
    errors = {row[1]: row[8] for row in rows(out)["clips"] if row[4] == "failed"}
    lines = [line.split() for line in notes.read_text().splitlines()]
    return errors, [(int(pid), utterance) for pid, utterance in lines]


TWICE = "; quarantined after 2 tries"


@pytest.mark.parametrize(
    ("how", "reason", "attempts"),
    [
        ("segfault", f"the worker process died: SIGSEGV{TWICE}", 2),
        ("killed", f"the worker process died: SIGKILL (out of memory?){TWICE}", 2),
        ("gpu", "the worker's GPU was lost (RuntimeError: CUDA error: an illegal memory", 2),
        ("memory", "Unable to allocate 8.00 TiB", 1),
    ],
)
def test_one_clip_is_lost_with_its_reason_and_no_other(
    how: str, reason: str, attempts: int, plugins: str, tmp_path: Path
) -> None:
    errors, tried = _run(tmp_path / "run", plugins, how)
    assert [*errors] == ["rms-d002"]
    assert reason in errors["rms-d002"]
    assert n_done(tmp_path / "run") == 5
    workers = [pid for pid, utterance in tried if utterance == "rms-d002"]
    assert len(workers) == len({*workers}) == attempts


def test_a_gpu_that_fails_once_costs_nothing_but_its_worker(plugins: str, tmp_path: Path) -> None:
    errors, tried = _run(tmp_path / "run", plugins, "gpu_once")
    assert errors == {}
    workers = [pid for pid, utterance in tried if utterance == "rms-d002"]
    assert len({*workers}) == 2


def test_a_system_that_only_dies_is_given_up_after_some_clips(plugins: str, tmp_path: Path) -> None:
    every = "awb-d001+rms-d001+kal16-d001+slt-d001+awb-d002+rms-d002"
    more = ("--set", "execution.give_up=2")
    errors, tried = _run(tmp_path / "run", plugins, "segfault", *more, at=every)
    assert len(errors) == 6
    assert len(tried) < 12
    assert any(error.startswith("given up: ") for error in errors.values())


def test_a_model_that_hangs_costs_its_time(tmp_path: Path) -> None:
    hang = 'test "$2" = rms-d002 && sleep 60'
    more = ("--set", "execution.timeout_s=3")
    finish(start(command(tmp_path / "run", *more, body=hang)))
    [error] = [row[8] for row in rows(tmp_path / "run")["clips"] if row[4] == "failed"]
    assert error == "no result within 3 s; the worker was ended; quarantined after 2 tries"


def test_a_killed_worker_is_replaced_and_its_clip_made(tmp_path: Path) -> None:
    notes = tmp_path / "workers"
    body = f'echo "$PPID" >> {notes}\nsleep 1'
    process = start(command(tmp_path / "run", body=body))
    until(notes.exists)
    os.kill(int(notes.read_text().split()[0]), 9)
    finish(process)
    assert n_done(tmp_path / "run") == 6
