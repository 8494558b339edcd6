"""Two recognisers on the same clips: where they agree, and the errors that both find.

Worked out from the readings of ``wer`` and ``second_wer``. A word that both recognisers miss, or
hear as another, was most likely not said as written; a word that only one misses is as likely that
recogniser's own mistake.

``opinion``        errors that both find, by words: a word of the text that neither heard as it is,
                   and words put in between the same two words, as many as both put there. Where
                   the two alignments part beside such words, it counts too few rather than too many
``asr_agreement``  share of clips in which both heard the same words (the flag of each clip is
                   ``agree`` in its evidence)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from mamtra_eval.errors import MeasurementError
from mamtra_eval.metrics import Derived, Figure, Item, Reading
from mamtra_eval.registry import read_options

Alignment = Sequence[Sequence[str]]
"""Rows (operation, word of the text, word heard)."""

SOURCES = ("wer", "second_wer")


class Opinion(Derived):
    """Both alignments against one text."""

    sources = SOURCES
    figures = (
        Figure("opinion", "errors", "words", unit="fraction", higher_is_better=False,
               title="WER that two recognisers agree on"),
        Figure("opinion_pooled", "errors", "words", "pooled", unit="fraction",
               higher_is_better=False, headline=False,
               title="WER that two recognisers agree on, pooled"),
        Figure("asr_agreement", "agree", unit="fraction", headline=False,
               title="Clips in which both recognisers heard the same"),
    )  # fmt: skip

    def signature(self) -> str:
        """That both count; what they are, the signatures of ``wer`` and ``second_wer`` say."""
        return "metric:opinion|of:wer,second_wer|errors:both"

    def derive(self, item: Item, readings: Mapping[str, Reading]) -> Reading:
        """Count the errors of both."""
        del item
        first, second = (readings[name].evidence["alignment"] for name in self.sources)
        words = spoken(first, 1)
        if words != spoken(second, 1):
            raise MeasurementError(
                "the two recognisers were compared with other texts: give both one text rule "
                "(asr.normalizer, second.normalizer)"
            )
        agree = spoken(first, 2) == spoken(second, 2)
        both = sum(map(min, errors_by_place(first), errors_by_place(second)))
        counts = {"errors": float(both), "words": float(len(words)), "agree": float(agree)}
        other = readings[self.sources[1]].evidence["transcript"]
        return Reading(counts, {"agree": agree, "second_transcript": other})


def spoken(alignment: Alignment, side: int) -> list[str]:
    """The words of one side of an alignment: 1 the text's, 2 those that were heard."""
    return [row[side] for row in alignment if row[side]]


def errors_by_place(alignment: Alignment) -> list[int]:
    """Errors at each place of a text of n words, 2 n + 1 of them: gap, word, gap, word, …, gap."""
    gaps, words = [0], []
    for operation, *_ in alignment:
        if operation == "insert":
            gaps[-1] += 1
        else:
            words.append(int(operation != "equal"))
            gaps.append(0)
    pairs = zip_longest(gaps, words)
    return [place for pair in pairs for place in pair if place is not None]


def create(options: Mapping[str, Any]) -> Opinion:
    """The metric; it takes no options."""
    read_options("metric opinion", options, {})
    return Opinion()
