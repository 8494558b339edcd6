"""Whether a design is what it says: votes by cell, positions, neighbours, counted anew.

Nothing here knows how the lists were drawn. ``report`` is what ``design/design_report.json`` holds;
``check`` ends an export whose cells differ by more than one vote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.listening.building.design import Design, Slot

Cell = tuple[str, tuple[str, ...]]


def check(design: Design, raters: int) -> None:
    """UserError where votes would differ by more than one between cells.

    Args:
        design: to be checked.
        raters: who are planned, each with the next list.
    """
    for lists, who in ((len(design.lists), "all lists"), (raters, f"{raters} raters")):
        votes = _votes(design, lists)
        if max(votes.values()) - min(votes.values()) > 1:
            raise UserError(
                f"the design is not balanced: with {who} a cell has {min(votes.values())} to "
                f"{max(votes.values())} votes",
                fix="This is a bug of the design; report it with the command and its seed.",
            )


def report(design: Design, raters: int) -> dict[str, Any]:
    """Counts of a design, JSON values.

    Args:
        design: to be told.
        raters: who are planned.
    """
    votes = _votes(design, raters)
    whole = _votes(design, len(design.lists))
    return {
        "lists": len(design.lists),
        "lists_of_a_replicate": design.replicate,
        "families": [list(family) for family in design.families],
        "raters": raters,
        "cells": len(votes),
        "votes_per_cell": {
            "all_lists": [min(whole.values()), max(whole.values())],
            "planned_raters": [min(votes.values()), max(votes.values())],
        },
        "votes_per_system": dict(sorted(_by_system(votes).items())),
        "trials_per_list": sorted({len(slots) for slots in design.lists.values()}),
        "rated_per_list": sorted({len(rated(slots)) for slots in design.lists.values()}),
        "roles": dict(sorted(Counter(slot.role for slot in _all(design)).items())),
        "position_by_condition": _positions(design),
        "mean_position": _mean_positions(design),
        "followed_by": _neighbours(design),
    }


def rated(slots: Sequence[Slot]) -> list[Slot]:
    """Trials of a list that are no checks."""
    return [slot for slot in slots if slot.role == "rated"]


def _all(design: Design) -> Iterator[Slot]:
    for slots in design.lists.values():
        yield from slots


def _key(slot: Slot, design: Design) -> Cell:
    """A cell is a sentence and what was asked of it; mushra asks the same in any order."""
    together = len(design.conditions) == 1
    return slot.item or "", tuple(sorted(slot.systems)) if together else slot.systems


def _votes(design: Design, raters: int) -> Counter[Cell]:
    """Votes by cell when lists are handed out in order; cells without one count zero."""
    together = len(design.conditions) == 1
    items = sorted({slot.item for slot in _all(design) if slot.role == "rated" and slot.item})
    conditions = [tuple(sorted(one)) if together else one for one in design.conditions]
    votes: Counter[Cell] = Counter({(item, one): 0 for item in items for one in conditions})
    names = list(design.lists)
    rounds, rest = divmod(raters, len(names))
    for place, name in enumerate(names):
        times = rounds + (place < rest)
        for slot in rated(design.lists[name]):
            votes[_key(slot, design)] += times
    return votes


def _by_system(votes: Mapping[Cell, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, systems), count in votes.items():
        for system in systems:
            found[system] += count
    return found


def _named(systems: tuple[str, ...]) -> str:
    return " then ".join(systems)


def _places(design: Design) -> Iterator[tuple[int, Slot]]:
    """Rated trials with their position, from 1."""
    for slots in design.lists.values():
        for place, slot in enumerate(slots, start=1):
            if slot.role == "rated":
                yield place, slot


def _positions(design: Design) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[int]] = {}
    for place, slot in _places(design):
        found.setdefault(_named(slot.systems), Counter())[place] += 1
    return {
        name: {str(place): count for place, count in sorted(found[name].items())}
        for name in sorted(found)
    }


def _mean_positions(design: Design) -> dict[str, float]:
    found: dict[str, list[int]] = {}
    for place, slot in _places(design):
        found.setdefault(_named(slot.systems), []).append(place)
    return {name: round(sum(found[name]) / len(found[name]), 3) for name in sorted(found)}


def _neighbours(design: Design) -> dict[str, dict[str, int]]:
    """How often a condition comes right after another, checks between them left out."""
    found: dict[str, Counter[str]] = {}
    for slots in design.lists.values():
        for before, after in pairwise(rated(slots)):
            found.setdefault(_named(before.systems), Counter())[_named(after.systems)] += 1
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}
