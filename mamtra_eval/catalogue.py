"""Named test sets: where they are looked for, and what their ``testset.yaml`` says.

A name is ``SET`` or ``SET/LIST``. Folders are searched in this order: ``testsets/`` of the working
directory, the folders of ``MAMTRA_EVAL_TESTSETS`` (separated as in ``PATH``), those shipped with
the package.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.testset import TestSet, read_meta

CARD = "testset.yaml"
FETCHED = {
    "seed-tts-eval": "Its audio is not ours to ship: get the archive that the README of "
    "BytedanceSpeech/seed-tts-eval links, then: mamtra-eval testset import seedtts_testset.tar.",
}
"""Sets that the user brings: how."""


@dataclass(frozen=True)
class Entry:
    """One list of a named set, as its card describes it."""

    name: str
    path: Path
    language: str
    options: dict[str, dict[str, str]]
    n: int | None
    speaker: str | None = None


def folders() -> list[Path]:
    """The folders that hold named sets, nearest first."""
    package = Path(__file__).parent
    named = os.environ.get("MAMTRA_EVAL_TESTSETS", "").split(os.pathsep)
    candidates = [Path("testsets"), *map(Path, filter(None, named)), package / "_testsets"]
    candidates.append(package.parent / "testsets")  # a checkout installed in place
    return [folder for folder in candidates if folder.is_dir()]


def entries() -> dict[str, Entry]:
    """Every named list by name; a set's default list also under the set's own name."""
    found: dict[str, Entry] = {}
    for folder in folders():
        for card in sorted(folder.glob(f"*/{CARD}")):
            try:
                read = _read_card(card)
            except UserError:  # it hides no other set; asking for it by name explains it
                continue
            for name, entry in read.items():
                found.setdefault(name, entry)
    return found


def load(name_or_path: str, *, audio: bool = True) -> TestSet:
    """A test set by name (``mini-en``, ``mini-en/digits``) or by the path of its list or folder.

    Without ``audio`` it has texts alone, and recordings that are not there are no error.
    """
    path = Path(name_or_path)
    if path.is_file():
        return _load_list(path, audio=audio)
    if (path / CARD).is_file():
        return _load_entry(_read_card(path / CARD)[_card(path / CARD)["name"]], audio=audio)
    if (path / "meta.lst").is_file():
        return read_meta(path / "meta.lst", audio=audio)
    known = entries()
    if name_or_path in known:
        return _load_entry(known[name_or_path], audio=audio)
    for folder in folders():
        if (folder / name_or_path.partition("/")[0] / CARD).is_file():
            _read_card(folder / name_or_path.partition("/")[0] / CARD)  # says what is wrong with it
    if path.suffix == ".lst" or name_or_path.startswith((".", "/")):
        raise UserError("no such list", where=name_or_path, fix="Give the path of a meta.lst.")
    error = unknown_name("test set", name_or_path, known)
    how = how_to_get(name_or_path)
    error.fix = f"{how or error.fix} Or give the path of a meta.lst."
    raise error


def how_to_get(name: str) -> str | None:
    """What brings a set that is known by name and not here; ``None`` for any other."""
    if name in entries() or Path(name).exists():
        return None
    return FETCHED.get(name.partition("/")[0])


def _load_list(path: Path, *, audio: bool) -> TestSet:
    """A list by its path; a card beside it or one folder up knows its name and options."""
    for folder in (path.absolute().parent, path.absolute().parent.parent):
        if (folder / CARD).is_file():
            for entry in _read_card(folder / CARD).values():
                if entry.path.resolve() == path.resolve():
                    return _load_entry(entry, audio=audio)
    return read_meta(path, audio=audio)


def _load_entry(entry: Entry, *, audio: bool) -> TestSet:
    testset = read_meta(entry.path, name=entry.name, language=entry.language, audio=audio)
    return replace(testset, options=entry.options, speaker=entry.speaker)


def _read_card(path: Path) -> dict[str, Entry]:
    card = _card(path)
    default = card.get("default", next(iter(card["lists"])))
    found: dict[str, Entry] = {}
    for list_name, row in card["lists"].items():
        options = {key: value for key, value in row.items() if isinstance(value, dict)}
        long_name = f"{card['name']}/{list_name}"
        is_default = list_name == default
        entry = Entry(
            # The default list has one name, however it is asked for.
            name=card["name"] if is_default else long_name,
            path=path.parent / row["file"],
            language=row.get("language", card["language"]),
            options={k: {o: str(v) for o, v in d.items()} for k, d in options.items()},
            n=row.get("n"),
            speaker=row.get("speaker", card.get("speaker")),
        )
        found[long_name] = entry
        if is_default:
            found[card["name"]] = entry
    return found


def _card(path: Path) -> dict[str, Any]:
    import yaml

    try:
        card = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key in ("name", "language", "lists"):
            card[key]
        for row in card["lists"].values():
            row["file"]
            re.compile(row.get("speaker", card.get("speaker", "")))
        card["lists"][card.get("default", next(iter(card["lists"])))]
    except (
        yaml.YAMLError,
        OSError,
        KeyError,
        TypeError,
        AttributeError,
        StopIteration,
        UnicodeDecodeError,
        re.error,
    ) as error:
        raise UserError(
            f"not a valid test set card ({type(error).__name__}: {error})",
            where=str(path),
            fix="It needs name, language and lists, each list with a file; "
            "see testsets/mini-en/testset.yaml.",
        ) from error
    loaded: dict[str, Any] = card
    return loaded
