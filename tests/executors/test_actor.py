"""The inside of a Ray actor, without Ray: which machine is fit, what is told of a batch."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import provenance
from mamtra_eval.errors import UserError
from mamtra_eval.executors._actor import Actor, Failed, Fell, Job, Result


class Half:
    """A handler that halves, and misbehaves when told to."""

    def __init__(self, how: str = "") -> None:
        if how == "broken":
            os._exit(9)
        if how == "absent":
            raise UserError("the weights are not here", fix="Fetch them.")

    def __call__(self, payloads: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for index, payload in enumerate(payloads):
            if payload == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if payload == "user error":
                raise UserError("no such voice")
            yield index, payload / 2


def _actor(folder: Path, how: str = "", **more: Any) -> Actor:
    (folder / "token").touch()
    values = {"handler": pickle.dumps((Half, (how,))), "timeout_s": 30.0, "folder": folder,
              "token": "token", "code": provenance.code(), **more}  # fmt: skip
    return Actor(Job(**values))


def test_a_machine_that_does_not_see_the_run_folder_is_unfit(tmp_path: Path) -> None:
    wrong = _actor(tmp_path, token="another").prepare()
    assert wrong == f"it does not see the run folder {tmp_path}"


def test_a_machine_with_another_version_of_this_package_is_unfit(tmp_path: Path) -> None:
    assert "another version of mamtra_eval" in str(_actor(tmp_path, code="0" * 64).prepare())


@pytest.mark.parametrize(
    ("how", "why"),
    [("broken", "did not start: the worker process ended with exit code 9"),
     ("absent", "the weights are not here. Fetch them.")],
)  # fmt: skip
def test_a_machine_on_which_nothing_starts_is_unfit_and_says_why(
    how: str, why: str, tmp_path: Path
) -> None:
    assert why in str(_actor(tmp_path, how).prepare())


def test_a_batch_is_told_event_by_event_and_a_death_leaves_a_fresh_worker(tmp_path: Path) -> None:
    actor = _actor(tmp_path)
    assert actor.prepare() is None
    assert [*actor.work([2, 4], together=False)] == [Result(0, 1.0), Result(1, 2.0)]
    fell = Fell("the worker process died: SIGKILL (out of memory?)", begun=True)
    assert [*actor.work([6, "die"], together=False)] == [Result(0, 3.0), fell]
    assert [*actor.work([8], together=False)] == [Result(0, 4.0)]
    actor.close()


def test_an_error_of_the_user_ends_the_run(tmp_path: Path) -> None:
    actor = _actor(tmp_path)
    [event] = actor.work(["user error"], together=False)
    assert isinstance(event, Failed)
    assert isinstance(event.error, UserError)
    actor.close()
