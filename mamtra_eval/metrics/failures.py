"""Failures of speech: what went wrong with a clip, by kind, with the evidence.

Worked out from the readings of ``wer`` and ``health``; nothing is listened to again. A word error
rate adds a swallowed ending, an endless loop and a hundred small slips of the recogniser into one
number; these are the kinds that a listener would name. ``failures`` is the share of clips with at
least one kind, a clip that was never made included (one that couldn't be measured is left out);
each kind has a figure too.

empty: no word was heard.
truncated_end: the last words of the text were not heard, and the clip is not long enough for them.
repetition: what was heard says a phrase again and again that the text does not, or the sound itself
    ends in a loop. Numbers read out and words spelled out are no loop.
prompt_leakage: in place of words of the text, or between them, words of the prompt were heard.
hallucinated_tail: more words were heard behind the last one that is right than the text has left
    (a repetition is told as such).
over_30_s: the clip is longer than the window of the published recognisers.
speaking_rate: the rate of speech is far from any reader's (``health``).

A recogniser that errs can raise a kind, too: each comes with its words in the evidence, and
``recorded`` speech (the ground truth) shows how often that happens.

Options (``options.failures.``): counts of words, for Chinese of characters:
    truncated_words: 2, least words missing at the end (numbers and foreign words count once); and
    truncated_share: 0.15 of the text's.
    truncated_ratio: 1. A clip longer than that, by what its text takes to say, is not cut off.
    repeated_rounds: 3, rounds of a phrase of 2 or 3 words; 2 of a longer one, and of the whole
    text; 4 of a single word.
    leaked_words: 3, leaked_characters: 5. Least words of the prompt in a row, none of them right.
    tail_words: 3, least words behind the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mamtra_eval.metrics import Derived, Figure, Item, Reading
from mamtra_eval.metrics import _failure_checks as checks
from mamtra_eval.metrics.opinion import spoken
from mamtra_eval.registry import read_options

VERSION = 1  # of the kinds themselves; raise it when a default or a method changes

DEFAULTS: dict[str, float | int] = {
    "truncated_words": 2,
    "truncated_share": 0.15,
    "truncated_ratio": 1.0,
    "repeated_rounds": 3,
    "leaked_words": 3,
    "leaked_characters": 5,
    "tail_words": 3,
}
TITLES = {
    "empty": "Clips without a word",
    "truncated_end": "Clips cut off before their end",
    "repetition": "Clips that repeat themselves",
    "prompt_leakage": "Clips that speak the prompt",
    "hallucinated_tail": "Clips that go on after the text",
    "over_30_s": "Clips over 30 s",
    "speaking_rate": "Clips at an odd speaking rate",
}
LONGEST_S = 30.0
SHOWN = 20
"""Words that evidence quotes."""
SOURCES = ("wer", "health")


class Failures(Derived):
    """All kinds on one clip."""

    sources = SOURCES
    figures = (
        Figure("failures", "failed", unit="fraction", higher_is_better=False, failed=1.0,
               failed_if_unmade=True,
               title="Failures of speech"),
        *(
            Figure(f"failure_{kind}", kind, unit="fraction", higher_is_better=False,
                   headline=False, title=title)
            for kind, title in TITLES.items()
        ),
    )  # fmt: skip

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def signature(self) -> str:
        """Version of the kinds and whatever differs from the defaults."""
        changed = [
            f"{key}={value:g}" for key, value in self._options.items() if value != DEFAULTS[key]
        ]
        return "|".join([f"metric:failures-{VERSION}", "of:wer,health", *changed])

    def derive(self, item: Item, readings: Mapping[str, Reading]) -> Reading:
        """Look for every kind."""
        heard = readings["wer"].evidence
        rows = heard["alignment"]
        whole = "truncated" not in heard  # the recogniser heard all of it
        found = [
            *self._words(rows, str(heard.get("prompt", item.prompt_text or ""))),
            *self._end(item, rows, readings["health"], whole=whole),
            *_sound(readings["health"]),
        ]
        kinds = [kind for kind in TITLES if any(kind == name for name, _ in found)]
        evidence = {kind: "; ".join(why for name, why in found if name == kind) for kind in kinds}
        counts = {kind: float(kind in kinds) for kind in TITLES}
        return Reading({"failed": float(bool(kinds)), **counts}, {"kinds": kinds, **evidence})

    def _words(self, rows: checks.Alignment, prompt: str) -> Iterator[tuple[str, str]]:
        """Kinds that show in the words, each with its evidence; the prompt by ``wer``'s rule."""
        options = self._options
        text, heard = spoken(rows, 1), spoken(rows, 2)
        if not heard:
            yield "empty", "no word was heard"
            return
        loop = checks.loop(rows, int(options["repeated_rounds"]))
        if loop:
            yield "repetition", f"{_quoted(loop.phrase)} {loop.rounds} times"
        by_character = checks.by_character(text)
        least = int(options["leaked_characters" if by_character else "leaked_words"])
        if leaked := checks.leak(rows, prompt, least):
            yield "prompt_leakage", f"of the prompt: {_quoted(leaked)}"
        tail = checks.tail(rows)
        if len(tail) >= options["tail_words"] and not loop:
            yield "hallucinated_tail", f"behind the end: {_quoted(tail)}"

    def _end(
        self, item: Item, rows: checks.Alignment, health: Reading, *, whole: bool
    ) -> Iterator[tuple[str, str]]:
        """Words missing at the end, if the clip is too short for them."""
        options = self._options
        missing, n = checks.missing_at_end(rows), len(spoken(rows, 1))
        words = checks.count_words(missing)
        ratio = health.evidence["duration_s"] / checks.expected_s(item.text, item.language)
        enough = max(options["truncated_words"], options["truncated_share"] * n)
        if whole and enough <= words and len(missing) < n and ratio <= options["truncated_ratio"]:
            yield (
                "truncated_end",
                f"not heard: {_quoted(missing)}; {ratio:.2f} of what the text takes to say",
            )


def _quoted(words: Sequence[str]) -> str:
    """The words, cut off where they get long."""
    more = f" … ({len(words)} words)" if len(words) > SHOWN else ""
    return repr(" ".join(words[:SHOWN])) + more


def _sound(health: Reading) -> Iterator[tuple[str, str]]:
    """Kinds that show in the sound, each with its evidence."""
    if health.counts["repeated_tail"]:
        period_s = health.evidence.get("tail_period_s")
        yield "repetition", f"the sound ends in a loop of {period_s} s"
    duration_s = float(health.evidence["duration_s"])
    if duration_s > LONGEST_S:
        yield "over_30_s", f"{duration_s:.1f} s"
    if health.counts["speaking_rate"]:
        rates = [key for key in health.evidence if key.endswith("s_per_s")]
        yield "speaking_rate", ", ".join(f"{health.evidence[key]:g} {key}" for key in rates)


def create(options: Mapping[str, Any]) -> Failures:
    """Make the metric."""
    return Failures(read_options("metric failures", options, DEFAULTS))
