"""What ``failures`` looks at: the end of an alignment, loops, the prompt's words, durations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from mamtra_eval.metrics._health_checks import count_units

Alignment = Sequence[Sequence[str]]
"""Rows (operation, word of the text, word heard)."""
Phrase = tuple[str, ...]

LONG_PHRASE = 4
"""Words from which two rounds of a phrase are a loop already."""
SIGNS = {"dot", "at", "slash", "dash", "hyphen", "underscore"}
"""What signs of an address are read as, which the text rules leave out."""
TYPICAL_PER_S = {"zh": 4.5}
TYPICAL_WORDS_PER_S = 2.8
"""Reading aloud: English at 150 to 190 words a minute, Mandarin at 4 to 5 characters a second."""


class Loop(NamedTuple):
    """A phrase, how often it was said in a row, and the word heard at which it begins."""

    phrase: Phrase
    rounds: int
    start: int


def missing_at_end(alignment: Alignment) -> list[str]:
    """The words of the text behind the last that was heard as anything.

    None where the end was heard in another spelling: as digits, or written together.
    """
    found: list[str] = []
    for operation, word, said in reversed(alignment):
        if operation != "delete":
            if operation == "substitute" and re.search(r"\d", said):
                return []
            break
        found.append(word)
    text, heard = _behind_the_last_right_word(alignment)
    return [] if found and "".join(text) == "".join(heard) else found[::-1]


def tail(alignment: Alignment) -> list[str]:
    """Words heard behind the last right one, beyond what the text has left there.

    What it has left may be heard in more words than it is written in: apart ("state of the art"),
    letter by letter, or as numbers read out.
    """
    text, heard = _behind_the_last_right_word(alignment)
    together, said = "".join(text), ""
    for count, word in enumerate(heard, start=1):
        said += "" if word in SIGNS else word
        if together and said == together:
            return heard[count:]
    return heard[sum(map(_most_words, text)) :]


def _behind_the_last_right_word(alignment: Alignment) -> tuple[list[str], list[str]]:
    """(words of the text, words heard) there."""
    text: list[str] = []
    heard: list[str] = []
    for operation, word, said in reversed(alignment):
        if operation == "equal":
            break
        text += [word] if word else []
        heard += [said] if said else []
    return text[::-1], heard[::-1]


def _most_words(word: str) -> int:
    """In how many words one may be heard: "1204" as "one thousand two hundred and four"."""
    digits = sum(letter.isdigit() for letter in word)
    return digits + 3 if digits > 1 else 1


def count_words(words: Sequence[str]) -> int:
    """How many they are, where digits and Latin letters that stand alone make one word together."""
    plain = [len(word) == 1 and word.isascii() for word in words]
    return sum(1 if joined else len(list(run)) for joined, run in groupby(plain))


def by_character(words: Sequence[str]) -> bool:
    """Whether a text was split into characters."""
    return all(len(word) == 1 for word in words)


def loop(alignment: Alignment, rounds: int) -> Loop | None:
    """The phrase said most often in a row, if often enough and oftener than the text says it."""
    text = [row[1] for row in alignment if row[1]]
    heard = [row[2] for row in alignment if row[2]]
    best: Loop | None = None
    for size in range(1, max(LONG_PHRASE, len(text)) + 1):
        whole = 1 < size == len(text)
        least = 2 if whole or size >= LONG_PHRASE else rounds + (size == 1)
        found = [one for one in _runs(heard, size) if one.rounds >= least]
        written = {one.phrase: one.rounds for one in _runs(text, size)} if found else {}
        for one in found:
            if one.rounds <= written.get(one.phrase, 1) or _is_reading(alignment, one, text):
                continue
            if best is None or one.rounds * size > best.rounds * len(best.phrase):
                best = one
    return best


def _runs(words: Sequence[str], size: int) -> list[Loop]:
    """Every phrase of a size that comes in a row at least twice, with its longest run."""
    best: dict[Phrase, Loop] = {}
    start = 0
    same = [words[at] == words[at + size] for at in range(len(words) - size)]
    while start < len(same):
        end = start
        while end < len(same) and same[end]:
            end += 1
        rounds = (end - start) // size + 1
        if rounds > 1:
            phrase = tuple(words[start : start + size])
            if phrase not in best or best[phrase].rounds < rounds:
                best[phrase] = Loop(phrase, rounds, start)
        start = end + 1
    return [*best.values()]


def _is_reading(alignment: Alignment, found: Loop, text: Sequence[str]) -> bool:
    """Whether a loop is a number read out ("555") or a word spelled out ("WWW", "bye-bye-bye")."""
    if "".join(found.phrase) * found.rounds in "".join(text):
        return True
    at, first, last = 0, len(alignment), 0
    end = found.start + found.rounds * len(found.phrase)
    for row, (_, _, said) in enumerate(alignment):
        if said and found.start <= at < end:
            first, last = min(first, row), row
        at += bool(said)
    around = alignment[max(0, first - 1) : last + 2]
    return any(re.search(r"\d", word) for _, word, _ in around)


def leak(alignment: Alignment, prompt: str, least: int) -> Phrase | None:
    """The longest run of wrong words heard, at least ``least``, that the prompt has in a row.

    The prompt is normalised as the text was.
    """
    words = prompt.lower().split()
    best: Phrase | None = None
    for wrong, rows in groupby(alignment, key=lambda row: row[0] != "equal"):
        run = [row[2].lower() for row in rows if row[2]] if wrong else []
        shared = _longest_shared(run, words)
        if len(shared) >= max(least, len(best or ()) + 1):
            best = shared
    return best


def _longest_shared(one: Sequence[str], other: Sequence[str]) -> Phrase:
    """The longest run of words that stands in both."""
    best, end = 0, 0
    row = [0] * (len(other) + 1)
    for index, word in enumerate(one, start=1):
        previous = 0
        for place, theirs in enumerate(other, start=1):
            previous, row[place] = row[place], previous + 1 if word == theirs else 0
            if row[place] > best:
                best, end = row[place], index
    return tuple(one[end - best : end])


def expected_s(text: str, language: str) -> float:
    """What a text takes to say at an ordinary rate, in seconds; at least half a second."""
    per_s = TYPICAL_PER_S.get(language.partition("-")[0], TYPICAL_WORDS_PER_S)
    return max(0.5, count_units(text) / per_s)
