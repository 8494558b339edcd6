"""Test sets from outside: unpack the official Seed-TTS-eval archive, inspect any set.

The archive (``seedtts_testset``) holds ``en/meta.lst`` (1088 utterances), ``zh/meta.lst`` (2020)
and ``zh/hardcase.lst`` (400, without ground truth). It is checked before anything is written: every
member must be a plain file or folder that stays below the target. It is unpacked beside the target
and moved into place as the last step, so that a broken import leaves nothing behind.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mamtra_eval import audio
from mamtra_eval.catalogue import CARD
from mamtra_eval.errors import UserError
from mamtra_eval.progress import Progress, Silent
from mamtra_eval.testset import TestSet, read_meta

OFFICIAL = {
    "en": ("en/meta.lst", "en", 1088),
    "zh": ("zh/meta.lst", "zh", 2020),
    "hard": ("zh/hardcase.lst", "zh", 400),
}
"""List name: (path below the archive's root, language, utterances)."""
MAX_BYTES = 20 * 2**30
MAX_MEMBERS = 200_000
MAX_DEPTH = 32
MAX_READ = 2**20
"""Bytes at once: longer names and headers are nobody's."""
LONGEST_NAME = 200
"""Characters of a name that an error shows."""


def unpack(
    archive: Path,
    target: Path,
    name: str,
    *,
    any_counts: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Unpack the official archive as the named test set ``target``; returns what to tell the user.

    Raises:
        UserError: the archive is not readable, unsafe or not the expected one, or the target is
            there already. Nothing is written then.
    """
    if not archive.is_file():
        raise UserError("no such file", where=str(archive), fix="Give the path of the archive.")
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise UserError(
            f"{name!r} is no name for a test set", fix="Use letters, digits and . _ + - in it."
        )
    if target.exists():
        raise UserError(
            "the folder is there already",
            where=str(target),
            fix="Remove it, or choose another name with --name.",
        )
    try:
        with _opened(archive) as file, tarfile.TarFile(fileobj=file) as tar:
            members = _checked(tar, archive)
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".import-") as folder:
                stage = (progress or Silent()).stage("Unpacking", len(members))
                with stage as advance:
                    for member in members:
                        _unpack(tar, member, Path(folder))
                        advance()
                root = _root(Path(folder), archive)
                lines = _finish(root, archive, name, any_counts)
                shutil.move(str(root), str(target))
    except (tarfile.TarError, EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise UserError(
            f"the archive can't be unpacked ({error})", where=str(archive), fix="Download it again."
        ) from error
    first = next(path for path, _, _ in OFFICIAL.values() if (target / path).is_file())
    return [*lines, f"unpacked; use a list with --testset {target / first}"]


def inspect(testset: TestSet) -> dict[str, Any]:
    """What is in a set, as plain values; UserError for recordings that can't be read."""
    seconds = 0.0
    prompts = {item.prompt_audio for item in testset.utterances if item.prompt_audio}
    truths = [item.ground_truth for item in testset.utterances if item.ground_truth]
    problems = []
    for path in [*sorted(prompts), *truths]:
        try:
            clip = audio.read(path)
            seconds += clip.duration_s if path in prompts else 0.0
        except audio.AudioError as error:
            problems.append(str(error))
    if problems:
        shown = "; ".join(problems[:5]) + (
            f"; and {len(problems) - 5} more" if problems[5:] else ""
        )
        raise UserError(shown, where=str(testset.path), fix="Mend or replace these recordings.")
    words = sum(len(item.text.split()) for item in testset.utterances)
    return {
        "name": testset.name,
        "list": str(testset.path),
        "language": testset.language,
        "utterances": len(testset.utterances),
        "words": words,
        "prompts": len(prompts),
        "prompt_seconds": round(seconds, 1),
        "ground_truth": len(truths),
        "options": testset.options,
        "sha256": testset.sha256(),
    }


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one checked member. Not by ``extract``: Pythons before 3.11.4 have no safe filter."""
    target = folder / member.name
    source = tar.extractfile(member)
    if source is None:  # a folder: all else was refused
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


@contextmanager
def _opened(archive: Path) -> Iterator[_Bounded]:
    """The archive, decompressed as it is read."""
    with archive.open("rb") as raw:
        magic = raw.read(6)
    opener: Callable[..., Any] = open
    for beginning, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\0", lzma)):
        if magic.startswith(beginning):
            opener = module.open
    with opener(archive, "rb") as file:
        yield _Bounded(file)


class _Bounded:
    """A file of which only so much is read at once: a header says how long its text is."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell, self.close, self.write = file.seek, file.tell, file.close, file.write

    def read(self, size: int = -1) -> bytes:
        """Bytes; ReadError for more than any header or buffer takes."""
        if not 0 <= size <= MAX_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)


def _checked(tar: tarfile.TarFile, archive: Path) -> list[tarfile.TarInfo]:
    """All members; UserError at the first that must not be unpacked, or is one too many."""
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in tar:
        members.append(member)
        total += member.size
        if problem := _problem(member):
            raise UserError(
                f"member {member.name[:LONGEST_NAME]!r} {problem}",
                where=str(archive),
                fix="This is not the official archive: do not unpack it.",
            )
        if total > MAX_BYTES or len(members) > MAX_MEMBERS:
            raise UserError(
                f"it would unpack to {len(members)} members and {total / 2**30:.1f} GiB or more",
                where=str(archive),
                fix=f"At most {MAX_MEMBERS} members and {MAX_BYTES / 2**30:.0f} GiB are accepted.",
            )
    return members


def _problem(member: tarfile.TarInfo) -> str | None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name:
        return "leads out of the target folder"
    if len(path.parts) > MAX_DEPTH:
        return f"lies more than {MAX_DEPTH} folders deep"
    if not (member.isfile() or member.isdir()):
        return "is neither a file nor a folder (links are refused)"
    return None


def _root(folder: Path, archive: Path) -> Path:
    """The folder that holds ``en/`` and ``zh/``: the archive's top, or one folder below."""
    for candidate in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        if any((candidate / path).is_file() for path, _, _ in OFFICIAL.values()):
            return candidate
    wanted = ", ".join(path for path, _, _ in OFFICIAL.values())
    raise UserError(
        f"it holds none of the lists {wanted}",
        where=str(archive),
        fix="Give the archive seedtts_testset.",
    )


def _finish(root: Path, archive: Path, name: str, any_counts: bool) -> list[str]:
    """Read every list, compare its length, write the card; one line per list."""
    import yaml

    lines, lists = [], {}
    for list_name, (relative, language, expected) in OFFICIAL.items():
        path = root / relative
        if not path.is_file():
            lines.append(f"{list_name}: {relative} is not in the archive")
            continue
        n = len(read_meta(path, language=language).utterances)
        if n != expected and not any_counts:
            raise UserError(
                f"{relative} has {n} utterances, the official list has {expected}",
                where=str(archive),
                fix="Download it again, or accept it as it is with --any-counts.",
            )
        lists[list_name] = {
            "file": relative,
            "n": n,
            "language": language,
            "sha256": audio.sha256(path),
        }
        lines.append(f"{list_name}: {n} utterances")
    card = {
        "name": name,
        "language": next(iter(lists.values()))["language"],
        "licence": "see the archive's source; not part of this project",
        "source": f"Seed-TTS-eval, archive {archive.name}, SHA-256 {audio.sha256(archive)}",
        "default": next(iter(lists)),
        "lists": lists,
    }
    (root / CARD).write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    return lines
