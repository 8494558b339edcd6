"""Word error rate by a second recogniser: a second opinion on the same clips.

Options (section ``second`` of a configuration) are those of ``wer``'s section ``asr``; ``backend``
has no default. The text rule is that of ``wer`` unless ``second.normalizer`` says otherwise. With a
``second.backend`` given, a run takes this metric and ``opinion``, which compares the two, without
being asked to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mamtra_eval.errors import UserError
from mamtra_eval.metrics import wer

OPTION_SECTION = "second"


class SecondWordErrorRate(wer.WordErrorRate):
    """``wer`` under names of its own."""

    figures = tuple(
        replace(
            figure,
            name=f"second_{figure.name}",
            title=f"{figure.title} (second recogniser)",
            headline=figure.name == "wer",
        )
        for figure in wer.WordErrorRate.figures
    )


def fast(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the recogniser in fast mode."""
    return wer.fast(options)


def defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The recogniser's options with their defaults."""
    return wer.defaults(options)


def create(options: Mapping[str, Any]) -> SecondWordErrorRate:
    """The metric with its recogniser and text rule."""
    if not options.get("backend"):
        raise UserError(
            "second_wer needs a recogniser",
            fix="Name one with --set second.backend=NAME (mamtra-eval list asr).",
        )
    made = wer.create(options)
    return SecondWordErrorRate(made.recognizer, made.normalizer, made.resampler)
