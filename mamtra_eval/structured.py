"""Structured configurations: plain values and ``key=value`` overrides over a dataclass.

Unknown keys and wrong types are refused, with what is known in their place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mamtra_eval.errors import UserError, unknown_name

Schema = TypeVar("Schema")
_FOLDER = re.compile(r"\$\{oc\.env:[A-Z][A-Z0-9_]*_(MODEL|SOURCE)(,null)?\}")
_FUNCTION = re.compile(r"(?<!\\)(?:\\\\)*\$\{(?:[^{}]|\$\{[^{}]*\})*:")


def read_yaml(path: Path, begin: str) -> dict[str, Any]:
    """A YAML file's mapping; UserError tells to ``begin`` with a key where it is none."""
    try:
        values = OmegaConf.to_container(OmegaConf.load(path))
    except (yaml.YAMLError, OSError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise UserError(f"not valid YAML ({one_line(error)})", where=str(path)) from error
    if not isinstance(values, dict):
        raise UserError("no mapping of keys to values", where=str(path), fix=f"Begin with {begin}:")
    return {str(key): value for key, value in values.items()}


def read_overrides(overrides: Sequence[str], where: str) -> dict[str, Any]:
    """What ``key=value`` say, as a file would; UserError names what is wrong."""
    for override in overrides:
        if "=" not in override:
            raise UserError(
                f"{override!r} is no key=value", fix="Write section.key=value, without spaces."
            )
    try:
        given = OmegaConf.from_dotlist([_quoted(override) for override in overrides])
        plain = OmegaConf.to_container(given)
    except (yaml.YAMLError, ValueError, TypeError, OmegaConfBaseException) as error:
        raise UserError(f"a value has the wrong form ({one_line(error)})", where=where) from error
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def merge(
    schema: type[Schema],
    values: dict[str, Any],
    overrides: Sequence[str],
    where: str,
    needed: dict[str, str],
) -> Schema:
    """An object of the dataclass ``schema``; UserError names what is wrong.

    Args:
        schema: the dataclass, whose fields may have dataclasses as types.
        values: as a file has them.
        overrides: ``key=value``, over the values.
        where: the values come from, for errors.
        needed: keys that must have a value, each with the advice for its absence.
    """
    given = read_overrides(overrides, where)
    try:
        _refuse_environment([values, given], where)
        merged = OmegaConf.merge(OmegaConf.structured(schema), values, given)
        absent = OmegaConf.missing_keys(merged)
        for key, advice in needed.items():
            if key in absent:
                raise UserError(f"{key} is missing", where=where, fix=advice)
        made = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise _explain(schema, error, where) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(f"a value has the wrong form ({one_line(error)})", where=where) from error
    assert isinstance(made, schema)
    return made


def _refuse_environment(values: object, where: str) -> None:
    r"""UserError for ``${oc.env:…}``: what it stands for would be written into the run folder.

    Refused is every function of OmegaConf's, since their names may be put together (``${${a}:…}``).
    ``\${`` and references to other keys stay, and so do variables that say where a model or a
    source lies (``_FOLDER``): presets ask for them.
    """
    if isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            _refuse_environment(value, where)
    elif isinstance(values, str) and _FUNCTION.search(_FOLDER.sub("", values)):
        raise UserError(
            "a value calls a function (${…:…}): what it gives, a variable of the environment "
            "say, would be written into run folders and reports",
            where=where,
            fix="Write the value itself; a key is named by its variable: api_key_env=NAME.",
        )


def _quoted(override: str) -> str:
    """An override in which ``1:5`` stays a ratio: YAML would read a number in base 60."""
    return re.sub(r"=(\d+:\d+)$", r"='\1'", override)


def one_line(error: Exception) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error).split())


def _explain(schema: type[object], error: OmegaConfBaseException, where: str) -> UserError:
    key = str(error.full_key or "")
    if "not in" in str(error) and key:
        section = key.rpartition(".")[0]
        known = OmegaConf.select(OmegaConf.structured(schema), section or "")
        names = known if section else OmegaConf.structured(schema)
        if names is None and is_dataclass(error.object_type):  # a section that may be left out
            names = [one.name for one in fields(error.object_type)]
        prefix = f"{section}." if section else ""
        unknown = unknown_name("key", key, [f"{prefix}{name}" for name in names])
        return UserError(unknown.what, where=where, fix=unknown.fix)
    first = str(error).partition("\n")[0]
    return UserError(first, where=f"{where}, key {key}" if key else where)
