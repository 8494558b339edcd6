"""Training manifests, read line by line: their texts and the paths of their recordings.

By what stands in them: JSONL (``text`` or ``normalized_text``; ``audio_filepath``, ``audio`` or
``path``, also ``{"path": …}``), a TSV with a header that has such columns (also ``sentence``), our
``meta.lst`` (by its ending ``.lst``), a Kaldi folder (``text`` and, if there, ``wav.scp``), and
else plain text, a sentence a line. Paths are relative to the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError

TEXTS = ("text", "normalized_text", "sentence", "transcript")
AUDIO = ("audio_filepath", "audio", "path", "audio_path")


@dataclass(frozen=True)
class Line:
    """One training example: a text, a recording, or both."""

    where: str
    text: str = ""
    audio: Path | None = None


def read(path: Path) -> Iterator[Line]:
    """All examples of a manifest, in constant memory; UserError if it can't be read."""
    try:
        if path.is_dir():
            yield from _kaldi(path)
            return
        with path.open(encoding="utf-8-sig") as file:
            first = file.readline()
        if path.suffix == ".lst":
            yield from _list(path)
        elif first.lstrip().startswith("{"):
            yield from _json_lines(path)
        elif "\t" in first and {*TEXTS, *AUDIO} & {*first.rstrip("\r\n").split("\t")}:
            yield from _table(path)
        else:
            for number, line in _lines(path):
                yield Line(f"{path.name}:{number}", line)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"can't be read ({error})", where=str(path), fix="Give a manifest in UTF-8."
        ) from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.rstrip("\r\n")


def _json_lines(path: Path) -> Iterator[Line]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _wrong(path, number, f"no JSON ({error})") from error
        if not isinstance(row, dict):
            raise _wrong(path, number, "no JSON object")
        yield _of_row(path, number, row)


def _table(path: Path) -> Iterator[Line]:
    lines = _lines(path)
    header = next(lines)[1].split("\t")
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) != len(header):
            raise _wrong(path, number, f"{len(fields)} columns, the header has {len(header)}")
        yield _of_row(path, number, dict(zip(header, fields, strict=True)))


def _of_row(path: Path, number: int, row: dict[str, Any]) -> Line:
    text = next((row[key] for key in TEXTS if isinstance(row.get(key), str)), "")
    sound = next((row[key] for key in AUDIO if row.get(key)), None)
    if isinstance(sound, dict):  # as Hugging Face's data sets have it
        sound = sound.get("path")
    if not text and not isinstance(sound, str):
        raise _wrong(path, number, f"none of {', '.join((*TEXTS, *AUDIO))}")
    file = path.parent / sound if isinstance(sound, str) else None
    return Line(f"{path.name}:{number}", text, file)


def _list(path: Path) -> Iterator[Line]:
    """A ``meta.lst``: the text with its recording, and the prompt's with the prompt."""
    for number, line in _lines(path):
        fields = line.split("|")
        where = f"{path.name}:{number}"
        if len(fields) < 2 or len(fields) > 5:
            raise _wrong(path, number, "not a line of a meta.lst")
        if len(fields) < 4:
            yield Line(where, fields[1], path.parent / fields[2] if len(fields) == 3 else None)
            continue
        yield Line(where, fields[3], path.parent / fields[4] if len(fields) == 5 else None)
        yield Line(where, fields[1], path.parent / fields[2] if fields[2] else None)


def _kaldi(folder: Path) -> Iterator[Line]:
    """Texts first, recordings after them: the two files need not be in one order."""
    for number, line in _lines(folder / "text"):
        yield Line(f"text:{number}", line.partition(" ")[2])
    if not (folder / "wav.scp").is_file():
        return
    for number, line in _lines(folder / "wav.scp"):
        target = line.partition(" ")[2].strip()
        if target.endswith("|"):
            raise _wrong(folder / "wav.scp", number, "a command, which is not run")
        yield Line(f"wav.scp:{number}", "", folder / target)


def _wrong(path: Path, number: int, what: str) -> UserError:
    return UserError(what, where=f"{path}, line {number}", fix="Mend or remove the line.")
