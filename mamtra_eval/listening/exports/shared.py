"""What the formats share: the words that raters read, the clips, tables."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle

WORDS = "site/bundle.js"


def words(bundle: Bundle) -> dict[str, Any]:
    """What the site says (``window.BUNDLE`` of ``site/bundle.js``); UserError if it isn't there."""
    path = bundle.folder / WORDS
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text[text.index("{") :].rstrip().removesuffix(";"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"the words of the site are not readable ({error})",
            where=str(path),
            fix="Restore the file from where the bundle was exported.",
        ) from None
    return dict(found)


def suffix(bundle: Bundle) -> str:
    """Of the clips' files, with the dot."""
    return f".{bundle.manifest['audio']['format']}"


def clip(bundle: Bundle, token: str) -> Path:
    """A token's file in the site; UserError if it isn't there."""
    path = bundle.folder / "site/audio" / f"{token}{suffix(bundle)}"
    if not path.is_file():
        raise UserError(
            "the clip is missing",
            where=str(path),
            fix="Restore it from where the bundle was exported.",
        )
    return path


def place(source: Path, target: Path) -> None:
    """Put a clip somewhere else: by a hard link, or a copy where there can't be one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file: UTF-8, commas, newlines."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    text_file(path, text.getvalue())


def text_file(path: Path, text: str) -> None:
    """Write text with these newlines on every system."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
