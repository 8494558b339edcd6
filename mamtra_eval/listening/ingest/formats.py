"""The formats of ratings that can be read, and which of them a file has."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ingest import own, p808, plain, reading, webmushra
from mamtra_eval.listening.trials import Refusal, Session


class Format(Protocol):
    """What a format's module offers."""

    def sniff(self, head: str) -> bool:
        """Whether a file that begins so is of this format."""

    def read(self, bundle: Bundle, path: Path) -> tuple[list[Session], list[Refusal]]:
        """Sessions of a file and what was refused; UserError where it can't be read at all."""


FORMATS: dict[str, Format] = {"own": own, "webmushra": webmushra, "p808": p808, "plain": plain}


def find(path: Path) -> str | None:
    """The format of a file by its beginning; ``None`` where it is none of ours."""
    head = reading.head(path)
    return next((name for name, one in FORMATS.items() if one.sniff(head)), None)
