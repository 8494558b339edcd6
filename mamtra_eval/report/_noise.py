"""The leaderboard's section on where the noise of its differences comes from."""

from __future__ import annotations

from mamtra_eval import noise
from mamtra_eval.noise import Noise
from mamtra_eval.report._format import amount
from mamtra_eval.report._markdown import escape, table
from mamtra_eval.results import Results

TITLES = {
    "utterance": "Text",
    "seed": "Synthesis seed",
    "recogniser_by_utterance": "Recogniser, by text",
    "residual": "Recogniser, by clip",
}
"""Components of noise; recognisers' fixed shift is none."""


def section(results: Results) -> list[str]:
    """Lines of Markdown; none where nothing was repeated or heard by two recognisers."""
    found = noise.of_headline(results)
    if not found:
        return []
    first = found[0]
    shown = [name for name in TITLES if name in first.split.raw]
    titles = ["System", *(TITLES[name] for name in shown)]
    titles += ["Standard error", "twice the repeats", "twice the utterances"]
    rows = [[escape(one.system), *_shares(one, shown), *_errors(one)] for one in found]
    title = escape(first.figure.title or first.figure.name)
    return [
        f"## Where the noise of {title} comes from",
        "",
        f"Shares of the variance of a difference to the baseline, from {first.utterances} "
        f"utterances, {first.repeats} repeats, {first.recognisers} "
        f"recogniser{'s' if first.recognisers > 1 else ''} (analysis of variance). Text is what "
        "more utterances lessen, seed what more repeats lessen; without repeats, text holds the "
        "seed, too.",
        "",
        *table(titles, rows),
        "",
    ]


def _shares(one: Noise, shown: list[str]) -> list[str]:
    sizes = [max(0.0, one.split.raw.get(name, 0.0)) for name in shown]
    total = sum(sizes)
    return [f"{100 * size / total:.0f} %" if total > 0 else "–" for size in sizes]


def _errors(one: Noise) -> list[str]:
    now = amount(one.figure, one.error())
    return [now.replace(" %", " pt"), *(
        f"−{100 * (1 - changed / one.error()):.0f} %" if one.error() > 0 else "–"
        for changed in (one.error(repeats=2), one.error(utterances=2))
    )]  # fmt: skip
