"""What is written with digits, in words: money, times, dates, units, ranges, and plain numbers.

``expand`` rewrites a text by ``RULES``, the most special pattern first; ``numerals`` says the
numbers themselves. No pattern scans a run of digits twice, so that the time grows with the length.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from types import MappingProxyType

from mamtra_eval.frontend import numerals
from mamtra_eval.frontend.abbreviations import letters
from mamtra_eval.frontend.numerals import by_digit, cardinal, counted, number, ordinal

Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match], str]]

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip
MONEY = MappingProxyType(
    {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "")}
)
SCALES = MappingProxyType({"k": "thousand", "K": "thousand", "M": "million", "m": "million",
                           "bn": "billion", "B": "billion", "b": "billion"})  # fmt: skip
UNITS = MappingProxyType(
    {
        "km/h": "kilometer per hour", "m/s": "meter per second", "mph": "mile per hour",
        "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "m": "meter", "kg": "kilogram",
        "mg": "milligram", "g": "gram", "lbs": "pound", "lb": "pound", "oz": "ounce", "ft": "foot",
        "mi": "mile", "ms": "millisecond", "s": "second", "sec": "second", "min": "minute",
        "hrs": "hour", "hr": "hour", "h": "hour", "kHz": "kilohertz", "MHz": "megahertz",
        "GHz": "gigahertz", "Hz": "hertz", "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte",
        "GB": "gigabyte", "TB": "terabyte", "kW": "kilowatt", "W": "watt", "ml": "milliliter",
        "l": "liter", "°C": "degree celsius", "°F": "degree fahrenheit", "°": "degree",
    }
)  # fmt: skip


def expand(text: str) -> str:
    """The text without digits."""
    # 10am-5pm, 10%-20%, 1st-3rd, 1990s-2000s
    text = re.sub(r"(?<=\d)(%|[ap]m|st|nd|rd|th|s)-(?=\d)", r"\1 to ", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=\d)[eE]-(?=\d)", " e minus ", text)
    text = re.sub(r"([$£€¥])-(?=\d)", r"minus \1", text)
    # Three-year-old, mp3-player: this hyphen is neither minus nor *to*.
    text = re.sub(r"(?<=[A-Za-z])-(?=\w)|(?<=\w)-(?=[A-Za-z])", " ", text)
    text = re.sub(r"(?<![\w.])-(?=[\d$£€¥])", "minus ", text)
    text = _AMOUNT_FIRST.sub(r"\2\1", text)
    text = _PLAIN_THOUSANDS.sub(lambda m: cardinal(m[1] + m[2]), text)
    text = re.sub(r"(?<!\d)\d{1,3}(?:,\d{3})+(?!,?\d)", lambda m: m[0].replace(",", ""), text)
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    return re.sub(r"(?<=[a-z]) +'s\b", "'s", text)  # 2005's


def _time(match: Match) -> str:
    hour, minute = match[1], match[2]
    if int(hour) > 24 or int(minute) > 59:
        return f"{cardinal(hour)} {cardinal(minute)}"
    half = f" {letters(match[3] + 'm')}" if match[3] else ""
    if minute == "00":
        return cardinal(str(int(hour))) + (half or " o'clock")
    said = f"oh {cardinal(minute[1])}" if minute[0] == "0" else cardinal(minute)
    return f"{cardinal(str(int(hour)))} {said}{half}"


def _money(match: Match) -> str:
    unit, part = MONEY[match[1]]
    amount, scale = match[2], match[3]
    if scale:
        return f"{number(amount)} {SCALES.get(scale, scale)} {numerals.plural(unit)}"
    whole, _, cents = amount.partition(".")
    if len(cents) != 2 or not part:
        return counted(amount, unit)
    if cents == "00":
        return counted(whole, unit)
    small = counted(cents.lstrip("0"), part)
    return f"{counted(whole, unit)} {small}" if whole.strip("0") else small


def _date(month: str, day: str, of_year: str | None) -> str:
    said = f"{month} {ordinal(str(int(day)))}"
    return f"{said} {numerals.year_or_number(of_year)}" if of_year else said


def _numbered_date(month: str, day: str, of_year: str, otherwise: str) -> str:
    try:
        datetime.date(int(of_year), int(month), int(day))
    except ValueError:
        return otherwise
    return _date(MONTHS[int(month) - 1], day, of_year)


def _month(name: str) -> str:
    return next(month for month in MONTHS if month.startswith(name[:3]))


def _fraction(match: Match) -> str:
    above, below = int(match[2]), int(match[3])
    if 0 < above < below and below in numerals.FRACTIONS:
        return numerals.fraction(match[1], above, below)
    before = cardinal(match[1]) if match[1] else ""
    return f"{before} {cardinal(match[2])} {cardinal(match[3])}"


def _decimal(match: Match) -> str:
    whole, *parts = match[0].split(".")
    return " point ".join([cardinal(whole), *map(by_digit, parts)])


def _telephone(match: Match) -> str:
    return ", ".join(by_digit(digits) for digits in match.groups() if digits)


def _rule(pattern: str, say: Callable[[Match], str]) -> Rule:
    """A rule that puts spaces around what is said: 5pm, mp3."""

    def spaced(match: Match) -> str:
        return f" {say(match)} "

    return re.compile(pattern), spaced


_NUMBER = r"(?<!\d)(\d+(?:\.\d+)?)"
_UNIT = rf"(?:{'|'.join(map(re.escape, UNITS))})(?![A-Za-z'])"
_PLAIN_THOUSANDS = re.compile(rf"(?<![\w$£€¥.,])(\d),(\d{{3}})(?![\w,]|\.\d|-\d| ?%| ?{_UNIT})")
"""Without its comma, 1,999 would be a year."""

_AMOUNT_FIRST = re.compile(r"(?<![\d.,$£€¥])(\d+(?:[.,]\d+)*) ?([$£€¥])(?! ?\d)")

_MONTH = rf"\b({'|'.join(MONTHS)}|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)"
_DAY = r"(3[01]|[12]\d|[1-9])"
_HALF_DAY = r"(?: ?([AaPp])[Mm]\b)"

RULES = [
    _rule(r"\b(\d{4})-(\d\d)-(\d\d)\b", lambda m: _numbered_date(m[2], m[3], m[1], m[0])),
    _rule(r"\b(\d\d?)/(\d\d?)/(\d{4})\b", lambda m: _numbered_date(m[1], m[2], m[3], m[0])),
    _rule(r"\b(?:(\d{3})-)?(\d{3})-(\d{4})\b", _telephone),
    _rule(r"(?<=\d)(?:-| - )(?=[$£€]?\d)", lambda m: "to"),
    _rule(rf"\b(\d{{1,2}}):(\d\d)(?!\d){_HALF_DAY}?", _time),
    _rule(rf"\b(\d{{1,2}}){_HALF_DAY}", lambda m: f"{cardinal(m[1])} {letters(m[2] + 'm')}"),
    _rule(rf"{_MONTH}\.? {_DAY}(?:st|nd|rd|th)?(?![\d:%]|\.\d)(?:,? (\d{{4}})\b)?",
          lambda m: _date(_month(m[1]), m[2], m[3])),
    _rule(rf"\b{_DAY} {_MONTH}\b\.?", lambda m: f"the {ordinal(m[1])} of {_month(m[2])}"),
    _rule(r"([$£€¥]) ?(\d+(?:\.\d+)?)(?: ?(thousand|million|billion|trillion|bn|[kKmMbB])\b)?",
          _money),
    _rule(rf"{_NUMBER} ?%", lambda m: f"{number(m[1])} percent"),
    _rule(r"#(\d+)", lambda m: f"number {cardinal(m[1])}"),
    _rule(r"(?<!\d)(\d+)(?:st|nd|rd|th)\b", lambda m: ordinal(m[1])),
    _rule(r"'?\b(\d0|\d{3}0)'?s\b", lambda m: numerals.decade(m[1])),
    _rule(r"(?:\b(\d{1,3}) )?(?<![\d/])(\d{1,2})/(\d{1,2})\b(?!/)", _fraction),
    _rule(rf"{_NUMBER} ?({_UNIT})", lambda m: counted(m[1], UNITS[m[2]])),
    _rule(r"(?<!\d)\d+(?:\.\d+)+", _decimal),
    _rule(r"(?<=\d):(?=\d)", lambda m: "to"),
    _rule(r"\.(\d+)", lambda m: f"point {by_digit(m[1])}"),
    _rule(r"\d+", lambda m: numerals.year_or_number(m[0])),
]  # fmt: skip
"""Patterns and what is said of them, in the order of their application."""
