"""Sizes with their unit: GB is 1e9 bytes, GiB is 2**30, and neither is ever taken for the other.

On a card that is sold with 40 the two differ by 2.9 GB, more than any choice of layers saves. So a
size without its unit is refused, sizes are kept as whole bytes, and every printed one has its unit.
"""

from __future__ import annotations

import re
from fractions import Fraction

from mamtra_eval.errors import UserError

GIB = 2**30
MIB = 2**20
UNITS = {"gb": 10**9, "gib": GIB, "mb": 10**6, "mib": MIB}
"""Bytes of a unit, by its name in lower case."""

MAX_BYTES = 2**60
"""What is larger is a slip."""

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?|\.\d+)\s*(?P<unit>[a-z]*)", re.IGNORECASE)


def parse_size(text: str, where: str) -> int:
    """Bytes of ``8GB``, ``7.5 GiB``, ``900MiB``; UserError without a unit, or for another one."""
    number, unit = _split(text, where)
    if not unit:
        difference = 40 * (GIB - 10**9) / 1e9
        raise UserError(
            f"{text.strip()!r} has no unit",
            where=where,
            fix=f"Write {text.strip()}GB (1e9 bytes each) or {text.strip()}GiB (2**30): on a card "
            f"with 40 GiB the two differ by {difference:.1f} GB, more than a layer ratio saves.",
        )
    return _bytes(number, unit, text, where)


def parse_gib(text: str, where: str) -> int | None:
    """Bytes of ``39.5`` (GiB), ``40GB``, ``40GiB``; ``None`` for what is no size."""
    if not _SIZE.fullmatch(text.strip()):
        return None
    number, unit = _split(text, where)
    return _bytes(number, unit or "gib", text, where)


def _split(text: str, where: str) -> tuple[Fraction, str]:
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UserError(
            f"{text!r} is no size", where=where, fix="Write for instance 8GB or 7.5GiB."
        )
    return Fraction(found["number"]), found["unit"]


def _bytes(number: Fraction, unit: str, text: str, where: str) -> int:
    if unit.casefold() not in UNITS:
        raise UserError(
            f"{unit!r} is no unit of memory",
            where=where,
            fix="Write GB or MB (powers of ten), GiB or MiB (powers of two).",
        )
    size = round(number * UNITS[unit.casefold()])
    if not 0 < size <= MAX_BYTES:
        raise UserError(f"{text.strip()!r} is no size of memory", where=where)
    return size


def gib(size: float) -> str:
    """A size for people, in GiB with its unit."""
    return f"{size / GIB:,.2f} GiB"


def megabytes(size: float) -> str:
    """A size for people, in MB (1e6 bytes) with its unit."""
    return f"{size / 1e6:,.1f} MB"
