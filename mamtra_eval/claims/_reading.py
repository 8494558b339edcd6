"""The file of claims, validated: unknown keys, sources, checks, units and relations are refused.

``sources`` are by key. Each of ``claims`` has an ``id``, a ``topic``, the ``claim`` in our words,
its ``source``, the name of its ``check``, the claimed ``numbers`` by name and the ``settings`` that
it is checked at. A number has a ``unit`` and one ``value``, or ``at``: values by ratio or context,
where a value may be a list of layer indices. ``relation`` is one of ``claim.RELATIONS``;
``tolerance`` (a share) or ``within`` (in the unit) says how near ours must be.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import MISSING

from mamtra_eval.claims.claim import RELATIONS, UNITS, Claim, Number, Source, Value
from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.structured import merge, read_yaml

FILE = Path(__file__).parent / "claims.yaml"


@dataclass
class _Source:
    title: str = MISSING
    address: str = ""
    note: str = ""


@dataclass
class _Number:
    unit: str = MISSING
    value: Any = None
    at: dict[str, Any] = field(default_factory=dict)
    relation: str = "equals"
    tolerance: float = 0.0
    within: float = 0.0


@dataclass
class _Claim:
    id: str = MISSING
    topic: str = MISSING
    claim: str = MISSING
    source: str = MISSING
    check: str = MISSING
    numbers: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    note: str = ""


_NEEDED = {
    _Source: {"title": "Say where its claims are printed."},
    _Number: {"unit": f"Known: {', '.join(UNITS)}."},
    _Claim: {key: f"Give its {key}." for key in ("id", "topic", "claim", "source", "check")},
}


class Book(NamedTuple):
    """All sources by key, and all claims in the order of the file."""

    sources: dict[str, Source]
    claims: tuple[Claim, ...]


@cache
def read(path: Path = FILE) -> Book:
    """A file of claims; UserError names the place and what is wrong."""
    from mamtra_eval.claims.checks import CHECKS

    file = read_yaml(path, "sources")
    for key in file:
        _known("key", key, ("sources", "claims"), str(path))
    sources = {}
    for key, values in (file.get("sources") or {}).items():
        where = f"{path}, source {key}"
        given = merge(_Source, _mapping(values, where), [], where, _NEEDED[_Source])
        sources[str(key)] = Source(given.title, given.address, given.note)
    claims: dict[str, Claim] = {}
    for place, row in enumerate(file.get("claims") or [], start=1):
        claim = _claim(row, sources, CHECKS, f"{path}, claim {place}")
        if claim.id in claims:
            raise UserError(f"the claim {claim.id} stands twice", where=str(path), fix="Rename it.")
        claims[claim.id] = claim
    return Book(sources, tuple(claims.values()))


def _claim(
    row: dict[str, Any], sources: Collection[str], checks: Collection[str], where: str
) -> Claim:
    given = merge(_Claim, _mapping(row, where), [], where, _NEEDED[_Claim])
    where = f"{where} ({given.id})"
    _known("source", given.source, sources, where)
    _known("check", given.check, checks, where)
    numbers = {
        name: _number(values, f"{where}, number {name}") for name, values in given.numbers.items()
    }
    return Claim(
        given.id, given.topic, " ".join(given.claim.split()), given.source, given.check,
        numbers, given.settings, " ".join(given.note.split()),
    )  # fmt: skip


def _number(values: dict[str, Any], where: str) -> Number:
    values = _mapping(values, where)
    if isinstance(values.get("at"), dict):  # contexts are integers in the file
        values["at"] = {str(key): value for key, value in values["at"].items()}
    given = merge(_Number, values, [], where, _NEEDED[_Number])
    _known("unit", given.unit, UNITS, where)
    _known("relation", given.relation, RELATIONS, where)
    if (given.value is None) == (not given.at):
        raise UserError("a number has either a value or at", where=where, fix="Give one of them.")
    if min(given.tolerance, given.within) < 0 or (given.tolerance and given.within):
        raise UserError(
            "a tolerance is one positive number",
            where=where,
            fix="Give tolerance, a share such as 0.01, or within, in the number's unit.",
        )
    found = given.at if given.at else {"": given.value}
    parsed = {str(key): _value(value, where) for key, value in found.items()}
    return Number(given.unit, parsed, given.relation, given.tolerance, given.within)


def _mapping(values: object, where: str) -> dict[str, Any]:
    if isinstance(values, dict):
        return {str(key): value for key, value in values.items()}
    raise UserError(f"{values!r} is no mapping of keys", where=where, fix="Write key: value.")


def _value(value: object, where: str) -> Value:
    if isinstance(value, list) and all(type(index) is int for index in value):
        return tuple(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise UserError(
        f"{value!r} is no number", where=where, fix="Write a number, or a list of layer indices."
    )


def _known(kind: str, name: str, known: Collection[str], where: str) -> None:
    if name not in known:
        error = unknown_name(kind, name, known)
        raise UserError(error.what, where=where, fix=error.fix)
