"""Plugins by file name: adding a system, a metric or an ASR back end is adding one file.

A plugin is a module with a function ``create(options)`` (a report: ``write(results)``) in the
package folder of its kind (``systems/``, ``metrics/``, …), or one that another distribution
announces under the entry-point group ``mamtra_eval.<kind>``. Its name is the file's; its summary is
the first line of the file's docstring. Listing reads the source and imports nothing; only the
plugin asked for is loaded.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from mamtra_eval.errors import UserError, unknown_name

KINDS = {
    "systems": "system",
    "metrics": "metric",
    "asr": "ASR back end",
    "speakers": "speaker encoder",
    "normalize": "normaliser",
    "report": "report",
}
"""Package folder by kind, with the word for one of them."""


@dataclass(frozen=True)
class Plugin:
    """A plugin as far as it is known without importing it."""

    name: str
    module: str
    summary: str
    packages: tuple[str, ...]
    """Distributions' import names that it needs beyond the core (its ``PACKAGES``)."""

    def missing(self) -> list[str]:
        """Those of ``packages`` that are not installed."""
        return [package for package in self.packages if find_spec(package) is None]


def plugins(kind: str) -> dict[str, Plugin]:
    """All plugins of a kind by name, without importing any."""
    folder = Path(__file__).parent / kind
    found = {}
    for path in sorted(folder.glob("*.py")):
        if not path.stem.startswith("_"):
            module = f"mamtra_eval.{kind}.{path.stem}"
            found[path.stem] = _read_plugin(path.stem, module, path, path.stat().st_mtime_ns)
    for point in entry_points(group=f"mamtra_eval.{kind}"):
        found.setdefault(point.name, Plugin(point.name, point.value, f"from {point.value}", ()))
    return found


def presets() -> dict[str, Path]:
    """The packaged configurations by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "presets").glob("*.yaml"))}


def load(kind: str, name: str) -> ModuleType:
    """Import one plugin's module; UserError for an unknown name, near matches first."""
    known = plugins(kind)
    if name not in known:
        raise unknown_name(KINDS[kind], name, known)
    try:
        return import_module(known[name].module)
    except ImportError as error:
        raise UserError(
            f"the {KINDS[kind]} {name} can't be loaded ({type(error).__name__}: {error})",
            where=known[name].module,
            fix="Install what it needs, or remove the distribution that announces it.",
        ) from error


def create(kind: str, name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- per kind
    """Make the plugin's object by its ``create(options)``."""
    return load(kind, name).create(dict(options))


def read_options(
    owner: str, options: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Options over their defaults, converted to the defaults' types.

    A default of ``None`` stands for an optional string. UserError names an unknown option or a
    value that is no such type.
    """
    merged = dict(defaults)
    for key, value in options.items():
        if key not in defaults:
            raise unknown_name(f"option of {owner}", key, defaults or ["(it takes none)"])
        merged[key] = _convert(owner, key, value, defaults[key])
    return merged


def _convert(owner: str, key: str, value: object, default: object) -> object:
    if value is None or default is None:
        return value if value is None else str(value)
    try:
        if isinstance(default, bool):
            return _boolean(value)
        if isinstance(default, int):
            return int(str(value))
        if isinstance(default, float):
            return float(str(value))
    except ValueError:
        kind = type(default).__name__
        raise UserError(f"option {key} of {owner} must be {kind}, not {value!r}") from None
    return str(value)


def _boolean(value: object) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError(word)
    return words[word]


@cache
def _read_plugin(name: str, module: str, path: Path, changed_ns: int) -> Plugin:
    """What a file says of itself; it is read once, and again when it has changed."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".").replace("``", "")
    packages: tuple[str, ...] = ()
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "PACKAGES" for target in node.targets
        ):
            packages = tuple(ast.literal_eval(node.value))
    return Plugin(name, module, summary, packages)
