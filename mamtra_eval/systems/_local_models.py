"""Models that another package would fetch from a hub: looked for here, and handed to it as folders.

A package asks for ``descript/dac_44khz`` wherever it runs, and fetches it if it is not there. A run
never downloads: each such model is found first, in the folder that an option gives or in the hub's
cache, and while the package loads, its own loader is answered with that folder (``served``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from mamtra_eval import audio, weights
from mamtra_eval.errors import MissingExtra, UserError

if TYPE_CHECKING:
    from mamtra_eval.diagnosis import Check


class Model(NamedTuple):
    """A published model that a system needs.

    Attributes:
        hub: its id.
        option: the option that gives its folder.
        what: it is, for people.
        size: for people.
        files: that must be in it; ``a|b`` stands for either.
    """

    hub: str
    option: str
    what: str
    size: str
    files: tuple[str, ...]

    def find(self, given: str | None, system: str) -> Path:
        """Its folder; MissingExtra if it is not here, or not all of it."""
        fetch = f"hf download {self.hub}"
        fix = f"Where there is a network: {fetch} --local-dir FOLDER ; then {system}:{self.option}="
        if given:
            folder = Path(given).expanduser().absolute()
            if not folder.is_dir():
                raise MissingExtra("no such folder", where=str(folder), fix=f"{fix}FOLDER")
        else:
            cached = weights.in_hub(self.hub)
            if cached is None:
                raise MissingExtra(
                    f"{self.what}: {self.hub} ({self.size}) is not here",
                    fix=f"{fix}FOLDER . Or without the option, into the hub's cache: {fetch}",
                )
            folder = cached
        absent = [name for name in self.files if not _present(folder, name)]
        if absent:
            raise MissingExtra(
                f"the folder of {self.what} lacks {', '.join(absent).replace('|', ' or ')}",
                where=str(folder),
                fix=f"{fix}FOLDER",
            )
        return folder

    def hashes(self, folder: Path) -> dict[str, str]:
        """SHA-256 of each of its files that is there."""
        names = [name for entry in self.files for name in entry.split("|")]
        return {name: audio.sha256(folder / name) for name in names if (folder / name).is_file()}

    def check(self, given: str | None, system: str) -> Check:
        """What a doctor says of it."""
        return checked(self.what, lambda: str(self.find(given, system)))


def model_folder(system: str, given: str | None, variable: str, what: str, fetch: str) -> Path:
    """The folder that ``model`` gives, or the environment; it is there, whatever is in it.

    Args:
        system: its name.
        given: the option's value.
        variable: of the environment, in place of the option.
        what: the system needs, for people.
        fetch: the command that brings it.
    """
    named = given or os.environ.get(variable)
    if not named:
        raise MissingExtra(
            f"{system} needs the folder of {what}",
            fix=f"Give it: {system}:model=FOLDER, or export {variable}=FOLDER. To fetch it: "
            f"{fetch}",
        )
    folder = Path(named).expanduser().absolute()
    if not folder.is_dir():
        raise MissingExtra("no such folder", where=str(folder), fix=f"Give {system}:model=FOLDER.")
    return folder


def require_files(folder: Path, names: Iterable[str], system: str, fetch: str) -> None:
    """MissingExtra naming what a model's folder lacks; ``a|b`` stands for either."""
    absent = [name for name in names if not _present(folder, name)]
    if absent:
        raise MissingExtra(
            f"no model of {system}: {', '.join(absent).replace('|', ' or ')} not there",
            where=str(folder),
            fix=f"Give {system}:model=FOLDER with all of it. To fetch it: {fetch}",
        )


def checked(name: str, look: Callable[[], str]) -> Check:
    """What a doctor says of what ``look`` finds and describes, or misses with an error."""
    from mamtra_eval.diagnosis import Check

    try:
        return Check(name, "ok", look())
    except MissingExtra as error:
        return Check(name, "absent", _without_fix(error), error.fix or "")
    except UserError as error:
        return Check(name, "unusable", _without_fix(error), error.fix or "")


def packages(names: Mapping[str, str], environment: str) -> list[Check]:
    """A check for each distribution: its version against the one that was tested.

    Args:
        names: tested version by distribution; empty where any does.
        environment: that brings them.
    """
    from mamtra_eval.diagnosis import Check

    found, checks = versions(names), []
    fix = f"Make its environment: mamtra-eval env create {environment}"
    for name, tested in names.items():
        if name not in found:
            checks.append(Check(name, "absent", "not installed", fix))
        elif tested and found[name].partition("+")[0] != tested:
            checks.append(Check(name, "ok", f"{found[name]}; tested with {tested}"))
        else:
            checks.append(Check(name, "ok", found[name]))
    return checks


def versions(names: Iterable[str]) -> dict[str, str]:
    """Installed versions by distribution; those that are not installed are left out."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def served(module: ModuleType, name: str, folders: Mapping[str, Path]) -> Iterator[None]:
    """While the block runs, a module's loader finds these models in folders, by their hub ids.

    Args:
        module: of the package, in which the loader is looked up when it is called.
        name: of the loader there: a class with ``from_pretrained``, or ``hf_hub_download``.
        folders: by hub id. Any other id is a LookupError: it would be fetched.
    """
    original = getattr(module, name)
    fake: Any = (
        _Loader(original, folders)
        if hasattr(original, "from_pretrained")
        else lambda repo_id, filename, **_: str(folders[repo_id] / filename)
    )
    setattr(module, name, fake)
    try:
        yield
    finally:
        setattr(module, name, original)


class _Loader:
    """In the place of a class of transformers."""

    def __init__(self, original: Any, folders: Mapping[str, Path]) -> None:  # noqa: ANN401
        self._original, self._folders = original, folders

    def from_pretrained(self, hub: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        """As the class has it, of a folder."""
        return self._original.from_pretrained(str(self._folders[hub]), *arguments, **named)


def _present(folder: Path, entry: str) -> bool:
    return any((folder / name).is_file() for name in entry.split("|"))


def _without_fix(error: UserError) -> str:
    return f"{error.where}: {error.what}" if error.where else error.what
