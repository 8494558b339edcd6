"""Clones of projects that are no distribution: where an importable one lies, what is in it.

Their packages are known by what their files hold, not by the name of a commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path


def fingerprint(folder: Path, patterns: Iterable[str]) -> str:
    """SHA-256 over the files of a clone that match: their names within it, and their contents."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        name = path.relative_to(folder).as_posix()
        # A checkout on Windows has other line ends, and is the same source.
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name}\x1f{hashlib.sha256(content).hexdigest()}\x1e".encode())
    return digest.hexdigest()


def importable(package: str) -> str | None:
    """The root of the clone that an importable package lies in; ``None`` if there is none."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return str(Path(places[0]).parent) if places else None
