"""The phones of the mini family, and their ids.

The set is flite's for US English (that of the CMU lexicon with a reduced vowel, ``ax``). A phone at
the beginning of a word is another id than the same phone elsewhere. Ids are text tokens of the
models' vocabulary: they never change.
"""

from __future__ import annotations

from typing import NamedTuple

SYMBOLS = (
    "aa", "ae", "ah", "ao", "aw", "ax", "ay", "b", "ch", "d", "dh", "eh", "er", "ey", "f", "g",
    "hh", "ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th",
    "uh", "uw", "v", "w", "y", "z", "zh",
)  # fmt: skip
"""All phones but the pause; a phone's place is its id."""

SILENCE = "pau"

INITIAL_OFFSET = 64
PAUSE = 128
END = 129
"""No more text."""

VOICE_OFFSET = 160
"""Ids from here on are voices."""


class Phone(NamedTuple):
    """A phone.

    Attributes:
        symbol: one of ``SYMBOLS``, or ``pau``.
        initial: whether it begins a word.
    """

    symbol: str
    initial: bool = False


def to_id(phone: Phone) -> int:
    """The text token of a phone; ValueError for a symbol that is none."""
    if phone.symbol == SILENCE:
        return PAUSE
    return SYMBOLS.index(phone.symbol) + (INITIAL_OFFSET if phone.initial else 0)


def from_id(number: int) -> Phone:
    """The phone of a text token; ValueError for an id that is none."""
    if number == PAUSE:
        return Phone(SILENCE)
    index = number % INITIAL_OFFSET
    if not 0 <= number < 2 * INITIAL_OFFSET or index >= len(SYMBOLS):
        raise ValueError(f"{number} is no phone's id")
    return Phone(SYMBOLS[index], number >= INITIAL_OFFSET)
