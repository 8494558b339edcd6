"""Projects that are no distribution but a clone that users make: found, and recognised.

A clone is known by what its files hold, not by the name of a commit. One that is no tested revision
is refused unless it is asked for; then its fingerprint stands in the identity all the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mamtra_eval.errors import MissingExtra, UserError


@dataclass(frozen=True)
class Project:
    """A project with its tested revisions.

    Attributes:
        name: for people.
        package: that is imported of it.
        marker: a file by which a clone's root is known, as a path within it.
        variable: of the environment, which may name the root.
        used: files that speech is made by, as patterns within the clone.
        known: tested revisions, by fingerprint.
        get: the command that brings the pinned one.
        pin: the command that turns a clone into it, ``{folder}`` for its root.
    """

    name: str
    package: str
    marker: str
    variable: str
    used: tuple[str, ...]
    known: Mapping[str, str]
    get: str
    pin: str

    def locate(self, given: str | None) -> Path:
        """The root that was given, that the variable names, or an importable one; MissingExtra."""
        named = given or os.environ.get(self.variable) or importable(self.package)
        if not named:
            raise MissingExtra(
                f"the source of {self.name} is not here",
                fix=f"Clone it and give its folder as source=FOLDER or ${self.variable}: "
                f"{self.get}",
            )
        folder = Path(named).expanduser().absolute()
        if not (folder / self.marker).is_file():
            raise MissingExtra(
                f"no clone of {self.name}",
                where=str(folder),
                fix=f"Give the root of a clone: {self.get}",
            )
        return folder

    def fingerprint(self, folder: Path) -> str:
        """SHA-256 over the files in use: their names within the clone, and their contents."""
        digest = hashlib.sha256()
        for path in sorted({path for pattern in self.used for path in folder.glob(pattern)}):
            name = path.relative_to(folder).as_posix()
            # A checkout on Windows has other line ends, and is the same source.
            content = path.read_bytes().replace(b"\r\n", b"\n")
            digest.update(f"{name}\x1f{hashlib.sha256(content).hexdigest()}\x1e".encode())
        return digest.hexdigest()

    def recognise(self, folder: Path, any_revision: bool) -> tuple[str, str | None]:
        """Fingerprint of a clone, and the tested revision that it is.

        UserError for one that is none, unless any revision will do.
        """
        found = self.fingerprint(folder)
        revision = self.known.get(found)
        if revision is None and not any_revision:
            raise UserError(
                f"this {self.name} is no revision that was tested (fingerprint {found[:12]}; "
                f"tested: {', '.join(self.known.values())})",
                where=str(folder),
                fix=f"The pinned one: {self.pin.format(folder=folder)} ; or any_revision=true "
                "takes it, and the signature tells.",
            )
        return found, revision


def importable(package: str) -> str | None:
    """The root of the clone that an importable package lies in; ``None`` if there is none."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return str(Path(places[0]).parent) if places else None
