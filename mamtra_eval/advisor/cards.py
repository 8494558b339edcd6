"""Graphics cards: how much of their memory programs can have, and how fast it is read.

``cards.yaml`` has them with their sources. A card can also be given as a number of GiB, or as a
size with its unit; its bandwidth is then unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from mamtra_eval.advisor.units import GIB, parse_gib
from mamtra_eval.errors import UserError, unknown_name

FILE = Path(__file__).parent / "cards.yaml"


@dataclass(frozen=True)
class Card:
    """A card or a slice of one.

    Attributes:
        name: as in the table, or as it was given.
        low, high: bytes of memory that programs can have, lowest and highest figure found.
        bandwidth: of its memory, bytes a second at the peak; ``None`` if unknown.
        device: pattern of the name that torch gives it; ``None`` for a card given by its size.
        source: of ``low`` and ``high``.
        bandwidth_source: of ``bandwidth``; empty without one.
    """

    name: str
    low: int
    high: int
    bandwidth: float | None
    device: str | None
    source: str
    bandwidth_source: str = ""

    def is_device(self, name: str) -> bool:
        """Whether torch's name of a device is one of this card."""
        return self.device is not None and re.search(self.device, name) is not None


@cache
def table() -> dict[str, Card]:
    """The cards that are known, by name, from the smallest to the largest."""
    found = yaml.safe_load(FILE.read_text(encoding="utf-8"))["cards"]
    cards = [_card(name, values) for name, values in found.items()]
    return {card.name: card for card in sorted(cards, key=lambda card: (card.low, card.name))}


def _card(name: str, values: dict[str, Any]) -> Card:
    low, high = (float(gib) for gib in values["usable_gib"])
    bandwidth = values.get("bandwidth_gb_s")
    return Card(
        name=name,
        low=round(low * GIB),
        high=round(high * GIB),
        bandwidth=float(bandwidth) * 1e9 if bandwidth is not None else None,
        device=str(values["device"]),
        source=str(values["source"]),
        bandwidth_source=str(values.get("bandwidth_source", "")),
    )


def find(text: str | None) -> Card:
    """The card of that name (any case) or size; UserError names the cards if there is none."""
    known = table()
    if text is None or not text.strip():
        raise UserError(
            "no card is given",
            where="--gpu",
            fix=f"Give --gpu with a name or with its usable GiB. Known: {', '.join(known)}.",
        )
    for name, card in known.items():
        if name.casefold() == text.strip().casefold():
            return card
    size = parse_gib(text, "--gpu")
    if size is not None:
        return Card(f"{size / GIB:.2f} GiB", size, size, None, None, f"given as {text.strip()}")
    error = unknown_name("card", text, known)
    parts = [name for name in known if text.strip().casefold() in name.casefold()]
    if parts:  # a card that is sold in several sizes
        error.fix = f"Did you mean {' or '.join(parts)}? Known: {', '.join(sorted(known))}."
    error.fix = f"{error.fix} Or give its usable memory, such as 39.5 (GiB), 40GB or 40GiB."
    raise error


def larger(card: Card) -> list[Card]:
    """The cards of the table with more memory than this one, smallest first."""
    return [other for other in table().values() if other.low > card.low]
