"""Interpreters and environments that do or don't make a guest; hosts that are killed."""

from __future__ import annotations

import os
import signal
import site
import subprocess
import sys
import venv
from functools import partial
from pathlib import Path

import numpy
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from guests import HERE, alive, folder_of, group, interpreter, isolated, pid_of, requests, until

import mamtra_eval
from mamtra_eval import processes
from mamtra_eval.errors import UserError
from mamtra_eval.isolation.keeping import Limits, Recipe
from mamtra_eval.isolation.process import Interpreter
from mamtra_eval.isolation.system import Isolated
from mamtra_eval.systems import noise

AUDIO = (
    "soundfile", "_soundfile", "_soundfile_data", "cffi", "_cffi_backend", "pycparser", "soxr",
    "typing_extensions",
)  # fmt: skip
INSTALLED = Path(numpy.__file__).parent.parent


def _environment(folder: Path, *packages: str) -> Interpreter:
    """A bare virtual environment with links to a few installed packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    [target] = (folder / "lib").glob("python*/site-packages")
    for package in packages:
        for found in INSTALLED.glob(f"{package}*"):
            if found.name.split(".")[0] == package or found.name.startswith(f"{package}-"):
                (target / found.name).symlink_to(found)
    return Interpreter(folder.name, folder / "bin" / "python", "a lock")


def _program(path: Path, text: str) -> Interpreter:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return Interpreter("odd", path)


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Interpreter:
    folder = tmp_path_factory.mktemp("envs") / "bare"
    return _environment(folder, "numpy", "numpy.libs", *AUDIO)


def _noise(python: Interpreter) -> Isolated:
    return Isolated(Recipe("noise", {}), noise.create({}), python, Limits(load_s=60))


def test_a_bare_environment_runs_this_package_and_sees_nothing_else_of_ours(bare) -> None:
    system = _noise(bare)
    try:
        [request] = requests("Good morning.")
        here = noise.create({}).speak(request)
        assert here.samples.tobytes() == system.speak(request).samples.tobytes()
        identity = system.identity([])
        assert len(identity["environment"].pop("distributions")) == 64
        assert identity == {
            "level_db": -20.0, "environment": {"name": "bare", "lock": "a lock"},
        }  # fmt: skip
    finally:
        system.close()


def test_its_path_holds_no_package_of_this_python(bare, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(INSTALLED), str(HERE)]))
    look = (
        "import importlib.util, json, os, sys\n"
        "import mamtra_eval\n"
        "def make(options):\n"
        "    names = ('torch', 'yaml', 'guests', 'messages', 'system', 'pytest')\n"
        "    found = [name for name in names if importlib.util.find_spec(name)]\n"
        "    seen = [found, sys.path, mamtra_eval.__file__, os.environ.get('PYTHONPATH'),\n"
        "            sys.prefix, sorted(os.listdir('/proc/self/fd'), key=int)]\n"
        f"    open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps(seen))\n"
        "    from mamtra_eval.systems import noise\n"
        "    return noise.create({})\n"
    )
    (tmp_path / "looking.py").write_text(look)
    python = Interpreter(bare.name, bare.python, paths=(str(tmp_path),))
    system = Isolated(Recipe("x", {}, "looking:make"), noise.create({}), python, Limits())
    try:
        system.speak(requests("a")[0])
    finally:
        system.close()
    import json

    found, path, package, inherited, prefix, open_files = json.loads(
        (tmp_path / "seen").read_text()
    )
    assert found == []
    assert not {str(INSTALLED), str(HERE), str(Path(mamtra_eval.__file__).parent.parent)} & {*path}
    assert package == mamtra_eval.__file__
    assert inherited is None
    assert prefix == str(bare.python.parent.parent)
    assert len(open_files) == 3 + 2 + 1  # standard ones, two pipes, the listing's own


def test_what_an_environment_lacks_is_named(tmp_path: Path, bare) -> None:
    cases = {
        "empty": (_environment(tmp_path / "empty"), "it lacks numpy, which every system needs"),
        "old": (
            _program(tmp_path / "old", f'exec {sys.executable} "{tmp_path}/older.py" "$@"'),
            "its Python is 3.9.1; 3.11 or later is needed",
        ),
        "absent": (Interpreter("odd", tmp_path / "absent"), "this Python does not start (No such"),
        "no program": (Interpreter("odd", tmp_path), "this Python does not start (Permission"),
        "another program": (_program(tmp_path / "false", "echo no >&2; exit 4"), "exit code 4"),
        "chatter": (
            _program(tmp_path / "say", 'echo "I am no Python" > /proc/self/fd/$8; sleep 9'),
            "for what it sent",
        ),
    }
    (tmp_path / "older.py").write_text(
        "import runpy, sys\n"
        "sys.version_info = (3, 9, 1, 'final', 0)\n"
        "sys.argv = sys.argv[sys.argv.index('utf8') + 1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    for number, (python, said) in enumerate(cases.values()):
        system = _noise(python)
        ask = system.prepare if number % 2 else partial(system.identity, [])
        with pytest.raises(UserError) as caught:
            ask()
        assert said in str(caught.value)
        assert str(python.python) in str(caught.value)
        assert "mamtra-eval env create" in str(caught.value) or "doctor" in str(caught.value)
        system.close()


def test_a_package_that_a_plugin_needs_is_named(bare) -> None:
    """espeak's loader is not in the bare environment."""
    from mamtra_eval.systems import espeak

    for ask in (lambda system: system.prepare(), lambda system: system.identity([])):
        system = Isolated(Recipe("espeak", {}), espeak.create({}), bare, Limits())
        with pytest.raises(UserError, match="No module named 'espeakng_loader'") as caught:
            ask(system)
        assert "mamtra-eval env create bare --recreate" in str(caught.value)
        system.close()


@pytest.mark.parametrize(
    ("options", "said", "fix"),
    [
        ({"make": "kill"}, "can't be loaded in the environment self: its process died", "doctor"),
        ({"make": "bug"}, "self: ZeroDivisionError: a bug", "doctor"),
        ({"make": "import"}, "No module named 'no_such_package_of_all'", "env create odd"),
        ({"make": "user"}, "voice: no such voice", "Take another"),
        ({"prepare": "segfault"}, "died: SIGSEGV", "doctor odd"),
        ({"prepare": "hang"}, "no answer within 2 s", "doctor odd"),
        ({"prepare": "import"}, "No module named 'no_such_package_of_all'", "env create odd"),
        ({"prepare": "cuda"}, "out of memory: RuntimeError: CUDA out of memory", "doctor odd"),
        ({"prepare": "user"}, "voice: no such voice", "Take another"),
    ],
)
def test_what_can_not_be_loaded_at_first_is_the_users_to_mend(options, said, fix) -> None:
    hangs = "hang" in options.values()
    system = isolated(limits=Limits(load_s=2.0 if hangs else 60.0), **options)
    try:
        with pytest.raises(UserError) as caught:
            system.prepare()
        assert said in str(caught.value)
        assert fix in str(caught.value)
    finally:
        system.close()


@pytest.mark.parametrize("what", ["kill", "bug", "user"])
def test_an_identity_that_can_not_be_told_is_a_user_error(what: str) -> None:
    system = isolated(identity=what)
    try:
        with pytest.raises(UserError):
            system.identity([])
    finally:
        system.close()


HOST = """
import sys, time
sys.path.insert(0, {here!r})
from guests import folder_of, isolated, pid_of, requests
system = isolated()
system.speak(requests("a do fork={child}")[0])
print(pid_of(system), folder_of(system), flush=True)
{then}
"""


@pytest.mark.parametrize(("how", "busy"), [(signal.SIGKILL, True), (signal.SIGTERM, False)])
def test_a_guest_does_not_outlive_its_host(tmp_path: Path, how: signal.Signals, busy: bool) -> None:
    child = tmp_path / "child"
    then = 'system.speak(requests("a do hang")[0])' if busy else "time.sleep(600)"
    script = tmp_path / "host.py"
    script.write_text(HOST.format(here=str(HERE), child=child, then=then))
    root = str(Path(mamtra_eval.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment
    ) as host:
        assert host.stdout is not None
        pid, folder = host.stdout.readline().split()
        assert alive(int(pid))
        assert alive(int(child.read_text()))
        assert Path(folder).is_dir()
        host.send_signal(how)
        host.wait(20)
    assert until(lambda: group(int(pid)) == [])
    assert until(lambda: not alive(int(child.read_text())))
    assert until(lambda: not Path(folder).exists())


def test_a_host_that_simply_ends_leaves_nothing(tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(HOST.format(here=str(HERE), child=tmp_path / "child", then=""))
    root = str(Path(mamtra_eval.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", script], capture_output=True, text=True, timeout=60,
        check=True, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert done.stderr == ""
    pid, folder = done.stdout.split()
    assert until(lambda: group(int(pid)) == [])
    assert not Path(folder).exists()


def test_who_ends_a_worker_ends_its_guests() -> None:
    system = isolated()
    system.prepare()
    pid, folder = pid_of(system), folder_of(system)
    processes.kill_tracked()
    assert until(lambda: group(pid) == [])
    assert not folder.exists()
    system.close()


def test_a_user_site_is_not_seen(bare) -> None:
    done = subprocess.run(
        [bare.python, "-I", "-c", "import site; print(site.ENABLE_USER_SITE)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
    assert site.ENABLE_USER_SITE is not None


def test_this_python_can_be_a_guest_of_itself() -> None:
    system = _noise(interpreter())
    try:
        assert system.identity([]) == {"level_db": -20.0}
    finally:
        system.close()


def test_a_bound_of_memory_that_is_too_small_is_named_and_not_the_environment() -> None:
    system = isolated(limits=Limits(memory_gb=3), identity="allocate=8")
    try:
        with pytest.raises(UserError, match=r"env_memory_gb=3: give more"):
            system.identity([])
    finally:
        system.close()
