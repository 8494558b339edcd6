"""Where a system runs, by its options; and what is asked of it there without making it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import HERE
from plugins import write_plugin

import mamtra_eval
from mamtra_eval.diagnosis import Check
from mamtra_eval.errors import UserError
from mamtra_eval.isolation import placing
from mamtra_eval.isolation.guest import GUEST
from mamtra_eval.isolation.placing import ISOLATION_DEFAULTS, interpreter_of, placed
from mamtra_eval.isolation.system import Isolated
from mamtra_eval.systems import System, noise


@dataclass(frozen=True)
class Environment:
    name: str
    folder: Path
    python: Path
    lock_hash: str


class Environments:
    """Stands in for the room of that name: what there is, without making any."""

    def __init__(self) -> None:
        self.made: dict[str, Environment] = {}

    def find(self, name: str) -> Environment | None:
        return self.made.get(name)

    def locks(self) -> dict[str, Path]:
        return {"noise": Path("noise.txt"), "zonos": Path("zonos.txt")}


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> Environments:
    found = Environments()
    monkeypatch.setitem(sys.modules, "mamtra_eval.environments", found)
    monkeypatch.setattr(mamtra_eval, "environments", found, raising=False)
    return found


def _place(**options: object) -> tuple[System, dict]:
    seen: list[dict] = []

    def make(rest: dict) -> System:
        seen.append(rest)
        return noise.create(rest)

    return placed("noise", options, make), seen[0]


def test_without_an_environment_it_runs_here(environments: Environments) -> None:
    for options in ({}, {"env": "auto"}, {"env": "none", "env_timeout_s": "5"}):
        system, rest = _place(level_db=-30, **options)
        assert isinstance(system, noise.Noise)
        assert rest == {"level_db": -30}


def test_its_environment_is_taken_where_there_is_one(environments: Environments) -> None:
    python = Path(sys.executable)
    environments.made["noise"] = Environment("noise", Path("x"), python, "h1")
    environments.made["zonos"] = Environment("zonos", Path("y"), python, "h2")
    for options, name, lock in (({}, "noise", "h1"), ({"env": "zonos"}, "zonos", "h2")):
        system, rest = _place(level_db=-30, **options)
        assert isinstance(system, Isolated)
        assert (system.interpreter.name, system.interpreter.lock) == (name, lock)
        assert system._keeper.recipe.options == rest == {"level_db": -30}
        assert not system.interpreter.same
        assert "env create" in system.interpreter.remedy
    system, _ = _place(env="none")
    assert isinstance(system, noise.Noise)


def test_a_guest_never_places_again(environments: Environments, monkeypatch) -> None:
    environments.made["noise"] = Environment("noise", Path("x"), Path(sys.executable), "h1")
    monkeypatch.setenv(GUEST, "1")
    for options in ({}, {"env": "self"}, {"env": "/no/such"}):
        assert isinstance(_place(**options)[0], noise.Noise)


def test_a_path_may_be_a_folder_or_a_python(environments: Environments, tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    for given in (tmp_path / "venv", python):
        found = interpreter_of("noise", {"env": str(given)})
        assert found is not None
        assert (found.python, found.name, found.lock) == (python, "venv", None)
    for absent in (tmp_path, tmp_path / "x", HERE / "guests.py"):
        with pytest.raises(UserError, match="there is no Python") as caught:
            interpreter_of("noise", {"env": str(absent)})
        assert "mamtra-eval env create noise" in str(caught.value)


def test_names_that_are_no_environment(environments: Environments) -> None:
    with pytest.raises(UserError, match="zonos was not created") as caught:
        _place(env="zonos")
    assert caught.value.fix == "Make it with: mamtra-eval env create zonos"
    with pytest.raises(UserError, match="Did you mean zonos"):
        _place(env="zonoz")


def test_limits_are_read_from_text_and_checked(environments: Environments) -> None:
    system, _ = _place(
        env="self", env_timeout_s="7", env_load_s="8.5", env_memory_gb="1.5", env_deaths="2"
    )
    assert isinstance(system, Isolated)
    assert vars(system.limits) == {
        "timeout_s": 7.0, "load_s": 8.5, "memory_gb": 1.5, "deaths": 2,
    }  # fmt: skip
    assert vars(_place(env="self")[0].limits) == {
        "timeout_s": 240.0, "load_s": 900.0, "memory_gb": None, "deaths": 3,
    }  # fmt: skip
    assert set(ISOLATION_DEFAULTS) == {
        "env", "env_timeout_s", "env_load_s", "env_memory_gb", "env_deaths",
    }  # fmt: skip
    for name, value in (
        ("env_timeout_s", 0), ("env_timeout_s", "soon"), ("env_load_s", "inf"),
        ("env_memory_gb", "-1"), ("env_memory_gb", "much"), ("env_deaths", 0),
    ):  # fmt: skip
        with pytest.raises(UserError, match=name):
            _place(env="none", **{name: value})


def test_what_needs_no_packages_is_answered_here(environments: Environments, tmp_path) -> None:
    class Here(noise.Noise):
        batch_size, max_processes = 8, 1

        def checkpoint(self) -> Path:
            return tmp_path

    system = placed("noise", {"env": "self"}, lambda rest: Here(-20.0))
    assert (system.batch_size, system.max_processes, system.concurrent) == (8, 1, False)
    assert system.checkpoint() == tmp_path
    assert system.footprint() is None


PLUGIN = """
from mamtra_eval.isolation.placing import placed
from odd_systems import diagnose, make

def create(options):
    return placed("examined", options, make)
"""


def test_a_diagnosis_is_made_where_the_system_would_run(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin(tmp_path, "examined", PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(HERE))
    for env in ("self", "none"):
        found = placing.diagnose("examined", {"env": env, "model": "m"})
        assert found == [Check("weights", "absent", "model is m", "Fetch them.")]
        assert placing.diagnose("noise", {"env": env}) == []
        with pytest.raises(UserError, match="there is no system named"):
            placing.diagnose("no-such-system", {"env": env})
