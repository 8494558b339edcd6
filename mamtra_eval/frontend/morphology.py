"""Words that are made of words of the lexicon: ``'s``, ``s``, ``ed``, ``ing``, ``ly``, compounds.

``derive`` gives the phones of such a word, or None. Endings are said as English does it: *s* after
a sibilant is ``ax z``, after a voiceless phone ``s``, else ``z``; *ed* alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType

Phones = list[str]
Lookup = Callable[[str], Phones | None]

SIBILANTS = frozenset(("s", "z", "sh", "zh", "ch", "jh"))
VOICELESS = frozenset(("p", "t", "k", "f", "th", "s", "sh", "ch", "hh"))
VOWELS = frozenset(
    ("aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw")
)

CLITICS = MappingProxyType(
    {"'ll": ("ax", "l"), "'ve": ("v",), "'re": ("er",), "'d": ("d",), "n't": ("ax", "n", "t")}
)

SHORTEST_STEM = 3
SHORTEST_PART = 4
"""Letters of a compound's parts, at the least: short words join to too much."""


def derive(word: str, lookup: Lookup) -> Phones | None:
    """The phones of a word that ``lookup`` doesn't know, by those of the words within it."""
    return _clitic(word, lookup) or _ending(word, lookup) or _compound(word, lookup)


def plural(stem: Phones) -> Phones:
    """The phones with the ending *s* or *'s*."""
    if stem[-1] in SIBILANTS:
        return [*stem, "ax", "z"]
    return [*stem, "s" if stem[-1] in VOICELESS else "z"]


def past(stem: Phones) -> Phones:
    """The phones with the ending *ed*."""
    if stem[-1] in ("t", "d"):
        return [*stem, "ax", "d"]
    return [*stem, "t" if stem[-1] in VOICELESS else "d"]


def _clitic(word: str, lookup: Lookup) -> Phones | None:
    if word.endswith("'s") and (noun := _whole(word[:-2], lookup)):
        return plural(noun)
    for ending, phones in CLITICS.items():
        if word.endswith(ending) and (stem := _whole(word.removesuffix(ending), lookup)):
            return [*stem, *phones]
    return None


def _whole(word: str, lookup: Lookup) -> Phones | None:
    return lookup(word) or _ending(word, lookup) or _compound(word, lookup)


def _ending(word: str, lookup: Lookup) -> Phones | None:
    for stem, ending in _stems(word):
        if len(stem) < SHORTEST_STEM or not (phones := lookup(stem)):
            continue
        if ending == "s":
            return plural(phones)
        if ending == "ed":
            return past(phones)
        return [*phones, *({"ing": ("ih", "ng"), "ly": ("l", "iy")}[ending])]
    return None


def _stems(word: str) -> Iterator[tuple[str, str]]:
    """Ways to see a word as a stem and an ending, the likely ones first."""
    if word.endswith("ies"):
        yield word[:-3] + "y", "s"
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1], "s"
    if word.endswith(("ses", "xes", "zes", "shes", "ches")):
        yield word[:-2], "s"
    if word.endswith("ied"):
        yield word[:-3] + "y", "ed"
    for ending in ("ed", "ing"):
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            yield stem, ending
            yield stem + "e", ending
            if len(stem) > SHORTEST_STEM and stem[-1] == stem[-2]:
                yield stem[:-1], ending
    if word.endswith("ly"):
        yield word[:-2], "ly"


def _compound(word: str, lookup: Lookup) -> Phones | None:
    """Two words of the lexicon, the parts of most equal length first."""
    middle = len(word) / 2
    places = range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
    for place in sorted(places, key=lambda place: abs(place - middle)):
        first, second = lookup(word[:place]), lookup(word[place:])
        if first and second:
            return [*first, *second]
    return None
