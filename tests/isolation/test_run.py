"""A whole run with a system in a process of its own, in the pool's own workers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import HERE, group, until
from plugins import write_plugin

from mamtra_eval import config as configuration
from mamtra_eval.pipeline import evaluate
from mamtra_eval.reader import RunReader

PLUGIN = """
import os
from pathlib import Path
from mamtra_eval.isolation.placing import placed
from odd_systems import Odd

class Fickle(Odd):
    max_processes = 1
    def speak(self, request):
        with Path(self.options["pids"]).open("a") as file:
            file.write(f"{os.getpid()}\\n")
        if request.utterance in self.options["kill"].split("+"):
            self._do("speak", "kill")
        return super().speak(request)

def create(options):
    return placed("fickle", options, Fickle)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_plugin(tmp_path / "site", "fickle", PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.delitem(sys.modules, "fickle_plugin", raising=False)  # of the test before


def _run(meta: Path, out: Path, options: str, *overrides: str) -> dict[str, tuple[str, str | None]]:
    values = {"testset": str(meta), "systems": {"f": f"fickle:{options}"}, "metrics": ["health"],
              "execution": {"workers": 2}}  # fmt: skip
    folder = evaluate(configuration.build(values, overrides), out)
    with RunReader(folder) as store:
        return {row.key.utterance: (row.status, row.error) for row in store.clips()}


def test_a_death_is_one_row_of_failure_and_all_else_is_made(
    plugin, make_list: Callable[..., Path], tmp_path: Path
) -> None:
    meta, pids = make_list(5), tmp_path / "pids"
    found = _run(meta, tmp_path / "run", f"env=self,kill=u1,pids={pids}")
    status, error = found.pop("u1")
    assert status == "failed"
    assert error is not None
    assert error.startswith("its process died: SIGKILL")
    assert set(found.values()) == {("done", None)}
    seen = [int(line) for line in pids.read_text().split()]
    assert len(seen) == 5
    assert len(set(seen)) == 2
    assert until(lambda: not any(group(pid) for pid in seen))
    # The identity is that of the same system in this process: the run may go on with that.
    again = _run(meta, tmp_path / "run", f"env=none,kill=u1,pids={pids}")
    assert again == {**found, "u1": (status, error)}
    assert len(pids.read_text().split()) == 5


def test_a_system_that_dies_always_is_given_up_and_says_why(
    plugin, make_list: Callable[..., Path], tmp_path: Path
) -> None:
    meta, pids = make_list(6), tmp_path / "pids"
    every = "+".join(f"u{n}" for n in range(6))
    found = _run(meta, tmp_path / "run", f"env=self,env_deaths=2,kill={every},pids={pids}")
    assert {status for status, _ in found.values()} == {"failed"}
    errors = [str(found[f"u{n}"][1]) for n in range(6)]
    assert all(error.startswith("its process died: SIGKILL") for error in errors[:2])
    assert all("fickle is quarantined, it died 2 times in a row" in error for error in errors[2:])
    assert len(pids.read_text().split()) == 2
