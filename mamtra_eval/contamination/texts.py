"""Texts of a test set that occur in training texts: whole, or by their n-grams.

Both go through ``NORMALIZATION``: Unicode NFKC, case folded, apostrophes dropped, other punctuation
and symbols to spaces, one space between words. Units are words; of Chinese, Japanese kana included,
characters. Word order is kept. Memory follows the test set, not the training data.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

NORMALIZATION = "nfkc-casefold-nopunct:1"
_CHARACTER = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003134f])")


class _Table(dict[int, str]):
    """Of each character what it becomes, worked out when first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in "'\u2019":
            self[code] = ""
        else:
            self[code] = " " if unicodedata.category(character)[0] in "PSZC" else character
        return self[code]


_TABLE = _Table()


def units(text: str) -> list[str]:
    """The words, or characters, by which texts are compared."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = _CHARACTER.sub(r" \1 ", text)
    return text.casefold().translate(_TABLE).split()


@dataclass
class Overlap:
    """What of one test text was met."""

    n_grams: int
    exact: str | None = None
    """Where the whole text stands."""
    nearest: str | None = None
    """The line that shares most n-grams, and how many, and its text."""
    nearest_shared: int = 0
    nearest_text: str = ""


class TextIndex:
    """The texts of a test set by key; shown training lines one after another."""

    def __init__(self, texts: Iterable[tuple[str, str]], n: int) -> None:
        self.n = n
        self.found: dict[str, Overlap] = {}
        self._exact: defaultdict[str, list[str]] = defaultdict(list)
        self._grams: defaultdict[str, list[str]] = defaultdict(list)
        self._met: defaultdict[str, set[str]] = defaultdict(set)
        self._firsts: set[str] = set()
        for key, text in texts:
            words = units(text)
            grams = {" ".join(words[i : i + n]) for i in range(len(words) - n + 1)}
            self.found[key] = Overlap(len(grams))
            if words:
                self._exact[" ".join(words)].append(key)
            for gram in grams:
                self._grams[gram].append(key)
                self._firsts.add(gram.partition(" ")[0])

    def show(self, text: str, where: str) -> None:
        """Compare one training line."""
        words = units(text)
        for key in self._exact.get(" ".join(words), ()):
            self.found[key].exact = self.found[key].exact or where
        shared: defaultdict[str, set[str]] = defaultdict(set)
        for start in range(len(words) - self.n + 1):
            if words[start] in self._firsts:
                gram = " ".join(words[start : start + self.n])
                for key in self._grams.get(gram, ()):
                    shared[key].add(gram)
        for key, grams in shared.items():
            self._met[key] |= grams
            one = self.found[key]
            if len(grams) > one.nearest_shared:
                one.nearest, one.nearest_shared, one.nearest_text = where, len(grams), text

    def share(self, key: str) -> float:
        """Share of a text's n-grams that were met in any line; 0 for a text that has none."""
        return len(self._met[key]) / self.found[key].n_grams if self.found[key].n_grams else 0.0
