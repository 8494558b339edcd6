"""What the package's own code may not do: looked for in its syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mamtra_eval"

MODULES = {
    "pickle": {
        "executors/_actor.py": "a job from the driver of the same user's cluster",
        "executors/_hand.py": "the name of an error of multiprocessing's own pipe",
        "executors/ray.py": "a job for an actor of the same user's cluster",
        "speakers/_checkpoint.py": "the name of the error that weights_only raises",
        "weights.py": "the name of the error that weights_only raises",
    },
    "marshal": {}, "shelve": {}, "dill": {}, "cloudpickle": {}, "joblib": {}, "jsonpickle": {},
    "pty": {},
}  # fmt: skip
"""Modules that run what they read, or a shell: which files import them, and why."""

LOADS = {("executors/_actor.py", "pickle.loads")}
"""Calls that unpickle: of bytes that the driver has pickled for its own actor."""

FORBIDDEN = {
    "eval", "exec", "compile", "__import__",
    "os.system", "os.popen", "os.spawnl", "os.spawnlp", "os.spawnv", "os.spawnvp",
    "subprocess.getoutput", "subprocess.getstatusoutput",
    "tempfile.mktemp", "yaml.unsafe_load", "yaml.full_load", "torch.hub.load",
    "torch.hub.load_state_dict_from_url", "numpy.load", "np.load", "pickle.load", "pickle.loads",
    "pickle.Unpickler", "torch.jit.load", "asyncio.create_subprocess_shell",
    "urllib.request.urlopen", "urllib.request.urlretrieve", "urlopen", "urlretrieve",
}  # fmt: skip
PROCESSES = {"run", "Popen", "call", "check_call", "check_output"}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """(file, dotted name, call) of every call in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(PACKAGE).as_posix(), dotted(node.func), node


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def given(call: ast.Call, name: str) -> object:
    for word in call.keywords:
        if word.arg == name:
            return word.value.value if isinstance(word.value, ast.Constant) else "computed"
    return None


def imported() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                yield path.relative_to(PACKAGE).as_posix(), name.partition(".")[0]


def test_modules_that_run_what_they_read_are_imported_only_where_it_is_known_why() -> None:
    found = {(file, name) for file, name in imported() if name in MODULES}
    assert found == {(file, name) for name, files in MODULES.items() for file in files}


def test_nothing_calls_what_runs_text_or_a_shell() -> None:
    found = {(file, name) for file, name, _ in calls() if name in FORBIDDEN}
    assert found == LOADS


def test_tensors_are_read_without_code() -> None:
    loads = [(file, call) for file, name, call in calls() if name == "torch.load"]
    assert len(loads) >= 4
    for file, call in loads:
        assert given(call, "weights_only") is True, f"{file}:{call.lineno}"


def test_arrays_are_read_without_pickle() -> None:
    names = ("format.read_array", "np.save", "format.write_array")
    found = [(file, call) for file, name, call in calls() if name.endswith(names)]
    assert found
    for file, call in found:
        assert given(call, "allow_pickle") is False, f"{file}:{call.lineno}"


def test_yaml_is_read_by_the_safe_loader() -> None:
    for file, name, call in calls():
        assert name != "yaml.load", f"{file}:{call.lineno}"


def test_programs_are_started_without_a_shell() -> None:
    started = [
        (file, call) for file, name, call in calls()
        if name.startswith("subprocess.") and name.partition(".")[2] in PROCESSES
    ]  # fmt: skip
    assert len(started) >= 8
    for file, call in started:
        assert given(call, "shell") in (None, False), f"{file}:{call.lineno}"
        # A string for a command would be one program's name, or a shell's: lists only.
        assert not isinstance(call.args[0], ast.Constant | ast.JoinedStr), f"{file}:{call.lineno}"


def test_hub_loaders_that_take_a_name_are_told_to_stay_here() -> None:
    names = ("snapshot_download", "hf_hub_download", "cached_download")
    for file, name, call in calls():
        if name.split(".")[-1] in names:
            assert given(call, "local_files_only") is True, f"{file}:{call.lineno}"


def test_no_code_comes_with_a_model() -> None:
    for file, _, call in calls():
        assert given(call, "trust_remote_code") in (None, False), f"{file}:{call.lineno}"


def test_certificates_are_checked() -> None:
    for file, name, call in calls():
        if name.startswith("httpx."):
            assert given(call, "verify") is None, f"{file}:{call.lineno}"
            assert given(call, "follow_redirects") in (None, False), f"{file}:{call.lineno}"


@pytest.mark.parametrize(
    ("text", "name"),
    [("subprocess.run(x, shell=True)", "shell"), ("torch.load(p, weights_only=False)",
     "weights_only"), ("torch.load(p, **more)", None)],
)  # fmt: skip
def test_the_search_itself_finds(text: str, name: str | None) -> None:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    assert dotted(call.func) in ("subprocess.run", "torch.load")
    if name is None:
        assert given(call, "weights_only") is None
    else:
        assert given(call, name) in (True, False)
