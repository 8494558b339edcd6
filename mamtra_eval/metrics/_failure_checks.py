"""What ``failures`` looks at: runs of edits at the end, loops, the prompt's words, durations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mamtra_eval.metrics._health_checks import count_units

Alignment = Sequence[Sequence[str]]
"""Rows (operation, word of the text, word heard)."""

LONGEST_PHRASE = 8
LONG_PHRASE = 4
"""Words from which two rounds of a phrase are a loop already."""
TYPICAL_PER_S = {"zh": 4.5}
TYPICAL_WORDS_PER_S = 2.8
"""Reading aloud: English at 150 to 190 words a minute, Mandarin at 4 to 5 characters a second."""


class Loop(NamedTuple):
    """A phrase and how often it was said in a row."""

    phrase: tuple[str, ...]
    rounds: int


def run_at_end(alignment: Alignment, operation: str) -> list[str]:
    """The words of the edits of one kind that an alignment ends with."""
    side = 2 if operation == "insert" else 1
    found: list[str] = []
    for row in reversed(alignment):
        if row[0] != operation:
            break
        found.append(row[side])
    return found[::-1]


def loop(heard: Sequence[str], text: Sequence[str], rounds: int) -> Loop | None:
    """The phrase said most often in a row, if often enough and oftener than in the text."""
    best: Loop | None = None
    for size in range(1, LONGEST_PHRASE + 1):
        least = 2 if size >= LONG_PHRASE else rounds
        for phrase, times in _rounds(heard, size).items():
            allowed = max(_rounds(text, size).get(phrase, 1), 1)
            if times < least or times <= allowed:
                continue
            if best is None or times * size > best.rounds * len(best.phrase):
                best = Loop(phrase, times)
    return best


def _rounds(words: Sequence[str], size: int) -> dict[tuple[str, ...], int]:
    """How often each phrase of a size comes in a row, at most; 1 for one that does not."""
    found: dict[tuple[str, ...], int] = {}
    for start in range(len(words) - size + 1):
        phrase = tuple(words[start : start + size])
        times, at = 1, start + size
        while tuple(words[at : at + size]) == phrase:
            times, at = times + 1, at + size
        found[phrase] = max(found.get(phrase, 1), times)
    return found


def leak(
    heard: Sequence[str], text: Sequence[str], prompt: str, least: int
) -> tuple[str, ...] | None:
    """The longest run of words of the prompt that was heard and is not in the text, if any.

    The prompt is split as the text was: into characters if all words of the text are characters.
    """
    plain = re.sub(r"[^\w\s']+", "", prompt.lower())
    by_character = all(len(word) == 1 for word in text)
    words = [*plain.replace(" ", "")] if by_character else plain.split()
    lowered = [word.lower() for word in heard]
    known = _phrases([word.lower() for word in text], least)
    said = _phrases(words, least)
    for size in range(min(len(lowered), len(words)), least - 1, -1):
        for start in range(len(lowered) - size + 1):
            run = tuple(lowered[start : start + size])
            parts = [run[at : at + least] for at in range(size - least + 1)]
            if all(part in said for part in parts) and not any(part in known for part in parts):
                return run
    return None


def _phrases(words: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


def expected_s(text: str, language: str) -> float:
    """What a text takes to say at an ordinary rate, in seconds; at least half a second."""
    per_s = TYPICAL_PER_S.get(language.partition("-")[0], TYPICAL_WORDS_PER_S)
    return max(0.5, count_units(text) / per_s)
