"""What a hostile or broken input is, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

READ = "read"
"""It is input like any other, and is read."""
EITHER = "either"
"""What can be read of it is read, or it is told why not: both are right."""


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        name: unique within its kind.
        write: makes it in an empty folder, and returns its path.
        expected: ``READ``, ``EITHER``, or a regular expression found in the error's message.
    """

    name: str
    write: Callable[[Path], Path]
    expected: str


def holding(data: bytes, file: str) -> Callable[[Path], Path]:
    """Writes these bytes under this name."""

    def write(folder: Path) -> Path:
        path = folder / file
        path.write_bytes(data)
        return path

    return write
