"""Failures of speech: what went wrong with a clip, by kind, with the evidence.

Worked out from the readings of ``wer`` and ``health``; nothing is listened to again. A word error
rate adds a swallowed ending, an endless loop and a hundred small slips of the recogniser into one
number; these are the kinds that a listener would name. ``failures`` is the share of clips with at
least one kind, a clip that was never made included; each kind has a figure too.

empty: no word was heard.
truncated_end: the last words of the text were not heard, and the clip is not long enough for them.
repetition: what was heard says a phrase again and again that the text does not, or the sound itself
    ends in a loop.
prompt_leakage: words of the prompt were heard that the text does not have.
hallucinated_tail: words were heard behind the end of the text (a repetition is told as such).
over_30_s: the clip is longer than the window of the published recognisers.
speaking_rate: the rate of speech is far from any reader's (``health``).

A recogniser that errs can raise a kind, too: each comes with its words in the evidence, and
``recorded`` speech (the ground truth) shows how often that happens.

Options (``options.failures.``): counts of words, for Chinese of characters:
    truncated_words: 2, least words missing at the end; and truncated_share: 0.15 of the text's.
    truncated_ratio: 1.15. A clip longer than that, by what its text takes to say, is not cut off.
    repeated_rounds: 3, rounds of a phrase of up to 8 words; 2 if the phrase has 4 or more.
    leaked_words: 3, least words of the prompt in a row that the text does not have in a row.
    tail_words: 3, least words behind the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mamtra_eval.metrics import Derived, Figure, Item, Reading
from mamtra_eval.metrics import _failure_checks as checks
from mamtra_eval.metrics.opinion import spoken
from mamtra_eval.registry import read_options

VERSION = 1  # of the kinds themselves; raise it when a default or a method changes

DEFAULTS: dict[str, float | int] = {
    "truncated_words": 2,
    "truncated_share": 0.15,
    "truncated_ratio": 1.15,
    "repeated_rounds": 3,
    "leaked_words": 3,
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
SOURCES = ("wer", "health")


class Failures(Derived):
    """All kinds on one clip."""

    sources = SOURCES
    figures = (
        Figure("failures", "failed", unit="fraction", higher_is_better=False, failed=1.0,
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
        rows = readings["wer"].evidence["alignment"]
        health = readings["health"]
        evidence = self._words(item, rows) | self._sound(item, rows, health)
        kinds = [kind for kind in TITLES if kind in evidence]
        counts = {kind: float(kind in evidence) for kind in TITLES}
        return Reading({"failed": float(bool(kinds)), **counts}, {"kinds": kinds, **evidence})

    def _words(self, item: Item, rows: checks.Alignment) -> dict[str, str]:
        """Kinds that show in the words, each with its evidence."""
        options = self._options
        text, heard = spoken(rows, 1), spoken(rows, 2)
        if not heard:
            return {"empty": "no word was heard"}
        found = {}
        if loop := checks.loop(heard, text, int(options["repeated_rounds"])):
            found["repetition"] = f"{' '.join(loop.phrase)!r} {loop.rounds} times"
        if leaked := checks.leak(heard, text, item.prompt_text or "", int(options["leaked_words"])):
            found["prompt_leakage"] = f"of the prompt: {' '.join(leaked)!r}"
        tail = checks.run_at_end(rows, "insert")
        if len(tail) >= options["tail_words"] and "repetition" not in found:
            found["hallucinated_tail"] = f"behind the end: {' '.join(tail)!r}"
        return found

    def _sound(self, item: Item, rows: checks.Alignment, health: Reading) -> dict[str, str]:
        """Kinds for which the sound counts as well, each with its evidence."""
        options = self._options
        found = {}
        duration_s = float(health.evidence["duration_s"])
        missing, n = checks.run_at_end(rows, "delete"), len(spoken(rows, 1))
        ratio = duration_s / checks.expected_s(item.text, item.language)
        enough = max(options["truncated_words"], options["truncated_share"] * n)
        if enough <= len(missing) < n and ratio <= options["truncated_ratio"]:
            found["truncated_end"] = (
                f"not heard: {' '.join(missing)!r}; {ratio:.2f} of what the text takes to say"
            )
        if health.counts["repeated_tail"]:
            found["repetition"] = (
                f"the sound ends in a loop of {health.evidence.get('tail_period_s')} s"
            )
        if duration_s > LONGEST_S:
            found["over_30_s"] = f"{duration_s:.1f} s"
        if health.counts["speaking_rate"]:
            rates = [f"{health.evidence[key]:g} {key}" for key in health.evidence
                     if key.endswith("s_per_s")]  # fmt: skip
            found["speaking_rate"] = ", ".join(rates)
        return found


def create(options: Mapping[str, Any]) -> Failures:
    """Make the metric."""
    return Failures(read_options("metric failures", options, DEFAULTS))
