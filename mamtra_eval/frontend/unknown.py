"""Words that the lexicon lacks: by words within them, else by espeak-ng, else letter by letter.

``pronounce`` takes all unknown words of a text at once, since espeak-ng is loaded for each call and
unloaded again: nothing else in the process, and no other process, ever meets its state. Where the
library is held by somebody else or can't be loaded, words are spelt; every word of letters gets at
least one phone.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Sequence
from types import MappingProxyType

from mamtra_eval.errors import UserError
from mamtra_eval.frontend import lexicon, morphology

LONGEST = 32
"""Letters that are looked at as one word; longer ones are said in parts of that length."""

VOICE = b"gmw/en-US"
_UTF8 = 1
_SEPARATED = ord("_") << 8
"""Mode of espeak_TextToPhonemes: its own names, parted by an underscore."""

_INITIALISM = re.compile("[^aeiouy']{1,5}")
"""Short words without vowels, as ``pdf``."""

_MARKS = str.maketrans("", "", "',%=|:;!#~-")
"""Stress, length, and variants of a phone that flite doesn't part."""

PHONES = MappingProxyType(
    {
        "p": "p", "b": "b", "t": "t", "t2": "t", "?": "t", "d": "d", "k": "k", "g": "g", "x": "k",
        "f": "f", "v": "v", "T": "th", "D": "dh", "s": "s", "z": "z", "S": "sh", "Z": "zh",
        "h": "hh", "tS": "ch", "dZ": "jh", "m": "m", "n": "n", "N": "ng", "l": "l", "r": "r",
        "w": "w", "j": "y", "@L": "ax l", "@": "ax", "@2": "ax", "a": "ae", "aa": "ae", "E": "eh",
        "I": "ih", "I2": "ax", "i": "iy", "0": "aa", "A": "aa", "A@": "aa r", "V": "ah", "U": "uh",
        "u": "uw", "O": "ao", "O2": "ao", "o": "ow", "o@": "ao r", "O@": "ao r", "3": "er",
        "e@": "eh r", "i@": "iy ax", "i@3": "ih r", "U@": "uh r", "eI": "ey", "aI": "ay",
        "aI3": "ay er", "aI@": "ay ax", "aU": "aw", "oU": "ow", "OI": "oy",
    }
)  # fmt: skip
"""espeak-ng's names for the sounds of US English, without marks, in phones of flite."""

SPECIAL = MappingProxyType({"n-": "ax n", "a#": "ax", "I#": "ax"})
"""Names whose mark matters: the syllabic n, and vowels that are reduced."""


def pronounce(words: Iterable[str]) -> dict[str, list[str]]:
    """The phones of each word of lower-case letters and apostrophes."""
    found: dict[str, list[str]] = {}
    rest: list[str] = []
    for word in dict.fromkeys(words):
        derived = morphology.derive(word, lexicon.pronounce) if len(word) <= LONGEST else None
        if phones := derived or (spelt(word) if _INITIALISM.fullmatch(word) else None):
            found[word] = phones
        else:
            rest.append(word)
    said = by_espeak(rest) if rest else []
    found.update((word, phones or spelt(word)) for word, phones in zip(rest, said, strict=True))
    return found


def by_espeak(words: Sequence[str]) -> list[list[str] | None]:
    """Phones by espeak-ng's rules for US English; None for a word that it doesn't say."""
    # Not above: with it comes the audio stack. Its loader is shared, as it holds the lock.
    from mamtra_eval.systems.espeak import loaded_library

    try:
        with loaded_library() as (library, _):
            library.espeak_TextToPhonemes.restype = ctypes.c_char_p
            if library.espeak_SetVoiceByName(VOICE) != 0:
                return [None] * len(words)
            return [_said(library, word) for word in words]
    except (UserError, OSError):
        return [None] * len(words)


def release() -> str | None:
    """Version of espeak-ng; ``None`` where it can't be loaded and words are spelt instead."""
    from mamtra_eval.systems import espeak

    try:
        return espeak.release()
    except (UserError, OSError):
        return None


def spelt(word: str) -> list[str]:
    """The names of its letters; of a word without letters, nothing."""
    letters = ("a." if letter == "a" else letter for letter in word)
    return [phone for letter in letters for phone in lexicon.pronounce(letter) or []]


def _said(library: ctypes.CDLL, word: str) -> list[str] | None:
    phones: list[str] = []
    for begin in range(0, len(word), LONGEST):
        text = ctypes.create_string_buffer(word[begin : begin + LONGEST].encode("ascii", "ignore"))
        rest = ctypes.c_void_p(ctypes.addressof(text))
        names = library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _SEPARATED)
        phones += translate((names or b"").decode("ascii", "ignore"))
    return phones or None


def translate(names: str) -> list[str]:
    """Phones for espeak-ng's names, which are parted by underscores or spaces."""
    phones: list[str] = []
    for name in re.split(r"[_ ]+", names):
        bare = name.lstrip("',%=|")
        phones += (SPECIAL.get(bare) or PHONES.get(bare.translate(_MARKS)) or "").split()
    return phones
