"""Files of ratings as text and as tables, with limits; UserError says which line is wrong."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening.trials import Refusal

MAX_BYTES = 50_000_000
"""Of one file; a session takes some ten kilobytes."""
MAX_LINE = 500_000
"""Characters of one line."""
HEAD = 65536
"""Bytes that formats are told apart by."""
SQLITE = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Row:
    """One row of a table: its line in the file, and its cells by lower-case column name."""

    line: int
    cells: dict[str, str]

    @property
    def place(self) -> str:
        """For a refusal."""
        return f"line {self.line}"

    def get(self, *columns: str) -> str | None:
        """The first of these columns with something in it, spaces around it left out."""
        for column in columns:
            value = self.cells.get(column, "").strip()
            if value:
                return value
        return None


@dataclass(frozen=True)
class Table:
    """A CSV file: lower-case column names, rows, and rows that have another number of cells."""

    columns: list[str]
    rows: list[Row]
    refusals: list[Refusal]


def file_name(path: Path) -> str:
    """A file's name for messages and tables, storable whatever bytes it has."""
    return path.name.encode("utf-8", "replace").decode("utf-8")


def sha256(path: Path) -> str:
    """Of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def head(path: Path) -> str:
    """The beginning of a file as text, whatever it is."""
    with path.open("rb") as file:
        return file.read(HEAD).decode("utf-8-sig", "replace")


def text(path: Path) -> str:
    """A file's text; UserError where it is too long, empty or not UTF-8, or has NUL bytes."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise UserError(
            f"the file has {size / 1e6:.1f} MB; {MAX_BYTES / 1e6:g} MB is the most",
            where=str(path),
            fix="Split it by sessions.",
        )
    raw = path.read_bytes()
    if not raw.strip():
        raise UserError("the file is empty", where=str(path))
    if b"\x00" in raw:
        raise UserError(
            f"NUL byte at {_place(raw, raw.index(0))}: no text file in UTF-8",
            where=str(path),
            fix="Save it as UTF-8.",
        )
    try:
        found = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The codec counts from behind a byte-order mark, people from the file's first byte.
        start = error.start + len(raw) - len(error.object)
        raise UserError(
            f"not UTF-8 at {_place(raw, start)}", where=str(path), fix="Save it as UTF-8."
        ) from None
    for number, line in enumerate(found.split("\n"), start=1):
        if len(line) > MAX_LINE:
            raise UserError(
                f"line {number} has {len(line)} characters; {MAX_LINE} is the most",
                where=str(path),
            )
    return found


def header(beginning: str) -> tuple[list[str], str]:
    """Lower-case column names of a table's first line, and its delimiter."""
    first = next((line for line in beginning.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    try:
        cells = next(csv.reader([first], delimiter=delimiter), [])
    except csv.Error:
        cells = []
    return [cell.strip().casefold() for cell in cells], delimiter


def table(path: Path) -> Table:
    """A CSV file with a header, delimited by comma, semicolon or tab.

    A row with another number of cells than the header is refused: whose columns those are can't be
    told. UserError where a quote isn't closed or a column is there twice.
    """
    content = text(path)
    columns, delimiter = header(content)
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        raise UserError(f"the column {twice[0]!r} is there twice", where=str(path))
    rows: list[Row] = []
    refusals: list[Refusal] = []
    for line, cells in _rows(content, delimiter, path):
        if len(cells) != len(columns):
            why = (
                f"{len(cells)} cells under a header of {len(columns)} columns: the header doesn't "
                f"belong to this row"
            )
            refusals.append(Refusal(file_name(path), f"line {line}", why))
        else:
            rows.append(Row(line, dict(zip(columns, cells, strict=True))))
    return Table(columns, rows, refusals)


def _rows(content: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows behind the header with the lines that they begin in."""
    source = _Lines(content)
    reader = csv.reader(source, delimiter=delimiter)
    begin, past_header = 1, False
    try:
        for cells in reader:
            if source.exhausted:
                raise UserError(f"the quote that line {begin} opens isn't closed", where=str(path))
            if any(cell.strip() for cell in cells):
                if past_header:
                    yield begin, cells
                past_header = True
            begin = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"line {reader.line_num}: no CSV ({error})", where=str(path)) from None


class _Lines:
    """Lines of a text; knows whether it was asked for more than there are (in an open quote)."""

    def __init__(self, content: str) -> None:
        self._lines = io.StringIO(content, newline="")
        self.exhausted = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._lines.readline()
        if not line:
            self.exhausted = True
            raise StopIteration
        return line


def _place(raw: bytes, position: int) -> str:
    line = raw.count(b"\n", 0, position) + 1
    return f"byte {position + 1} (line {line})"
