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

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from mamtra_eval import clones
from mamtra_eval.errors import MissingExtra, UserError

VARIABLE = "ZONOS_SOURCE"
PIN = "bc40d98e1e1ab54fc65c483be127a90e3c7c0645"
KNOWN = {
    "59b8456ebfb9bb93397460dee9c930a22ec9ab4a44e8e1a47ed20786b2a7a97e": "bc40d98 of 2025-03-05",
}
"""Revisions that were tested, by fingerprint."""
GET = f"git clone https://github.com/Zyphra/Zonos && git -C Zonos checkout {PIN}"
"""What brings the pinned source."""
MAKE = "Make its environment: mamtra-eval env create zonos"
DICTIONARY = "sudachidict_full"


@dataclass(frozen=True)
class Source:
    """A clone.

    Attributes:
        folder: its root.
        fingerprint: SHA-256 over names and contents of its Python files.
    """

    folder: Path
    fingerprint: str

    @property
    def revision(self) -> str | None:
        """The tested revision that it is; ``None`` for another one."""
        return KNOWN.get(self.fingerprint)

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
    folder = locate(given)
    source = Source(folder, fingerprint(folder))
    if source.revision is None and not any_revision:
        raise UserError(
            f"this Zonos is no revision that was tested (fingerprint {source.fingerprint[:12]}; "
            f"tested: {', '.join(KNOWN.values())})",
            where=str(folder),
            fix=f"The pinned one: git -C {folder} checkout {PIN} ; or set any_revision=true, "
            "which the signature then tells.",
        )
    return source


def locate(given: str | None) -> Path:
    """The clone's root; MissingExtra if it is nowhere."""
    named = given or os.environ.get(VARIABLE) or clones.importable("zonos")
    if not named:
        raise MissingExtra(
            "the source of Zonos is not here",
            fix=f"Clone it and give its folder as source=FOLDER or ${VARIABLE}: {GET}",
        )
    folder = Path(named).expanduser().absolute()
    if not (folder / "zonos" / "model.py").is_file():
        raise MissingExtra(
            "no clone of Zonos", where=str(folder), fix=f"Give the root of a clone: {GET}"
        )
    return folder


def fingerprint(folder: Path) -> str:
    """SHA-256 over the Python files of the package: their names, and their contents."""
    return clones.fingerprint(folder, ("zonos/**/*.py",))


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
