"""The lines of a list of utterances: UTF-8, of a regular file of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mamtra_eval.errors import UserError

MAX_BYTES = 512 * 2**20
"""Of a list: some millions of lines."""


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers, without the spaces around them."""
    try:
        _check_file(path)
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(
            "no such list", where=str(path), fix="Give the path of a meta.lst."
        ) from error
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(
            f"the list can't be read as UTF-8 text ({error})",
            where=str(path),
            fix="Save it as UTF-8.",
        ) from error
    # Not splitlines(): it also breaks at characters that a text may hold.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def _check_file(path: Path) -> None:
    """UserError for what is no list: a pipe that nobody writes, a device without an end."""
    size = path.stat().st_size
    if not path.is_file() or size > MAX_BYTES:
        found = f"{size:,} bytes" if path.is_file() else "no regular file"
        raise UserError(
            f"no list of utterances ({found})",
            where=str(path),
            fix=f"Give the path of a meta.lst, a text file of at most {MAX_BYTES:,} bytes.",
        )
