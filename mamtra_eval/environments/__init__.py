"""Virtual environments for systems whose packages can't live beside each other, or beside ours.

``locks/NAME.txt`` pins every distribution of one exactly; ``mamtra-eval env create NAME`` makes it
under ``$MAMTRA_EVAL_ENVS``, else ``$XDG_DATA_HOME/mamtra-eval/envs`` (``~/.local/share``). The
system of that name then runs there (``isolation/placing.py``). An environment is there only if its
``mamtra-eval.json`` is: that file is written last, by ``creating.py``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval.environments import lockfiles
from mamtra_eval.errors import unknown_name

RECORD = "mamtra-eval.json"
"""What an environment was made of; without it the folder is no environment."""
PART = "mamtra-eval.part"
"""Lies in a folder of ours as long as it is no environment yet, or no more."""


@dataclass(frozen=True)
class Environment:
    """One that was created and is complete.

    Attributes:
        lock_hash: of the lock that it was made from.
        torch: what stands there instead of the lock's torch (``torch==2.13.0``), if anything.
        version: of its Python, ``3.11.2``.
        created: date and time, ISO 8601, UTC.
    """

    name: str
    folder: Path
    python: Path
    lock_hash: str
    torch: str | None = None
    version: str = ""
    created: str = ""


def root() -> Path:
    """The folder of all environments; need not exist."""
    if named := os.environ.get("MAMTRA_EVAL_ENVS"):
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(data) / "mamtra-eval" / "envs").expanduser().absolute()


def locks() -> dict[str, Path]:
    """The lock file of every environment that can be made, by name.

    ``MAMTRA_EVAL_LOCKS`` names another folder of them; it is for our tests.
    """
    named = os.environ.get("MAMTRA_EVAL_LOCKS")
    folder = Path(named) if named else Path(__file__).parent / "locks"
    return {path.stem: path for path in sorted(folder.glob("*.txt"))}


def lock_of(name: str) -> Path:
    """UserError for a name that has none, with the nearest one."""
    known = locks()
    if name not in known:
        raise unknown_name("environment", name, known)
    return known[name]


def find(name: str) -> Environment | None:
    """The environment of that name if it was created and is complete."""
    if not name or Path(name).name != name:  # a name, never a path
        return None
    folder = root() / name
    python = folder / "bin" / "python"
    record = _record(folder)
    if record is None or not os.access(python, os.X_OK):
        return None
    torch = record.get("torch")
    return Environment(
        name, folder, python, str(record.get("lock", "")),
        torch=str(torch) if torch else None,
        version=str(record.get("python", "")),
        created=str(record.get("created", "")),
    )  # fmt: skip


def created() -> list[Environment]:
    """Every complete one, by name; not what stands aside while it is made anew (``.NAME.old``)."""
    names = sorted(path.name for path in root().iterdir()) if root().is_dir() else []
    return [found for name in names if not name.startswith(".") and (found := find(name))]


def stale(env: Environment) -> bool:
    """Whether the package's lock of that name is another one now, or is gone."""
    lock = locks().get(env.name)
    return lock is None or lockfiles.read(lock).digest != env.lock_hash


def begun(name: str) -> bool:
    """Whether a folder of ours is there that is no complete environment: one was interrupted."""
    folder = root() / name
    ours = (folder / PART).exists() or (folder / RECORD).exists()
    return ours and find(name) is None


def _record(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # ValueError: no JSON, or no UTF-8
        return None
    return record if isinstance(record, dict) else None
