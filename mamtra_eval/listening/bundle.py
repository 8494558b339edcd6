"""A bundle that is there: its manifest, lists and key.

``bundle.json`` says everything that a report must print and nothing that unblinds; it is checked
against ``bundle.schema.json`` and refused with an unknown key. ``design/lists.json`` has the trials
of every list, ``key/key.json`` says what tokens and trials are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mamtra_eval import audio
from mamtra_eval.errors import UserError
from mamtra_eval.listening import kinds
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.listening.trials import TokenKey, Trial, TrialKey

MANIFEST = "bundle.json"
SCHEMA = Path(__file__).with_name("bundle.schema.json")
LISTS = "design/lists.json"
KEY = "key/key.json"
COLLECTED = "key/collected.sqlite"
RATINGS = "ratings/ratings.sqlite"
SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Key:
    """What the experimenter alone knows.

    Attributes:
        salt: secret of the bundle, hexadecimal; tokens and raters' hashes come from it.
        systems: by name, what they are: ``system``, ``reference`` or ``anchor``; in order.
        headphones: right choices of the headphone check by token.
    """

    salt: str
    systems: dict[str, str]
    tokens: dict[str, TokenKey]
    trials: dict[str, TrialKey]
    headphones: dict[str, int]


@dataclass(frozen=True)
class Bundle:
    """One bundle's folder; everything is read when it is asked for."""

    folder: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """``bundle.json``, checked; UserError where it is no manifest of this version."""
        values = _read(self.folder / MANIFEST)
        check(values, self.folder / MANIFEST)
        return values

    @property
    def id(self) -> str:
        """Its name, ``b_`` and 16 hexadecimal digits."""
        return str(self.manifest["bundle_id"])

    @property
    def content_sha256(self) -> str:
        """Hash of what raters are asked: audio, lists, words."""
        return str(self.manifest["content_sha256"])

    @cached_property
    def kind(self) -> Kind:
        """The kind of test with the scale and the question of this bundle."""
        found: Mapping[str, Any] = self.manifest["kind"]
        kind = kinds.find(found["name"], found["scale"]["step"])
        return replace(kind, question=found["question"])

    @cached_property
    def lists(self) -> dict[str, tuple[Trial, ...]]:
        """Trials of every list, in order."""
        values = _read(self.folder / LISTS)
        with _whole(self.folder / LISTS):
            found = {
                name: tuple(
                    Trial(trial["id"], tuple(trial["tokens"]), trial.get("reference"))
                    for trial in trials
                )
                for name, trials in values.items()
            }
            if not any(found.values()):
                raise ValueError("no lists")
        return found

    @cached_property
    def key(self) -> Key:
        """What the tokens are; UserError where ``key/`` is not beside the rest."""
        values = _read(self.folder / KEY)
        with _whole(self.folder / KEY):
            return Key(
                values["salt"],
                dict(values["systems"]),
                {token: TokenKey(**one) for token, one in values["tokens"].items()},
                {
                    trial: TrialKey(**{**one, "tokens": tuple(one["tokens"])})
                    for trial, one in values["trials"].items()
                },
                dict(values["headphones"]),
            )


def open_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, its manifest read; UserError where there is none."""
    bundle = Bundle(folder)
    if not (folder / MANIFEST).is_file():
        raise UserError(
            f"no bundle here ({MANIFEST} is missing)",
            where=str(folder),
            fix="Give the folder that listen export wrote.",
        )
    _ = bundle.manifest
    return bundle


def sums(folder: Path) -> str:
    """Hashes of all files of a bundle, in the form that ``sha256sum -c`` reads."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")
                   if path.is_file())  # fmt: skip
    return "".join(f"{audio.sha256(folder / name)}  {name}\n" for name in files if name != SUMS)


def changed(folder: Path) -> list[str]:
    """Files that are not what ``SHA256SUMS`` says, or are gone; those made later don't count.

    Where that file itself is gone or not readable, it is the one that was changed.
    """
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return [SUMS]
    found = []
    for line in lines:
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file() or audio.sha256(path) != digest:
            found.append(name)
    return found


def check(manifest: Mapping[str, Any], where: Path) -> None:
    """UserError where a manifest doesn't have the form of ``bundle.schema.json``."""
    import jsonschema

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    )
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path) or "the document"
        raise UserError(
            f"{place}: {error.message[:200]}",
            where=str(where),
            fix="Export the bundle again with this version, or restore the file.",
        )


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """UserError where a file has not the form it must have."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"damaged ({type(error).__name__}: {error})",
            where=str(path),
            fix="Restore it from where the bundle was exported.",
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            "the file is missing",
            where=str(path),
            fix="Restore it from where the bundle was exported.",
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"not readable as JSON ({error})", where=str(path), fix="Restore the file."
        ) from error
    if not isinstance(values, dict):
        raise UserError("no JSON object", where=str(path), fix="Restore the file.")
    return values
