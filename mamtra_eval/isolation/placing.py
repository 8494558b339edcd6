"""Which Python a system runs under: the options that every isolated plugin takes.

==================  =======  ===================================================================
``env``             auto     the environment that was created for it, if there is one, else this
                             process; ``none``: this process; ``self``: a process of its own under
                             this Python; or the name of a created environment, or the path of a
                             virtual environment's folder or of a Python
``env_timeout_s``   240      longest time for one clip, seconds
``env_load_s``      900      longest time for loading, seconds
``env_memory_gb``            address space that its process may take, GiB; not for CUDA, which
                             reserves far more than it uses
``env_deaths``      3        deaths in a row until it is quarantined
==================  =======  ===================================================================

They change no clip. A plugin's ``create`` is one line: ``return placed("zonos", options, make)``,
with ``make`` what makes the system in this process of the options that are left.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.isolation import guest as inside
from mamtra_eval.isolation.keeping import Keeper, Limits, Recipe
from mamtra_eval.isolation.process import Interpreter
from mamtra_eval.isolation.system import Isolated
from mamtra_eval.registry import read_options
from mamtra_eval.systems import System

if TYPE_CHECKING:
    from mamtra_eval.diagnosis import Check

ISOLATION_DEFAULTS: dict[str, object] = {
    "env": "auto", "env_timeout_s": 240.0, "env_load_s": 900.0, "env_memory_gb": None,
    "env_deaths": 3,
}  # fmt: skip

HERE, SAME, AUTO = "none", "self", "auto"


def placed(
    kind: str, options: Mapping[str, Any], make: Callable[[dict[str, Any]], System]
) -> System:
    """The system, in this process or isolated, as its options say.

    Args:
        kind: the plugin's name.
        options: of its ``create``.
        make: makes it in this process of the options without ``ISOLATION_DEFAULTS``; cheaply.
    """
    limits, rest = _limits(kind, options)
    interpreter = interpreter_of(kind, options)
    here = make(rest)
    if interpreter is None:
        return here
    return Isolated(Recipe(kind, _plain(rest)), here, interpreter, limits)


def diagnose(kind: str, options: Mapping[str, Any]) -> list[Check]:
    """What a plugin's ``diagnose`` finds where the system would run; empty if it has none.

    UserError if the environment can't be asked.
    """
    limits, rest = _limits(kind, options)
    interpreter = interpreter_of(kind, options)
    if interpreter is None:
        return _checks(inside.diagnose(inside.load(kind), rest))
    keeper = Keeper(Recipe(kind, _plain(rest)), interpreter, limits)
    try:
        return _checks(keeper.diagnosis())
    finally:
        keeper.close()


def interpreter_of(kind: str, options: Mapping[str, Any]) -> Interpreter | None:
    """The Python that a system of these options runs under; ``None`` for this process.

    UserError for an environment that there is not.
    """
    from mamtra_eval import environments

    if os.environ.get(inside.GUEST):
        return None
    given = str(options.get("env", AUTO))
    if given == HERE:
        return None
    if given == SAME:
        paths = tuple(str(Path(path).absolute()) for path in sys.path if path)
        return Interpreter(SAME, Path(sys.executable), paths=paths, same=True, kind=kind)
    if os.sep in given:
        return _by_path(kind, Path(given).expanduser())
    found = environments.find(kind if given == AUTO else given)
    if found is not None:
        return Interpreter(found.name, found.python, found.lock_hash, kind=kind)
    if given == AUTO:
        return None
    known = environments.locks()
    if given not in known:
        raise unknown_name("environment", given, [AUTO, HERE, SAME, *known])
    raise UserError(
        f"the environment {given} was not created",
        where=f"{kind}:env={given}",
        fix=f"Make it with: mamtra-eval env create {given}",
    )


def _by_path(kind: str, path: Path) -> Interpreter:
    python = path / "bin" / "python" if path.is_dir() else path
    if not (python.is_file() and os.access(python, os.X_OK)):
        raise UserError(
            "there is no Python",
            where=str(python),
            fix=f"Give a virtual environment, or make one with: mamtra-eval env create {kind}",
        )
    python = python.absolute()  # not resolved: a virtual environment is known by its own link
    return Interpreter(python.parent.parent.name, python, kind=kind)


def _limits(kind: str, options: Mapping[str, Any]) -> tuple[Limits, dict[str, Any]]:
    """What the options say of the process, and those that are left."""
    own = {name: value for name, value in options.items() if name in ISOLATION_DEFAULTS}
    rest = {name: value for name, value in options.items() if name not in ISOLATION_DEFAULTS}
    read = read_options(kind, own, ISOLATION_DEFAULTS)
    memory = read["env_memory_gb"]
    numbers = {name: _positive(kind, name, read[name]) for name in ("env_timeout_s", "env_load_s")}
    return Limits(
        numbers["env_timeout_s"],
        numbers["env_load_s"],
        None if memory is None else _positive(kind, "env_memory_gb", memory),
        int(_positive(kind, "env_deaths", read["env_deaths"])),
    ), rest


def _positive(kind: str, name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UserError(
            f"option {name} of {kind} is {value}", fix="Give a positive number, or leave it out."
        )
    return number


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they go to another process: what JSON does not know becomes text."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(options), default=str))
    return plain


def _checks(found: object) -> list[Check]:
    from mamtra_eval.diagnosis import Check

    if not isinstance(found, list) or not all(
        isinstance(one, list) and len(one) == len(Check._fields) for one in found
    ):
        raise UserError(
            f"its diagnosis is {found!r:.60}",
            fix="It must be a list of (name, state, detail, fix).",
        )
    return [Check(*(str(part) for part in one)) for one in found]
