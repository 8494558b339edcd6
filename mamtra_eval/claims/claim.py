"""What a claim is: its words, its source, and the numbers that it claims, each with a unit.

A number is one value, or several by key (a ratio, a context), or layer indices by ratio. It says
how a figure of ours must stand to it: ``equals`` within a stated tolerance, or ``at least``,
``at most``, ``below``, ``above``. That is all of the judgement that a file of claims holds; whether
ours stands so is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mamtra_eval.errors import UserError

UNITS = {
    "B": 1.0, "MB": 1e6, "GB": 1e9, "FLOP": 1.0, "GFLOP": 1e9, "TFLOP": 1e12, "percent": 0.01,
    "tokens/s": 1.0, "elements": 1.0, "parameters": 1.0, "projections": 1.0, "factor": 1.0,
    "exponent": 1.0, "MOS": 1.0, "nats": 1.0, "layers": 1.0,
}  # fmt: skip
"""Units of claimed numbers, with what one of them is here: bytes, FLOP, fractions."""

RELATIONS = ("equals", "at least", "at most", "below", "above")
"""How a figure of ours must stand to the claimed one for the claim to hold."""

Value = float | tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """Where a claim is printed.

    Attributes:
        title: for people.
        address: of the page, or empty.
        note: how it was read: at first or at second hand, off a drawing.
    """

    title: str
    address: str = ""
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """A claimed number beside ours, both in the claim's unit.

    Attributes:
        number, key: which one of the claim; ``key`` is empty where it has one value.
        tolerance: in words, empty where the relation needs none.
        agrees: whether ours stands to the claimed one as the relation says.
    """

    number: str
    key: str
    unit: str
    claimed: Value
    ours: Value
    relation: str
    tolerance: str
    agrees: bool


@dataclass(frozen=True)
class Number:
    """A claimed number.

    Attributes:
        values: by key, in ``unit``; the key is empty where there is one value.
        tolerance: a share of the claimed value, for ``equals``.
        within: or an absolute one, in ``unit``.
    """

    unit: str
    values: Mapping[str, Value]
    relation: str = "equals"
    tolerance: float = 0.0
    within: float = 0.0

    def compare(self, name: str, key: str, ours: Value) -> Comparison:
        """Ours, in bytes, FLOP or a fraction, beside the claimed value of a key."""
        claimed = self.values[key]
        if isinstance(claimed, tuple) or isinstance(ours, tuple):
            agrees = claimed == ours
            return Comparison(name, key, self.unit, claimed, ours, self.relation, "", agrees)
        scaled = ours / UNITS[self.unit]
        return Comparison(
            name, key, self.unit, claimed, scaled, self.relation, self._tolerance(),
            self._stands(scaled, claimed),
        )  # fmt: skip

    def _stands(self, ours: float, claimed: float) -> bool:
        # A rounding error of floating point decides nothing.
        slack = max(self.within, self.tolerance * abs(claimed)) + 1e-9 * max(abs(claimed), 1.0)
        if self.relation == "equals":
            return abs(ours - claimed) <= slack
        if self.relation in ("at least", "above"):
            return (
                ours >= claimed - slack if self.relation == "at least" else ours > claimed + slack
            )
        return ours <= claimed + slack if self.relation == "at most" else ours < claimed - slack

    def _tolerance(self) -> str:
        if self.within:
            return f"± {self.within:g} {self.unit}"
        return f"± {100 * self.tolerance:g} %" if self.tolerance else ""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        id: a name for it.
        topic: what it is about; claims of one topic stand together.
        text: the claim, in our words.
        source: key of its ``Source``.
        check: name of the function that checks it.
        numbers: what it claims, by name.
        settings: the set-up at which it is checked: contexts, ratios, types of elements.
        note: what a reader must know of the source.
    """

    id: str
    topic: str
    text: str
    source: str
    check: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def value(self, name: str) -> float:
        """A claimed number with one value, in bytes, FLOP or as a fraction."""
        return self.series(name)[""]

    def series(self, name: str) -> dict[str, float]:
        """A claimed number by key, in bytes, FLOP or as fractions."""
        number = self._number(name)
        unit = UNITS[number.unit]
        return {
            key: value * unit
            for key, value in number.values.items()
            if not isinstance(value, tuple)
        }

    def layers(self, name: str) -> dict[str, tuple[int, ...]]:
        """Claimed layer indices by ratio."""
        values = self._number(name).values
        return {key: value for key, value in values.items() if isinstance(value, tuple)}

    def against(self, name: str, ours: Mapping[str, Value] | Value) -> list[Comparison]:
        """A claimed number beside ours, key by key; every key must have its figure."""
        number = self._number(name)
        found = ours if isinstance(ours, Mapping) else {"": ours}
        absent = set(number.values) ^ set(found)
        if absent:
            raise UserError(
                f"the check {self.check} has other keys than the number {name}: "
                f"{', '.join(sorted(absent))}",
                where=f"claim {self.id}",
                fix="Give the number the keys that its check computes.",
            )
        return [number.compare(name, key, found[key]) for key in number.values]

    def setting(self, name: str) -> Any:  # noqa: ANN401 -- whatever the file holds
        """A value of the set-up; UserError if the file has none."""
        if name not in self.settings:
            raise UserError(
                f"the check {self.check} needs the setting {name}",
                where=f"claim {self.id}",
                fix=f"Add {name} under settings.",
            )
        return self.settings[name]

    def _number(self, name: str) -> Number:
        if name not in self.numbers:
            raise UserError(
                f"the check {self.check} needs the number {name}",
                where=f"claim {self.id}",
                fix=f"Add {name} under numbers.",
            )
        return self.numbers[name]
