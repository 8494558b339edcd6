"""The YAML files of published numbers, validated: unknown keys, units and odd values are refused.

``systems.yaml`` names the systems. Every other file has ``sets`` and ``sources``; a source has what
is on record of its protocol, and its ``numbers`` as they are printed, with their unit.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from mamtra_eval import recipes
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.published import KnownSet, Protocol, Published, Registry, Unit
from mamtra_eval.recipes import Ears
from mamtra_eval.structured import merge, read_yaml

FOLDER = Path(__file__).parent
SYSTEMS = "systems.yaml"
UNITS: dict[str, Unit] = {
    "wer": "fraction", "wer_pooled": "fraction", "similarity": "cosine", "utmos": "mos",
    "utmosv2": "mos",
}  # fmt: skip
"""Figures that numbers may be of, with their unit here."""
PRINTED: dict[Unit, dict[str, float]] = {
    "fraction": {"percent": 100.0},
    "cosine": {"percent": 100.0, "cosine": 1.0},
    "mos": {"mos": 1.0},
}
"""By unit here, the units in print, and what they count for one of it."""
RANGES: dict[Unit, tuple[float, float]] = {
    "fraction": (0.0, 10.0), "cosine": (-1.0, 1.0), "mos": (1.0, 5.0),
}  # fmt: skip
AGGREGATES = {"wer": "mean", "wer_pooled": "pooled"}


@dataclass
class _Systems:
    systems: dict[str, str] = field(default_factory=dict)


@dataclass
class _Set:
    language: str = MISSING
    n: int | None = None
    aliases: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


@dataclass
class _Source:
    title: str = MISSING
    date: str | None = None
    recipe: str | None = None
    asr: dict[str, str] = field(default_factory=dict)
    normalizer: str | None = None
    aggregate: str | None = None
    encoder: str | None = None
    note: str = ""
    numbers: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Number:
    system: str = MISSING
    set: str = MISSING
    metric: str = MISSING
    value: float = MISSING
    unit: str = MISSING
    note: str = ""


@dataclass
class _File:
    sets: dict[str, _Set] = field(default_factory=dict)
    sources: list[dict[str, Any]] = field(default_factory=list)


_NEEDED = {
    _Source: {"title": "Say where its numbers are printed."},
    _Number: {key: f"Give its {key}." for key in ("system", "set", "metric", "value", "unit")},
}


@cache
def read(folder: Path = FOLDER) -> Registry:
    """All files of a folder; UserError names the file, the place and what is wrong."""
    named = folder / SYSTEMS
    systems = merge(_Systems, read_yaml(named, "systems"), [], str(named), {}).systems
    testsets: dict[str, KnownSet] = {}
    numbers: dict[tuple[str, ...], Published] = {}
    for path in sorted(set(folder.glob("*.yaml")) - {named}):
        file = merge(_File, read_yaml(path, "sets"), [], str(path), {})
        for name, known in file.sets.items():
            if name in testsets:
                fix = "Remove one."
                raise UserError(f"the set {name} stands in two files", where=str(path), fix=fix)
            testsets[name] = KnownSet(
                name, known.language, known.n, tuple(known.aliases), tuple(known.folders)
            )
        for index, values in enumerate(file.sources, start=1):
            where = f"{path}, source {index}"
            source = merge(_Source, values, [], where, _NEEDED[_Source])
            _check_source(source, where)
            for place, row in enumerate(source.numbers, start=1):
                at = f"{where} ({source.title}), number {place}"
                number = _number(row, source, systems, testsets, at)
                key = (number.system, number.testset, number.metric, number.source)
                if key in numbers:
                    raise UserError("the same number stands twice", where=at, fix="Remove one.")
                numbers[key] = number
    return Registry(systems, testsets, tuple(numbers.values()))


def _number(
    row: dict[str, Any],
    source: _Source,
    systems: dict[str, str],
    testsets: dict[str, KnownSet],
    where: str,
) -> Published:
    given = merge(_Number, row, [], where, _NEEDED[_Number])
    for kind, name, known in (
        ("system", given.system, systems),
        ("set", given.set, testsets),
        ("figure", given.metric, UNITS),
    ):
        _known(kind, name, known, where)
    unit = UNITS[given.metric]
    _known("unit", given.unit, PRINTED[unit], where)
    value = round(given.value / PRINTED[unit][given.unit], 12)  # 2.57 % is 0.0257
    low, high = RANGES[unit]
    if not low <= value <= high:
        fix = f"A {unit} lies from {low:g} to {high:g}: look at the unit."
        raise UserError(f"{given.value:g} {given.unit} is no {given.metric}", where=where, fix=fix)
    protocol = _protocol(source, testsets[given.set].language)
    if protocol.aggregate not in (None, AGGREGATES.get(given.metric, protocol.aggregate)):
        fix = "A mean of utterances is wer, all errors by all words is wer_pooled."
        raise UserError(f"{given.metric} is not {protocol.aggregate}", where=where, fix=fix)
    return Published(
        system=given.system,
        name=systems[given.system],
        testset=given.set,
        metric=given.metric,
        value=value,
        unit=unit,
        text=_text(value, given.value, unit),
        source=source.title,
        date=source.date,
        protocol=protocol,
        note=" ".join(filter(None, (source.note, given.note))),
    )


def _protocol(source: _Source, language: str) -> Protocol:
    """What the source tells; of a recipe that it names, what the recipe prescribes."""
    told = Protocol(
        None, source.asr.get(language), source.normalizer, source.aggregate, source.encoder
    )
    if source.recipe is None:
        return told
    recipe = recipes.find(source.recipe)
    return Protocol(
        recipe.name,
        told.asr or _recogniser(recipe.ears(language)),
        told.normalizer or recipe.rule(language),
        told.aggregate or recipe.aggregate,
        told.encoder or str(recipe.speaker["encoder"]),
    )


def _recogniser(ears: Ears) -> str:
    """A recipe's recogniser as ``Protocol.asr`` has it."""
    if "model" not in ears.options:
        return "paraformer-zh"
    model = str(ears.options["model"]).rpartition("/")[2]
    return f"whisper-{model.removeprefix('whisper-')}"


def _check_source(source: _Source, where: str) -> None:
    if source.recipe is not None:
        _known("recipe", source.recipe, recipes.RECIPES, where)
    if source.aggregate is not None:
        _known("aggregate", source.aggregate, AGGREGATES.values(), where)
    if source.date is not None:
        try:
            date.fromisoformat(source.date if len(source.date) > 7 else f"{source.date}-01")
        except ValueError as error:
            fix = "Write YYYY-MM-DD, or YYYY-MM."
            raise UserError(f"{source.date!r} is no date", where=where, fix=fix) from error


def _known(kind: str, name: str, known: Collection[str], where: str) -> None:
    if name not in known:
        error = unknown_name(kind, name, known)
        raise UserError(error.what, where=where, fix=error.fix)


def _text(value: float, printed: float, unit: Unit) -> str:
    """A number for people: rates with what digits were printed, at least two."""
    if unit != "fraction":
        return f"{value:.3f}" if unit == "cosine" else f"{value:.2f}"
    return f"{printed:.2f} %" if round(printed, 2) == printed else f"{printed:g} %"
