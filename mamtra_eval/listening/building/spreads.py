"""Spreads that a plan rests on: assumed ones, or those of a pilot, in points of the planned scale.

Assumed are those that ``simulating`` answers with, of five-point ratings: rater 0.45, item 0.30,
rater x system 0.20, item x system 0.25, the rest 0.70. A scale of another range stretches all of
them. Rounding to the scale's step adds step²/12 to the variance of the rest.

A comparison (cmos) is a difference of two such ratings of one rater on one sentence, in points of
-3 … 3 that are as large as those of 1 … 5: rater and item cancel, and all else comes twice::

    rater 0,  item 0,  rater x pair √2·0.20,  item x pair √2·0.25,  the rest √(2·0.70² + step²/12)

A pilot's components are those of its own kind and scale. They are taken times the ratio of the
scales' ranges, and for cmos times √2, without those of rater and item. Preferences (ab) have no
spread in points: a pilot says nothing of them, nor do comparisons of anything else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mamtra_eval.errors import UserError
from mamtra_eval.listening import kinds
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.statistics.crossed import Components

ASSUMED = Components(rater=0.45, item=0.30, rater_system=0.20, item_system=0.25, residual=0.70)
"""Of five-point ratings before rounding, for a first guess; a pilot's are better."""
REPORT = "listening.json"


@dataclass(frozen=True)
class Pilot:
    """Spreads of an earlier test.

    Attributes:
        components: in points of the planned kind's scale.
        remarks: how they came there, and what else a reader must know of them.
    """

    components: Components
    remarks: tuple[str, ...]


def assumed(kind: Kind) -> Components:
    """By the formulas of the header; of ab those of cmos, which no figure of ab rests on."""
    found = _compared(ASSUMED) if kind.is_pair else ASSUMED
    values = {name: points(kind) * one for name, one in asdict(found).items()}
    values["residual"] = math.hypot(values["residual"], kind.scale.step / math.sqrt(12))
    return Components(**values)


def points(kind: Kind) -> float:
    """Points of a kind's scale that are as large as one of a five-point scale."""
    return 1.0 if kind.is_pair else (kind.scale.high - kind.scale.low) / 4


def of_pilot(folder: Path, kind: Kind) -> Pilot:
    """Components of an analysed bundle for a test of this kind.

    Args:
        folder: with the ``listening.json`` of an analysis.
        kind: that is planned.

    Raises:
        UserError: there are none, or they can't be translated to this kind.
    """
    path = folder / REPORT
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        name, scale = told["analysis"]["kind"]["name"], told["analysis"]["kind"]["scale"]
        span = float(scale["high"]) - float(scale["low"])
        found = told["analysis"]["power"]["components"]
        simulated = bool(told["simulated"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable("no analysis of a pilot here", path) from error
    if kind.name == "ab":
        raise UserError(
            "a pilot's spreads say nothing of preferences (ab)", where=str(path),
            fix="Leave --pilot away: votes follow from the share of preferences.",
        )  # fmt: skip
    if name not in kinds.KINDS or kinds.KINDS[name].is_pair:
        raise _unusable(f"spreads of a pilot of {name} are not defined", path)
    own = _components(found, path)
    factor = 4 * points(kind) / span
    if kind.is_pair:
        own = _compared(own)
    scaled = Components(**{one: factor * value for one, value in asdict(own).items()})
    return Pilot(scaled, tuple(_remarks(name, kind, factor, simulated)))


def _compared(single: Components) -> Components:
    """Of a difference of two ratings of one rater on one sentence."""
    twice = math.sqrt(2)
    return Components(
        0.0, 0.0, twice * single.rater_system, twice * single.item_system, twice * single.residual
    )


def _components(found: Mapping[str, float], path: Path) -> Components:
    names = [*asdict(ASSUMED)]
    try:
        values = {name: float(found[name]) for name in names}
    except (ValueError, KeyError, TypeError) as error:
        raise _unusable("no spreads of a pilot here", path) from error
    if not all(math.isfinite(one) and one >= 0 for one in values.values()):
        raise _unusable("the pilot's spreads are no standard deviations", path)
    if not values["residual"] > 0:
        raise _unusable("the pilot's ratings have no noise", path)
    return Components(**values)


def _remarks(name: str, kind: Kind, factor: float, simulated: bool) -> list[str]:
    said = []
    if kind.is_pair:
        said.append(
            f"The pilot was {name}: its spreads are taken times {factor * math.sqrt(2):.3g}, as a "
            "comparison is a difference of two ratings, in which rater and sentence cancel."
        )
    elif name != kind.name or factor != 1:
        said.append(
            f"The pilot was {name}: its spreads are taken times {factor:.3g} for the range of "
            f"{kind.name}'s scale. Another question may have others."
        )
    if simulated:
        said.append("The pilot's ratings were made by a program: its spreads are no evidence.")
    return said


def _unusable(what: str, path: Path) -> UserError:
    return UserError(
        what, where=str(path),
        fix="Give the folder of a mos, smos or mushra bundle that listen analyse has been through, "
        "with two systems a rater at least.",
    )  # fmt: skip
