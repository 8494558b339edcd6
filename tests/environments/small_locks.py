"""A lock folder with small environments, of packages made on the spot; pip reaches no index."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import zipfile
from pathlib import Path

PYTHON = ".".join(map(str, sys.version_info[:2]))


FAKE = """#!/bin/sh
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip")
    if [ "$SMALL_PIP" = hang ]; then touch "$SMALL_LOCKS/at-work"; exec sleep 300; fi
    for line in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo "line $line"; done
    echo "ERROR: no network" >&2
    exit 1 ;;
*) echo VERSION ;;
esac
"""
"""A Python whose environments are made at once, and whose pip hangs or fails."""


def write(folder: Path) -> dict[str, str]:
    """Wheels, a lock ``tiny`` and a ``fake`` Python.

    Returns the variables that have ``mamtra-eval env`` use them.
    """
    wheels, locks = folder / "wheels", folder / "locks"
    wheels.mkdir(parents=True)
    locks.mkdir()
    wheel(wheels, "tiny-dep", "1.0")
    wheel(wheels, "tiny-voice", "2.0", needs=("tiny-dep", "never-there"))
    lock(locks, "tiny", "tiny-dep==1.0", "tiny-voice==2.0")
    fake = folder / "fake"
    fake.write_text(FAKE.replace("VERSION", f"{PYTHON}.99"), encoding="utf-8")
    fake.chmod(0o755)
    return {
        "MAMTRA_EVAL_ENVS": str(folder / "envs"), "MAMTRA_EVAL_LOCKS": str(locks),
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1", "SMALL_LOCKS": str(folder),
    }  # fmt: skip


def lock(folder: Path, name: str, *pins: str) -> Path:
    """A lock for this Python."""
    path = folder / f"{name}.txt"
    header = ["# A small environment for tests", f"# python: {PYTHON}"]
    path.write_text("\n".join([*header, *pins]) + "\n", encoding="utf-8")
    return path


def wheel(folder: Path, name: str, version: str, needs: tuple[str, ...] = ()) -> Path:
    """A pure wheel of one module that knows its version."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    target = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return target


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256={base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
