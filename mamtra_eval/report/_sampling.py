"""Which clips the page shows of a run that is too large for a page.

Up to ``MOST_CLIPS`` it has all of them. Beyond, it has whole utterances, each with the clips of all
systems, so that what is beside each other stays so: those in which something failed, the largest
losses to the baseline by each headline figure, and for the rest a draw by the hash of their names,
the same at every writing. Figures, intervals, ranks and verdicts rest on all clips whatever the
page shows, and the page says what it shows.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from typing import NamedTuple

from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.results import Results

MOST_CLIPS = 25_000
"""Seed-TTS-eval's English set by fourteen systems has 15,232, its page 3.7 MB; with ten times as
many, a browser takes seconds for a sort, and a page is too large to be passed on."""
SHARE = 4
"""One of so many utterances may be there for a failure, and one for a loss."""


class Sample(NamedTuple):
    """What is shown.

    Attributes:
        utterances: by id.
        note: how they were chosen, in words.
    """

    utterances: frozenset[str]
    note: str


def choose(results: Results) -> Sample | None:
    """The utterances to show; ``None`` where all fit."""
    if len(results.clips) <= MOST_CLIPS:
        return None
    each = len(results.clips) / len(results.utterances)
    size = max(1, int(MOST_CLIPS / each))
    failing = _failing(results)
    failed = set(heapq.nsmallest(size // SHARE, failing, key=_draw))
    lost = _largest_losses(results, size // SHARE) - failed
    others = (utterance for utterance in results.utterances if utterance not in failed | lost)
    drawn = set(heapq.nsmallest(size - len(failed | lost), others, key=_draw))
    shown = failed | lost | drawn
    among = [f"{len(drawn):,} drawn by a hash of their names"]
    if lost:
        among.insert(0, f"{len(lost):,} with the largest losses to the baseline")
    if failed:
        among.insert(0, f"{len(failed):,} of the {len(failing):,} in which something failed")
    note = (
        f"Shown are {len(shown):,} of {len(results.utterances):,} utterances, each with the clips "
        f"of all systems: {', '.join(among)}. Figures, intervals and ranks rest on all "
        f"{len(results.clips):,} clips; results.parquet and results.jsonl have a row for each."
    )
    return Sample(frozenset(shown), note)


def _failing(results: Results) -> set[str]:
    failed = {clip.key.utterance for clip in results.clips if clip.error is not None}
    return failed | {key.utterance for (key, _), reading in results.readings.items()
                     if isinstance(reading, str)}  # fmt: skip


def _largest_losses(results: Results, most: int) -> set[str]:
    """As many of each headline figure and system, at least one."""
    headlines = [(metric.name, figure) for metric, figure in results.figures if figure.headline]
    baseline = next(one.row.name for one in results.systems if one.is_baseline)
    rivals = [one.row.name for one in results.systems if not one.is_baseline]
    if not headlines or not rivals:
        return set()
    each = max(1, most // (len(headlines) * len(rivals)))
    found: list[str] = []
    for metric, figure in headlines:
        for rival in rivals:
            losses = _losses(results, metric, figure, baseline, rival)
            found += [utterance for _, utterance in heapq.nlargest(each, losses)]
    return set(found[:most])


def _losses(
    results: Results, metric: str, figure: Figure, baseline: str, rival: str
) -> Iterator[tuple[float, str]]:
    """How much worse the first clip of each utterance is than the baseline's."""
    sign = -1.0 if figure.higher_is_better else 1.0
    for clip in results.clips:
        if clip.key.system != rival or clip.key.repeat:
            continue
        mine = results.readings.get((clip.key, metric))
        theirs = results.readings.get((clip.key._replace(system=baseline), metric))
        if isinstance(mine, Reading) and isinstance(theirs, Reading):
            own, other = figure.ratio(mine), figure.ratio(theirs)
            if own is not None and other is not None:
                yield sign * (own - other), clip.key.utterance


def _draw(utterance: str) -> tuple[str, str]:
    return hashlib.sha256(utterance.encode()).hexdigest(), utterance
