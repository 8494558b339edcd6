"""Whole numbers, ordinals, decimals, years and counted things in words.

Numbers are said as in the United States and as flite says them: *one hundred twenty three*, without
*and*. From 16 digits on they are said digit by digit, and so is a number that begins with a zero.
Arguments are strings of ASCII digits.
"""

from __future__ import annotations

from types import MappingProxyType

from num2words import num2words

LONGEST = 15
"""Digits of a number that is said as one."""

YEARS = range(1100, 2100)

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

PLURALS = MappingProxyType(
    {"foot": "feet", "inch": "inches", "hertz": "hertz", "penny": "pence", "yen": "yen",
     "kilohertz": "kilohertz", "megahertz": "megahertz", "gigahertz": "gigahertz"}
)  # fmt: skip
FRACTIONS = MappingProxyType({2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth",
                              7: "seventh", 8: "eighth", 9: "ninth", 10: "tenth"})  # fmt: skip


def cardinal(digits: str) -> str:
    """A whole number in words; digit by digit if it is long or begins with a zero."""
    if len(digits) > LONGEST or (digits[0] == "0" and len(digits) > 1):
        return by_digit(digits)
    return _words(int(digits), "cardinal")


def by_digit(digits: str) -> str:
    """The digits one by one."""
    return " ".join(DIGITS[int(digit)] for digit in digits)


def ordinal(digits: str) -> str:
    """A whole number as an ordinal."""
    return _words(int(digits), "ordinal") if len(digits) <= LONGEST else by_digit(digits)


def number(text: str) -> str:
    """A number, whole or decimal; four digits that may be a year are said as a quantity."""
    whole, _, decimals = text.partition(".")
    return cardinal(whole) + (f" point {by_digit(decimals)}" if decimals else "")


def year(digits: str) -> str:
    """A number of four digits as a year."""
    return _words(int(digits), "year")


def counted(amount: str, unit: str) -> str:
    """A number and its unit, in the singular after one."""
    return f"{number(amount)} {unit if amount == '1' else plural(unit)}"


def plural(unit: str) -> str:
    """The plural of a unit: of its first word, as in kilometers per hour."""
    name, space, rest = unit.partition(" ")
    return f"{PLURALS.get(name, name + 's')}{space}{rest}"


def fraction(whole: str | None, above: int, below: int) -> str:
    """A part of a whole, with the whole number before it if any; ``below`` is in FRACTIONS."""
    name = FRACTIONS[below]
    several = "halves" if below == 2 else f"{name}s"
    said = f"{_words(above, 'cardinal')} {name if above == 1 else several}"
    if not whole:
        return said
    return f"{cardinal(whole)} and {'a ' + name if above == 1 else said}"


def decade(digits: str) -> str:
    """Nineties, nineteen nineties."""
    stem, _, last = (year(digits) if len(digits) == 4 else cardinal(digits)).rpartition(" ")
    return f"{stem} {last[:-1] + 'ies' if last.endswith('y') else last + 's'}".strip()


def year_or_number(digits: str) -> str:
    """A whole number that stands alone: four digits may be a year."""
    return year(digits) if len(digits) == 4 and int(digits) in YEARS else cardinal(digits)


def _words(value: int, to: str) -> str:
    said = str(num2words(value, to=to)).replace(",", "").replace("-", " ")
    return said.replace(" and ", " ")
