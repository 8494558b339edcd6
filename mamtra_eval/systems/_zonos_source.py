"""The official Zonos source: where it lies, which revision it is, and its modules.

The project is no released distribution but a clone that users make::

    git clone https://github.com/Zyphra/Zonos
    git -C Zonos checkout bc40d98e1e1ab54fc65c483be127a90e3c7c0645

The contents of its Python files, not the name of a commit, are compared with the revisions that
were tested (``KNOWN``). Another one is refused, unless ``any_revision`` is set; then its
fingerprint is part of the identity all the same.

Its front end opens Sudachi's full dictionary when it is imported, for Japanese alone. That one
fetches 200 MB from elsewhere when it is installed; where it is not, the front end is imported
without it and Japanese is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from mamtra_eval.clones import Project
from mamtra_eval.errors import MissingExtra

VARIABLE = "ZONOS_SOURCE"
PIN = "bc40d98e1e1ab54fc65c483be127a90e3c7c0645"
KNOWN = {
    "59b8456ebfb9bb93397460dee9c930a22ec9ab4a44e8e1a47ed20786b2a7a97e": "bc40d98 of 2025-03-05",
}
"""Revisions that were tested, by fingerprint."""
PIN_IT = f"git -C {{folder}} checkout {PIN}"
GET = "git clone https://github.com/Zyphra/Zonos && " + PIN_IT.format(folder="Zonos")
"""What brings the pinned source."""
MAKE = "Make its environment: mamtra-eval env create zonos"
DICTIONARY = "sudachidict_full"
PROJECT = Project(
    "Zonos", "zonos", "zonos/model.py", VARIABLE, ("zonos/**/*.py",), KNOWN, GET, PIN_IT
)


@dataclass(frozen=True)
class Source:
    """A clone.

    Attributes:
        folder: its root.
        fingerprint: SHA-256 over names and contents of its Python files.
        revision: the tested one that it is; ``None`` for another.
    """

    folder: Path
    fingerprint: str
    revision: str | None

    def module(self, name: str) -> ModuleType:
        """One of its modules; MissingExtra where a package that it needs is absent or broken."""
        if str(self.folder) not in sys.path:
            sys.path.insert(0, str(self.folder))
        try:
            with _japanese_left_out():
                return import_module(name)
        except Exception as error:  # a broken wheel raises anything
            raise MissingExtra(
                f"Zonos's {name} does not import ({type(error).__name__}: {error})",
                where=str(self.folder),
                fix=MAKE,
            ) from error


def find(given: str | None, any_revision: bool = False) -> Source:
    """The source that was given, or is named by ``$ZONOS_SOURCE``, or is importable.

    Raises:
        MissingExtra: there is none.
        UserError: it is no tested revision, and ``any_revision`` is not set.
    """
    folder = PROJECT.locate(given)
    return Source(folder, *PROJECT.recognise(folder, any_revision))


def has_japanese() -> bool:
    """Whether the dictionary for Japanese is installed."""
    return find_spec(DICTIONARY) is not None


@contextmanager
def _japanese_left_out() -> Iterator[None]:
    """While the block runs, Sudachi has an empty dictionary where the full one is absent."""
    if has_japanese():
        yield
        return
    sudachi: Any = import_module("sudachipy")
    original = sudachi.Dictionary
    sudachi.Dictionary = lambda **_: SimpleNamespace(create=lambda: None)
    try:
        yield
    finally:
        sudachi.Dictionary = original
