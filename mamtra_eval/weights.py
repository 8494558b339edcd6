"""Weights that users fetch once: what they are, where they are looked for, how to get them.

A run never downloads any: every worker would fetch its own, and what a run depends on should lie
still. An evaluator that needs a file says so by a ``Weights``; its ``require`` refuses a run before
the first clip, with the command that brings the file, and ``mamtra-eval doctor`` lists them all: a
plugin offers ``weights() -> list[Weights]`` with what it loads by default.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from mamtra_eval import audio
from mamtra_eval.errors import MissingExtra, describe


@dataclass(frozen=True)
class Weights:
    """One file, or one folder, of weights.

    Attributes:
        name: what a user calls it, ``UTMOS22-strong``.
        path: where it is looked for; ``None`` where a package knows and it isn't there.
        fetch: the command that brings it, exact.
        size: for people, ``393 MB``.
        option: the key that gives another path, ``speaker.weights``.
        sha256: of the published file, where known.
        alias: other places where it is taken from, the first that is there.
    """

    name: str
    path: Path | None
    fetch: str
    size: str
    option: str
    sha256: str | None = None
    alias: tuple[Path, ...] = ()

    def find(self) -> Path | None:
        """Where it lies; ``None`` if it is not here."""
        places = (self.path, *self.alias)
        return next((path for path in places if path is not None and _is_there(path)), None)

    def require(self) -> Path:
        """Where it lies; MissingExtra with the command that fetches it."""
        found = self.find()
        if found is None:
            raise MissingExtra(
                f"the weights {self.name} ({self.size}) are not here",
                where=str(self.path) if self.path else None,
                fix=f"Where there is a network: {self.fetch} ; else copy them there from another "
                f"machine, or give their path as {self.option}.",
            )
        return found

    def damage(self) -> str | None:
        """What is wrong with the file that is here, by its published hash; reads all of it."""
        path = self.find()
        if path is None or self.sha256 is None or not path.is_file():
            return None
        found = audio.sha256(path)
        return None if found == self.sha256 else f"SHA-256 is {found}, published is {self.sha256}"


def folder_of(
    model: str, published: Callable[[], Weights], files: Sequence[str], what: str
) -> Path:
    """Where a model of several files lies; MissingExtra if it is not here, or not all of it.

    Args:
        model: a folder, or a name.
        published: what a name stands for.
        files: that must be there.
        what: they are of, for the error.
    """
    if Path(model).is_dir():
        folder = Path(model).absolute()
        fix = f"Give as asr.model a folder with {', '.join(files)}."
    else:
        wanted = published()
        folder = wanted.require()
        fix = f"Where there is a network: {wanted.fetch}"
    for file in files:
        if not (folder / file).is_file():
            raise MissingExtra(f"there is no {file} of {what}", where=str(folder), fix=fix)
    return folder


def why(error: Exception) -> str:
    """Why torch did not read a file; never with its advice to trust one that holds programs."""
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in str(error):
        return "it is no file of torch's, or holds more than tensors"
    return describe(error)


def _is_there(path: Path) -> bool:
    """Whether a file, or a folder where that is meant, is there: a folder has no such suffix."""
    return path.is_file() or (path.is_dir() and path.suffix not in {".pt", ".pth", ".ckpt"})


def given(path: str, name: str, option: str) -> Path:
    """A path that the user gave for weights; MissingExtra if there is no such file."""
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise MissingExtra(
            f"there is no file with the weights {name}",
            where=str(file),
            fix=f"Give the path of the file as {option}, or leave it out.",
        )
    return file


def in_hub(hub_id: str, revision: str | None = None) -> Path | None:
    """The folder of a model in the Hugging Face hub's cache; ``None`` where there is none."""
    try:
        hub = import_module("huggingface_hub")
        return Path(hub.snapshot_download(hub_id, revision=revision, local_files_only=True))
    except (ImportError, OSError, ValueError):  # no such package, not fetched, no id
        return None


def modelscope(model: str, revision: str) -> list[Path]:
    """Folders where ModelScope's downloader puts a model, and used to; its own first.

    Up to modelscope 1.37: a folder without the revision, below hub/ or not, dots written as ___.
    """
    home = Path.home() / ".cache" / "modelscope"
    base = Path(os.environ.get("MODELSCOPE_CACHE") or home).expanduser()
    owner, _, name = model.partition("/")
    snapshots = base / "models" / f"{owner}--{name}" / "snapshots"
    older = [
        base / below / owner / one
        for below in ("models", "hub/models", "hub", "")
        for one in dict.fromkeys((name.replace(".", "___"), name))
    ]
    return [snapshots / revision, snapshots / "master", *older]


def fingerprint(folder: Path, *patterns: str) -> str:
    """A hash over names and contents of a folder's files that match; of small files."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        digest.update(f"{path.name}\x1f{audio.sha256(path)}\x1e".encode())
    return digest.hexdigest()


def cache() -> Path:
    """The user's cache (``$XDG_CACHE_HOME``, else ``~/.cache``)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def folder() -> Path:
    """Where this package looks for weights: ``mamtra-eval/weights`` in the user's cache."""
    return cache() / "mamtra-eval" / "weights"


def download(url: str, name: str) -> str:
    """The command that puts a file of a web address into ``folder()``."""
    return f"curl -fL --create-dirs -o '{folder() / name}' '{url}'"
