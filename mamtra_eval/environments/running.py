"""Which Python makes an environment; and the programs that do, told of while they are at it.

One that fails is quoted. A program ends with the process that started it, even when that one is
killed outright.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from mamtra_eval import processes
from mamtra_eval.errors import UserError

Say = Callable[[str], None]

QUOTED_LINES = 12
TOLD = re.compile(r"\s*(Collecting|Building wheel for|Installing collected)\b")
"""Lines of pip that tell how far it is."""
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN")
"""Variables that have pip install in another place than the environment, or nowhere."""
_NAMES = "import importlib.metadata as m; [print(d.metadata['Name']) for d in m.distributions()]"
_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


def choose_python(given: str | None, wanted: str, name: str) -> tuple[str, str]:
    """Path and full version of the Python to make an environment with.

    Args:
        given: a program, or ``None`` to look for one.
        wanted: the lock's, ``3.11``.
        name: of the environment.

    UserError if it is another Python, or none.
    """
    if given is not None:
        program = shutil.which(str(Path(given).expanduser()))
        version = _version_of(program) if program else None
        if program is None or version is None:
            raise UserError("it is no Python that runs", where=given, fix="Give another --python.")
        if not _is(version, wanted):
            raise UserError(
                f"it is Python {version}; the lock of {name} was resolved for {wanted}",
                where=given,
                fix=f"Give a Python {wanted} with --python.",
            )
        return program, version
    for candidate in (sys.executable, f"python{wanted}", "python3"):
        program = shutil.which(candidate)
        version = _version_of(program) if program else None
        if program and version and _is(version, wanted):
            return program, version
    raise UserError(
        f"there is no Python {wanted} here, for which the lock of {name} was resolved",
        fix=f"Install one, and name it: mamtra-eval env create {name} --python PATH",
    )


def call(command: Sequence[str], where: str, held: int, say: Say) -> None:
    """Run a program to its end; UserError with its last lines if it fails.

    Args:
        command: program and arguments.
        where: for the error.
        held: descriptor that it holds, too, as long as it runs.
        say: told what pip says of its progress.
    """
    last: deque[str] = deque(maxlen=QUOTED_LINES)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", pass_fds=[held], env=_environment(),
        preexec_fn=processes.die_with_parent,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip():
                    last.append(line.rstrip())
                if TOLD.match(line):
                    say(_short(line))
            code = process.wait()
        except BaseException:
            process.kill()
            raise
    if code != 0:
        program = " ".join(command[1:4])
        said = " / ".join(last) or "it said nothing"
        raise UserError(
            f"{program} failed with exit code {code}: {said}",
            where=where,
            fix="Mend that, and give the same command again; nothing was left behind.",
        )


def distributions(python: Path) -> list[str]:
    """Names of what is installed for a Python; UserError if it does not run."""
    names = _output_of([str(python), "-I", "-c", _NAMES])
    if names is None:
        raise UserError(
            "it was made and has no Python that runs", where=str(python), fix="See what removes it."
        )
    return names.split()


def _environment() -> dict[str, str]:
    """The user's own, less what would have another Python see this one's packages.

    And less what would have pip install them somewhere else.
    """
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PYTHON") and key not in ELSEWHERE
    }
    return {**kept, "PYTHONUNBUFFERED": "1", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}


def _short(line: str) -> str:
    words = line.partition(" (from")[0].split()
    if words[:2] == ["Installing", "collected"]:
        return f"installing {line.count(',') + 1} packages"
    return " ".join(words)[:100]


def _version_of(program: str) -> str | None:
    return _output_of([program, "-c", _VERSION])


def _output_of(command: Sequence[str]) -> str | None:
    """What a program prints; ``None`` if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env=_environment(),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _is(version: str, wanted: str) -> bool:
    return f"{version}.".startswith(f"{wanted}.")
