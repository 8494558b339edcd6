"""The pool with real processes: results, crashes, hangs, errors, a parent that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.executors.local import LocalExecutor


class Square:
    """A handler that squares, and misbehaves when told to."""

    def __init__(self, base: int = 0) -> None:
        self.base = base

    def __call__(self, payloads: Sequence[object]) -> Iterator[tuple[int, object]]:
        for index, payload in enumerate(payloads):
            if payload == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            if payload == "exit":
                os._exit(3)
            if payload == "hang":
                time.sleep(60)
            if payload == "user error":
                raise UserError("no such voice", where="here", fix="Choose another.")
            if payload == "bug":
                raise ZeroDivisionError("a bug")
            assert isinstance(payload, int)
            yield index, self.base + payload**2


def _run(
    batches: list[list[object]], workers: int = 2, timeout_s: float = 30.0
) -> tuple[dict, dict]:
    results: dict[object, object] = {}
    lost: dict[object, str] = {}
    LocalExecutor(workers, timeout_s).run(
        Square, (100,), batches, results.__setitem__, lost.__setitem__
    )
    return results, lost


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_payload_gets_its_result_whatever_the_number_of_workers(workers: int) -> None:
    results, lost = _run([[n, n + 1] for n in range(0, 20, 2)], workers)
    assert results == {n: 100 + n**2 for n in range(20)}
    assert lost == {}


def test_no_work_starts_no_process() -> None:
    assert _run([]) == ({}, {})


def test_a_crash_costs_one_payload() -> None:
    results, lost = _run([[1, "segfault", 2, 3], [4, "exit"], [5]])
    assert results == {n: 100 + n**2 for n in range(1, 6)}
    assert lost == {
        "segfault": "the worker process died: SIGSEGV; quarantined after 2 tries",
        "exit": "the worker process ended with exit code 3; quarantined after 2 tries",
    }


def test_a_hang_costs_one_payload_and_its_time() -> None:
    started = time.monotonic()
    results, lost = _run([["hang", 1], [2]], timeout_s=2.0)
    assert results == {1: 101, 2: 104}
    assert lost == {"hang": "no result within 2 s; the worker was ended; quarantined after 2 tries"}
    assert time.monotonic() - started < 30


def test_a_user_error_ends_the_run_with_all_it_says() -> None:
    with pytest.raises(UserError, match=r"here: no such voice. Choose another.") as caught:
        _run([[1], ["user error"], [2]])
    assert caught.value.fix == "Choose another."


def test_a_bug_in_a_handler_ends_the_run_and_is_named() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        _run([["bug"]])


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from mamtra_eval.executors.local import LocalExecutor\n"
        "class Sleepy:\n"
        "    def __call__(self, payloads):\n"
        "        print(os.getpid(), flush=True)\n"
        "        time.sleep(60)\n"
        "        yield 0, 0\n"
        "if __name__ == '__main__':\n"
        "    LocalExecutor(1).run(Sleepy, (), [[1]], print, print)\n",
        encoding="utf-8",
    )
    root = Path(__file__).parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True,
                          env=environment) as parent:  # fmt: skip
        assert parent.stderr is not None
        worker = int(parent.stderr.readline())
        parent.kill()
        deadline = time.monotonic() + 20
        while _alive(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(worker)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Noisy:
    """A handler that dies after its last result, and prints."""

    def __call__(self, payloads: Sequence[object]) -> Iterator[tuple[int, object]]:
        print("a library's chatter")
        yield 0, payloads[0]
        if payloads[0] == 1:
            threading.Timer(0.05, os._exit, [7]).start()


def test_a_death_is_not_blamed_on_what_was_never_begun(capfd: pytest.CaptureFixture[str]) -> None:
    results: dict[object, object] = {}
    lost: dict[object, str] = {}

    def keep(payload: object, result: object) -> None:
        time.sleep(0.3)  # the worker dies idle, before the next batch reaches it
        results[payload] = result

    LocalExecutor(1).run(Noisy, (), [[1], [2], [3]], keep, lost.__setitem__)
    assert results == {1: 1, 2: 2, 3: 3}
    assert lost == {}
    assert capfd.readouterr().out == ""  # what workers print goes to standard error


class Late:
    """A handler that can be made only when a file is there, which the first attempt leaves."""

    def __init__(self, mark: Path) -> None:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, payloads: Sequence[object]) -> Iterator[tuple[int, object]]:
        yield from enumerate(payloads)


def test_a_worker_that_is_killed_while_it_starts_is_replaced(tmp_path: Path) -> None:
    results: dict[object, object] = {}
    lost: dict[object, str] = {}
    args = (tmp_path / "mark",)
    LocalExecutor(1).run(Late, args, [[1], [2]], results.__setitem__, lost.__setitem__)
    assert results == {1: 1, 2: 2}
    assert lost == {}


class Broken:
    """A handler that can't be made."""

    def __init__(self) -> None:
        os._exit(9)


def test_workers_that_can_not_start_end_the_run_instead_of_failing_everything() -> None:
    lost: dict[object, str] = {}
    with pytest.raises(UserError, match=r"did not start: .*exit code 9"):
        LocalExecutor(2).run(Broken, (), [[1], [2]], print, lost.__setitem__)
    assert lost == {}
