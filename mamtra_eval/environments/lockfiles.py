"""Lock files: every distribution of an environment, pinned exactly, one a line.

A file has a header of comments, then pins (``name==version``), transitive ones included. The
first line says what it is for; ``# python: 3.11`` for which Python it was resolved. A line
``# --no-deps`` begins a second section: what is installed last, because what it declares
contradicts the pins above. The digest is of the pins alone: no comment makes an environment stale.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from mamtra_eval.errors import UserError

NO_DEPS = "# --no-deps"
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9.+!_-]*)")
TORCH = ("torch", "torchaudio")
CUDA_PARTS = re.compile(r"nvidia-.*|triton|cuda-.*")
"""Distributions that only a CUDA build of torch needs; each build names its own."""


@dataclass(frozen=True)
class Lock:
    """What an environment is made of.

    Attributes:
        pins: ``name==version``.
        alone: those that are installed last, whatever they declare.
        about: what it is for, one line.
        python: for which Python it was resolved, ``3.11``.
    """

    pins: tuple[str, ...]
    alone: tuple[str, ...] = ()
    about: str = ""
    python: str = "3.11"

    @property
    def digest(self) -> str:
        """SHA-256 of the pins, hexadecimal."""
        text = "\n".join([*self.pins, NO_DEPS, *self.alone])
        return hashlib.sha256(text.encode()).hexdigest()

    def with_torch(self, spec: str) -> Lock:
        """With another torch (``torch==2.13.0``), and without what only the lock's torch needs.

        torchaudio takes the release that goes with it; pip brings what the new torch needs.
        """
        match = PIN.fullmatch(spec.strip())
        if match is None or match[1] != "torch":
            raise UserError(
                f"{spec!r} pins no torch",
                where="--torch",
                fix="Give an exact one, for example torch==2.7.1.",
            )
        kept = [pin for pin in self.pins if not _replaced(pin)]
        had = {name_of(pin) for pin in self.pins}
        new = [spec.strip()]
        if "torchaudio" in had:
            new.append(audio_for(match[2]))
        return replace(self, pins=(*kept, *new))


def read(path: Path) -> Lock:
    """UserError for a line that is no exact pin."""
    sections: tuple[list[str], list[str]] = ([], [])
    section = sections[0]
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line.startswith(NO_DEPS):
            section = sections[1]
        elif line and not line.startswith("#"):
            if PIN.fullmatch(line) is None:
                raise UserError(
                    f"{line!r} is no exact pin",
                    where=f"{path}:{number}",
                    fix="Write name==version.",
                )
            section.append(line)
    python = re.search(r"^# python: (\S+)$", text, re.MULTILINE)
    if python is None:
        raise UserError(
            "it does not say its Python", where=str(path), fix="Write a line '# python: 3.11'."
        )
    about = text.partition("\n")[0].lstrip("# ").rstrip()
    return Lock(tuple(sections[0]), tuple(sections[1]), about, python[1])


def name_of(pin: str) -> str:
    """The distribution's name as indexes compare it: small letters, ``-`` alone."""
    return re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower()


def audio_for(torch: str) -> str:
    """The torchaudio of a torch: the same release up to 2.11, the last one."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", torch)[:2])
    return "torchaudio==2.11.0" if numbers > (2, 11) else f"torchaudio=={torch}"


def _replaced(pin: str) -> bool:
    name = name_of(pin)
    return name in TORCH or CUDA_PARTS.fullmatch(name) is not None
