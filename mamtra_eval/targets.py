"""TARGET: how a system is named on the command line and in a configuration.

===============================  ===========================================================
``recorded``                     the test set's own ground-truth recordings
``wavs/``                        a folder of ``<utt>.wav`` (or .flac, .ogg, .mp3); one that is
                                 called like a system needs a path: ``./espeak``
``checkpoints/student/``         a checkpoint of the mini family's shape
``espeak``                       a system by name, with its defaults
``espeak:voice=en-us+f3``        … with options, separated by commas
``mini:1:3``                     the embedded family, by ratio
``command:prog {text} {out}``    a program run once an utterance
``http://host:8000/v1/audio…``   an OpenAI-style speech endpoint, options in the query
``transcripts:FILE``             what was heard elsewhere, as JSON lines: no audio
``NAME=TARGET``                  any of these under a name of your own
===============================  ===========================================================

A value with a comma stands in double quotes, a quote in it twice:
``mini:checkpoint="/out/a, b",temperature=0.8``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mamtra_eval import redaction, registry
from mamtra_eval.errors import UserError, unknown_name

WEIGHTS = "model.safetensors"
"""A folder with this file is a checkpoint."""

_NAME = r"\w[\w.+-]*"
_NAMED = re.compile(rf"(?P<name>{_NAME})=(?P<target>.+)", re.DOTALL)
_TIMEOUT = re.compile(r"timeout_s=(?P<seconds>[^,\s]*),(?P<template>.*)", re.DOTALL)
_PART = re.compile(r"""
    (?P<key>[^,="]+) = \s* "(?P<quoted>(?:[^"]|"")*)" \s* (?:,|$)   # key="a, b"
  | (?P<plain>[^,]*) (?:,|$)                                        # key=value, or a shorthand
""", re.VERBOSE | re.DOTALL)  # fmt: skip


@dataclass(frozen=True)
class SystemSpec:
    """A system as a plugin name with options: what a worker needs to make it."""

    name: str
    kind: str
    target: str
    options: dict[str, str] = field(default_factory=dict)


def split_name(target: str) -> tuple[str, str]:
    """(name, target) of ``NAME=TARGET`` or of a bare target, which is its own name."""
    named = _NAMED.fullmatch(target)
    if named and not _is_folder(target):
        return named["name"], named["target"]
    if _is_folder(target):
        return Path(target).resolve().name or target, target
    return target, target


def name_all(targets: Sequence[str]) -> dict[str, str]:
    """Names to targets; UserError where two systems would have the same name."""
    named: dict[str, str] = {}
    for given in targets:
        name, target = split_name(given)
        if _is_address(target):  # before it stands in any other error
            registry.load("systems", "http").refuse_secrets(target)
        if name in named:
            raise UserError(
                f"two systems are named {name!r}: {named[name]} and {target}",
                fix=f"Name one of them: {name}-2={target}",
            )
        named[name] = target
    return named


def parse(name: str, target: str) -> SystemSpec:
    """The system that a target stands for; UserError with near matches if none does."""
    if not target.strip():
        raise UserError("a target is empty", fix="Name a system, a folder or an address.")
    if _is_folder(target):
        if (Path(target) / WEIGHTS).is_file():
            return SystemSpec(name, "mini", target, {"checkpoint": target})
        return SystemSpec(name, "recorded", target, {"dir": target})
    if _is_address(target):
        options = registry.load("systems", "http").options_from_url(target)
        return SystemSpec(name, "http", target, options)
    kind, _, rest = target.partition(":")
    known = registry.plugins("systems")
    if kind in known:
        options = _options(kind, rest)
        if kind != "command":  # which looks at its words itself
            redaction.refuse_fields(options, f"system {kind}")
        return SystemSpec(name, kind, target, options)
    redaction.refuse_address(target, f"target {kind}")  # before it stands in an error
    if "/" in target or "\\" in target or target.startswith("."):
        raise UserError("no such folder", where=target, fix=_hint(target))
    error = unknown_name("system", kind, known)
    error.fix = f"{error.fix} Or give a folder of wavs or the address of a speech endpoint."
    raise error


def _is_folder(target: str) -> bool:
    """Whether a target is a folder; a plugin's name is not, whatever lies in this directory."""
    if target.partition(":")[0] in registry.plugins("systems"):
        return False
    try:
        return Path(target).is_dir()
    except (OSError, ValueError):  # too long for a path, or with a NUL: not one
        return False


def _is_address(target: str) -> bool:
    return target.lower().startswith(("http://", "https://"))


def _hint(target: str) -> str:
    if re.match(r"[\w.-]+:\d+/", target):
        return f"For an address write http://{target}."
    if "=" in target.partition("/")[0]:
        return "In NAME=TARGET a name has letters, digits and . _ + -, and TARGET must be there."
    return "Give the path of a folder of wavs."


def _options(kind: str, rest: str) -> dict[str, str]:
    if kind == "command":
        limited = _TIMEOUT.fullmatch(rest)
        if limited:
            return {"timeout_s": limited["seconds"], "template": limited["template"]}
        return {"template": rest} if rest else {}
    if whole := getattr(registry.load("systems", kind), "WHOLE", None):
        return {whole: rest} if rest else {}
    options: dict[str, str] = {}
    shorthand = getattr(registry.load("systems", kind), "SHORTHAND", None)
    for found in _PART.finditer(rest):
        if found["quoted"] is not None:
            options[found["key"].strip()] = found["quoted"].replace('""', '"')
            continue
        part = found["plain"]
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not equals and shorthand and not options:  # mini:1:3 is short for mini:ratio=1:3
            key, equals, value = shorthand, "=", part
        if not equals:
            raise UserError(
                f"{part!r} is no option of {kind}", fix=f"Write {kind}:option=value,option=value."
            )
        options[key.strip()] = value.strip()
    return options


def written(kind: str, options: Mapping[str, str]) -> str:
    """The target of a system by name with these options; UserError if none can say them."""
    short = getattr(registry.load("systems", kind), "SHORTHAND", None)
    parts = [f"{key}={_quoted(value)}" for key, value in options.items() if key != short]
    if short is not None and short in options:
        parts.insert(0, options[short])
    target = f"{kind}:{','.join(parts)}" if parts else kind
    if parse("", target).options != options:
        raise UserError(
            f"a target of {kind} can't hold the options {', '.join(options) or 'of none'}",
            where=target,
            fix="Write the target out by hand, under systems.",
        )
    return target


def _quoted(value: str) -> str:
    """A value as it stands in a target."""
    plain = value and value == value.strip() and not set(value) & set(',"')
    return value if plain else f'"{value.replace(chr(34), chr(34) * 2)}"'


def is_floor(kind: str, target: str) -> bool:
    """Whether a system is the test set's own recordings, in which only the recogniser errs."""
    return kind == target == "recorded"
