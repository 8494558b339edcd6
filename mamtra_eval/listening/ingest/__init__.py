"""Ratings from files into the bundle's database, every refused answer with its reason.

Formats, one module each: ``own`` (the page's own sessions and the collector's database),
``webmushra`` (also pymushra), ``p808``, ``plain``. Each offers ``sniff(head) -> bool`` and
``read(bundle, path) -> (sessions, refusals)``; ``read`` raises UserError where the file as a whole
can't be read. Such a file becomes a refusal of its own, and the others are still taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.listening.bundle import COLLECTED, RATINGS, Bundle
from mamtra_eval.listening.ingest.formats import FORMATS, find
from mamtra_eval.listening.ingest.own import fingerprint
from mamtra_eval.listening.ingest.reading import file_name, text
from mamtra_eval.listening.ratings import FileRecord, Ratings
from mamtra_eval.listening.trials import Refusal

_SUFFIXES = (".jsonl", ".csv", ".tsv", ".sqlite")


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    Attributes:
        format: ``None`` where it is of no known one.
        taken: whether it was read and stored now; false too where it had been before.
        sessions: that were new or replaced a shorter version.
        responses: of these sessions.
        notes: in words: what was there before, what was replaced.
    """

    file: str
    format: str | None
    taken: bool
    sessions: int
    responses: int
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What became of every file, in the order given."""

    files: tuple[FileReport, ...]

    @property
    def sessions(self) -> int:
        """New or replaced."""
        return sum(file.sessions for file in self.files)

    @property
    def responses(self) -> int:
        """Of new or replaced sessions."""
        return sum(file.responses for file in self.files)

    @property
    def refusals(self) -> list[Refusal]:
        """Of all files."""
        return [refusal for file in self.files for refusal in file.refusals]


def ingest(bundle: Bundle, paths: Sequence[Path] = (), format: str | None = None) -> Report:  # noqa: A002 -- the command's word
    """Read files into the bundle's ratings, one transaction a file.

    Args:
        bundle: with its ``key/``.
        paths: files, or folders of ``.jsonl``, ``.csv``, ``.tsv`` and ``.sqlite``; none for what
            the collector has.
        format: of all files; told by their beginnings where it isn't named.

    Raises:
        UserError: a path isn't there, or there is no such format. Nothing was read then.
    """
    if format is not None and format not in FORMATS:
        raise unknown_name("format of ratings", format, FORMATS)
    files = _files(paths) if paths else _collected(bundle)
    ratings = Ratings(bundle.folder / RATINGS)
    return Report(tuple(_take(bundle, ratings, path, format) for path in files))


def _take(bundle: Bundle, ratings: Ratings, path: Path, named: str | None) -> FileReport:
    name, found = file_name(path), named
    try:
        sha256 = fingerprint(path)
        before = ratings.file(sha256)
        if before is not None:
            note = f"taken before, as {before.name}: nothing to do"
            return FileReport(name, before.format, False, 0, 0, (), (note,))
        found = named or find(path) or _unknown(path)
        sessions, refusals = FORMATS[found].read(bundle, path)
    except (UserError, OSError) as error:
        refusal = Refusal(name, "file", _without(path, error))
        ratings.refuse(refusal)
        return FileReport(name, found, False, 0, 0, (refusal,), ())
    added = ratings.add(FileRecord(sha256, name, found), sessions, refusals)
    return FileReport(
        name, found, True, len(added.sessions), sum(len(one.responses) for one in added.sessions),
        added.refusals, added.notes,
    )  # fmt: skip


def _unknown(path: Path) -> str:
    text(path)  # an empty or a binary file has a reason of its own
    raise UserError(
        "no known format of ratings",
        where=str(path),
        fix=f"Known: {', '.join(FORMATS)}. Name one with --format, and see the manual of plain.",
    )


def _without(path: Path, error: UserError | OSError) -> str:
    """The message without the path: a refusal names its file beside it."""
    if isinstance(error, OSError):
        return f"not readable ({error.strerror or error})"
    return " ".join(str(UserError(error.what, fix=error.fix)).split()).replace(str(path), path.name)


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in _SUFFIXES)
            if not inside:
                raise UserError(f"no {', '.join(_SUFFIXES)} in this folder", where=str(path))
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError("the file is missing", where=str(path))
    return found


def _collected(bundle: Bundle) -> list[Path]:
    path = bundle.folder / COLLECTED
    if not path.is_file():
        raise UserError(
            "nothing was collected yet",
            where=str(path),
            fix="Give the files of ratings, or collect some with listen serve.",
        )
    return [path]
