"""One worker a device, each of which sees its own alone."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

import pytest

from mamtra_eval import devices
from mamtra_eval.executors import Need
from mamtra_eval.executors.local import LocalExecutor


class Seen:
    """A handler that tells who it is and which devices it sees."""

    def __call__(self, payloads: Sequence[int]) -> Iterator[tuple[int, tuple[int, str | None]]]:
        for index, _ in enumerate(payloads):
            time.sleep(0.3)  # so that all workers get some
            yield index, (os.getpid(), os.environ.get(devices.VISIBLE))


def _run(need: Need, workers: int = 2, n: int = 12) -> set[tuple[int, str | None]]:
    seen: dict[int, tuple[int, str | None]] = {}
    batches = [[index] for index in range(n)]
    executor = LocalExecutor(workers, 60.0)
    executor.run(Seen, (), batches, seen.__setitem__, lambda *_: None, need)
    assert len(seen) == n
    return {*seen.values()}


def test_each_device_gets_a_worker_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible", lambda: ["0", "GPU-7"])
    found = _run(Need(1, per_device=True))
    assert sorted(str(device) for _, device in found) == ["0", "GPU-7"]


def test_several_workers_a_device_where_a_system_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible", lambda: ["0", "1"])
    found = _run(Need(2, per_device=True))
    assert sorted(str(device) for _, device in found) == ["0", "0", "1", "1"]


@pytest.mark.parametrize("visible", [[], ["0"]])
def test_with_one_device_or_none_nothing_is_hidden(
    visible: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    monkeypatch.setattr(devices, "visible", lambda: visible)
    found = _run(Need(1, per_device=True), n=2)
    assert [device for _, device in found] == [None]


def test_what_is_bound_to_one_worker_has_one_whatever_there_is() -> None:
    assert len(_run(Need(1), n=3)) == 1


def test_visible_devices_are_named_as_the_environment_names_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    assert devices.visible() == ["0", "1", "2"]
    monkeypatch.setenv(devices.VISIBLE, "GPU-a, 2")
    assert devices.visible() == ["GPU-a", "2"]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert devices.visible() == []
