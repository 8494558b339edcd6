"""Terms of a memory budget: what each takes, how sure that is, and what follows from their sum.

Every term has a tag that says where it comes from:

``given``               by the user
``closed form``         from the decoder's shape, exact
``measured``            by a profile of the same shape (``measured``)
``measured elsewhere``  by others, on their machine; somewhat widened
``default``             a guess (``guesses.yaml``), at least from half of it to twice

All but the defaults are known. With K and D the sums of known and default terms, and U what the
card leaves to programs:

- **no** if K_mid + D_low > U: it does not fit even if all guesses are too high (of a measured
  interval between two cells of a grid, its low end counts);
- **fits** if R <= U, where R = max(K_high + D_high, min(K_high, 7/3 D_mid) + 2 D_high);
- **risky** otherwise.

The second part of R is the rule that a verdict may not rest on guesses. Where defaults are more
than 30 % of K + D, that is where K < 7/3 D, it demands that twice the guesses' high ends still fit.
Where they are less, that demand fades instead of ending: otherwise something else on the card would
make defaults a smaller share of the total and so turn "risky" into "fits". As it is, R grows with
every term, and a verdict can only get worse with more streams, longer contexts or more neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

GIVEN, CLOSED_FORM, MEASURED = "given", "closed form", "measured"
ELSEWHERE, DEFAULT = "measured elsewhere", "default"
TAGS = (GIVEN, CLOSED_FORM, MEASURED, ELSEWHERE, DEFAULT)

MOSTLY_GUESSED = 0.3
"""Share of defaults in a total above which a verdict must stand even if they double."""

GUESSES = Path(__file__).parent / "guesses.yaml"


class Verdict(IntEnum):
    """How a variant does on a card, from good to bad."""

    FITS = 0
    RISKY = 1
    NO = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Term:
    """One thing that takes memory; low <= mid <= high, in bytes.

    Attributes:
        tag: where the figure comes from, one of ``TAGS``.
        why: the figure's reason or source, for the reader.
    """

    name: str
    low: float
    mid: float
    high: float
    tag: str
    why: str

    @property
    def is_default(self) -> bool:
        """Whether it is a guess."""
        return self.tag == DEFAULT

    @property
    def settled(self) -> float:
        """What it takes at least in any cell around: low of a measured interval, else mid."""
        return self.low if self.tag == MEASURED else self.mid


@dataclass(frozen=True)
class Budget:
    """All terms of one variant in one deployment.

    Attributes:
        bounded: whether a measured term had to be left for a bound because the deployment lies
            outside what was measured; there is no "fits" then.
    """

    terms: tuple[Term, ...]
    bounded: bool = False

    @property
    def low(self) -> float:
        """The least it takes."""
        return sum(term.low for term in self.terms)

    @property
    def mid(self) -> float:
        """What it is expected to take."""
        return sum(term.mid for term in self.terms)

    @property
    def high(self) -> float:
        """The most it takes, by the terms' own intervals."""
        return sum(term.high for term in self.terms)

    @property
    def default_share(self) -> float:
        """Share of defaults in what it is expected to take."""
        return sum(term.mid for term in self.terms if term.is_default) / self.mid

    @property
    def required(self) -> float:
        """What a card must leave for "fits": R above."""
        known = [term for term in self.terms if not term.is_default]
        guessed = [term for term in self.terms if term.is_default]
        known_high, high = sum(t.high for t in known), sum(t.high for t in guessed)
        at_most = (1 - MOSTLY_GUESSED) / MOSTLY_GUESSED * sum(t.mid for t in guessed)
        return max(known_high + high, min(known_high, at_most) + 2 * high)

    @property
    def least(self) -> float:
        """What a card must leave for anything but "no": known terms, and defaults at their low."""
        return sum(term.low if term.is_default else term.settled for term in self.terms)

    def verdict(self, usable: float) -> Verdict:
        """On a card that leaves so many bytes."""
        if self.least > usable:
            return Verdict.NO
        return Verdict.FITS if self.required <= usable and not self.bounded else Verdict.RISKY

    def rests_on_defaults(self, usable: float) -> bool:
        """Whether no verdict is reached for the sake of guesses: risky, and they are why."""
        if self.verdict(usable) is not Verdict.RISKY or self.required <= usable:
            return False  # in the second case it is but outside of what was measured
        known = sum(term.high for term in self.terms if not term.is_default)
        guessed_low = sum(term.low for term in self.terms if term.is_default)
        decides = known + guessed_low <= usable
        return decides or self.default_share > MOSTLY_GUESSED


def exact(name: str, size: float, tag: str, why: str) -> Term:
    """A term without an interval."""
    return Term(name, size, size, size, tag, why)


def guessed(name: str, size: float, why: str) -> Term:
    """A default, as wide as ``guesses.yaml`` says."""
    spread = spread_of("default")
    return Term(name, size / spread, size, size * spread, DEFAULT, why)


def elsewhere(name: str, size: float, why: str) -> Term:
    """A figure of others."""
    spread = spread_of("measured_elsewhere")
    return Term(name, size / spread, size, size * spread, ELSEWHERE, why)


def guess(name: str) -> float:
    """The value of a guess."""
    return float(_table()["guesses"][name]["value"])


def reason(*names: str) -> str:
    """Why guesses are as they are."""
    return "; ".join(str(_table()["guesses"][name]["why"]) for name in names)


def spread_of(tag: str) -> float:
    """The factor by which a figure of that kind may be wrong."""
    return float(_table()["spread"][tag])


@cache
def _table() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(GUESSES.read_text(encoding="utf-8"))
    return found
