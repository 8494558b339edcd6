"""What a run folder may say, whoever made it: paths that stay inside, tables that are tables.

    from mamtra_eval import borders

    borders.check_schema(database, path)     # UserError for views, triggers, virtual tables
    borders.inside("clips/a/u1.flac", path)  # the same text, or UserError
    borders.lies_in(folder / text, folder)   # False if a link leads out

A run folder is handed on: to a colleague, into an archive, onto a cluster. Its rows are data, and
nobody vouches for them. A clip lies within its run folder, so that a row which names another place
(``../``, an absolute path, an address) was not written by this program, and reading, embedding or
copying what it names would hand on a file that its owner never chose. Prompts and recordings of a
test set may lie anywhere; they are taken for what they are only if they decode as audio.

Paths are looked at as POSIX and as Windows read them: a page may be opened on another system than
the one that wrote it.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path, PurePosixPath, PureWindowsPath

import soundfile

from mamtra_eval.errors import UserError

_FIRST_FRAMES = 4096
_PLAIN = re.compile(r"clips/[^./\\:\0][^/\\:\0]*/[^./\\:\0][^/\\:\0]*")
"""What nearly all are, which is quickly seen of a million."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_FIX = "Take the run from where it was made, or from someone whom you trust; no program of ours " \
    "writes that."  # fmt: skip


def inside(text: str | None, where: Path) -> str | None:
    """A clip's path as the database has it; UserError if it leads out of the run folder."""
    if text is None or _PLAIN.fullmatch(text):
        return text
    posix, windows = PurePosixPath(text), PureWindowsPath(text)
    leads_out = (
        "\0" in text
        or bool(_SCHEME.match(text))
        or posix.is_absolute()
        or bool(windows.anchor)
        or ".." in posix.parts
        or ".." in windows.parts
        or text.startswith((".", "run."))  # the database, the configuration, the lock
    )
    if leads_out:
        raise UserError(
            f"a clip's path leads out of the run folder's clips ({_shown(text)})",
            where=str(where),
            fix=_FIX,
        )
    return text


def folder_name(text: str, where: Path) -> str:
    """The name of a system's folder of clips; UserError if it is more than one name."""
    inside(f"clips/{text}", where)
    if len(PurePosixPath(text).parts) != 1 or len(PureWindowsPath(text).parts) != 1:
        raise UserError(
            f"a system's folder is no plain name ({_shown(text)})", where=str(where), fix=_FIX
        )
    return text


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a file is inside of a folder once every link is followed."""
    try:
        return path.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # gone, or links in a circle
        return False


def is_audio(path: Path) -> bool:
    """Whether a file begins as audio that libsndfile decodes; its rest is not looked at."""
    try:
        if not path.is_file():
            return False
        with soundfile.SoundFile(path) as sound:
            return len(sound.read(_FIRST_FRAMES)) > 0
    except (soundfile.SoundFileError, OSError, TypeError, ValueError):  # .raw asks for a rate
        return False


def check_schema(database: sqlite3.Connection, where: Path) -> None:
    """UserError for what runs code of its own in a database: views, triggers, virtual tables."""
    database.execute("PRAGMA trusted_schema = OFF")
    strange = database.execute(
        "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') "
        "OR upper(ltrim(sql)) LIKE 'CREATE VIRTUAL%' LIMIT 1"
    ).fetchone()
    if strange is not None:
        raise UserError(
            f"the run's database holds a {_shown(str(strange[0]))} named "
            f"{_shown(str(strange[1]))}, as no run does",
            where=str(where),
            fix=_FIX,
        )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
