"""Writing a lock anew: ``python -m mamtra_eval.environments.locking [NAME …]``, for developers.

``NAME.in`` has what is asked for, in pip's own words, under comments: the first says what it is
for, the others are kept in the lock's header. What stands there under ``# --no-deps`` is pinned by
hand and not resolved. pip resolves the rest for this Python and machine, x86-64 Linux, so that the
lock has the CUDA libraries that torch brings. ``nox -s locks`` does it with the right Python.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from mamtra_eval.environments import lockfiles

FOLDER = Path(__file__).parent / "locks"


def main(names: list[str]) -> None:
    """Write the locks of these names, or of every ``.in`` file."""
    for name in names or sorted(path.stem for path in FOLDER.glob("*.in")):
        asked = FOLDER / f"{name}.in"
        (FOLDER / f"{name}.txt").write_text(written(asked, resolve(asked)), encoding="utf-8")


def resolve(asked: Path) -> list[str]:
    """All pins that follow from what is asked for, by name; CalledProcessError as pip has it."""
    with tempfile.TemporaryDirectory() as folder:
        report, wanted = Path(folder) / "report.json", Path(folder) / "requirements.txt"
        wanted.write_text(asked.read_text("utf-8").partition(lockfiles.NO_DEPS)[0], "utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        subprocess.run([*pip, "--report", str(report), "-r", str(wanted)], check=True)
        return pins_of(json.loads(report.read_text(encoding="utf-8")))


def pins_of(report: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    """``name==version`` of everything in pip's report, sorted by name."""
    found = [one["metadata"] for one in report["install"]]
    pins = [f"{one['name']}=={one['version']}" for one in found]
    return sorted(pins, key=lockfiles.name_of)


def written(asked: Path, pins: list[str]) -> str:
    """The lock: header, pins, and what is installed alone."""
    text, mark, alone = asked.read_text(encoding="utf-8").partition(lockfiles.NO_DEPS)
    lines = [line for line in text.splitlines() if line.strip()]
    head = [line for line in lines[: _first_requirement(lines)] if line.startswith("#")]
    python = ".".join(map(str, sys.version_info[:2]))
    today = datetime.now(UTC).date().isoformat()
    header = [
        *head,
        "#",
        f"# Resolved {today} for Linux on x86-64, with a CUDA 12 build of torch; it runs on a CPU.",
        f"# python: {python}",
        f"# Written from {asked.name} by: nox -s locks -- {asked.stem}",
    ]
    body = "\n".join([*header, *pins])
    return f"{body}\n{mark}{alone}" if mark else f"{body}\n"


def _first_requirement(lines: list[str]) -> int:
    return next(
        (number for number, line in enumerate(lines) if not line.startswith("#")), len(lines)
    )


if __name__ == "__main__":
    main(sys.argv[1:])
