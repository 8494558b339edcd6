"""One figure of one system: which clips enter, its value and interval, its difference, its verdict.

The unit is the utterance: repeats are averaged (means) or summed (pooled rates) first. A clip
without a reading enters only where the figure says what it counts as.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mamtra_eval.metrics import Aggregate, Figure, Reading
from mamtra_eval.reader import RunReader
from mamtra_eval.resampling import Ratios, Resampling
from mamtra_eval.rows import ClipKey, ClipRow, MetricRow
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.equivalence import Verdict, verdict

Readings = dict[tuple[ClipKey, str], Reading | str]
"""By (clip, metric): a reading, or the error in its place. Absent while pending."""
FigureKey = tuple[str, str]
"""(system, figure)."""


@dataclass(frozen=True)
class Value:
    """One figure of one system.

    Attributes:
        estimate: value and interval; ``None`` where nothing entered.
        n: clips that entered.
        n_failed: failed clips that did not.
        difference: to the baseline, paired over ``n_paired`` utterances.
        margin: the largest loss that counts as none, where one was declared.
        verdict: on that difference against the margin.
    """

    figure: Figure
    estimate: Estimate | None
    n: int
    n_failed: int
    difference: Estimate | None = None
    n_paired: int = 0
    margin: float | None = None
    verdict: Verdict | None = None


def work_out(
    store: RunReader,
    metrics: Sequence[MetricRow],
    by_system: dict[str, list[ClipRow]],
    readings: Readings,
) -> dict[FigureKey, Value]:
    """Every figure of every system, its interval, and its difference to the baseline."""
    baseline = store.meta("baseline")
    settings, margins = store.meta("statistics"), store.meta("margins", {})
    resampling = Resampling([item.id for item in store.utterances()])
    coverage: dict[FigureKey, tuple[Figure, int, int]] = {}
    ratios: dict[FigureKey, Ratios] = {}
    for metric in metrics:
        failed_counts = store.failed_counts(metric.name)
        for system, clips in by_system.items():
            for figure in metric.figures:
                key = (system, figure.name)
                ratios[key], n, n_failed = _ratios(
                    clips, metric.name, figure, readings, failed_counts
                )
                coverage[key] = (figure, n, n_failed)
    for key, own in ratios.items():
        aggregate = coverage[key][0].aggregate
        resampling.want(key, own, aggregate)
        # Each system's mean up to a bound is over utterances of its own: their difference is no
        # difference of systems.
        if key[0] != baseline and aggregate != "mean_up_to":
            theirs = ratios.get((baseline, key[1]), {})
            resampling.want_difference(key, own, theirs, aggregate)
    resampling.run(**settings)
    return {key: _value(key, *covered, resampling, margins) for key, covered in coverage.items()}


def _value(
    key: FigureKey, figure: Figure, n: int, n_failed: int, resampling: Resampling,
    margins: dict[str, float],
) -> Value:  # fmt: skip
    difference, n_paired = resampling.differences.get(key, (None, 0))
    margin, tested = margins.get(figure.name), resampling.tested.get(key)
    judged = None
    if margin is not None and tested is not None:
        judged = verdict(tested, margin, higher_is_better=figure.higher_is_better, shown=difference)
    estimate = resampling.estimates.get(key)
    return Value(figure, estimate, n, n_failed, difference, n_paired, margin, judged)


def _ratios(
    clips: list[ClipRow],
    metric: str,
    figure: Figure,
    readings: Readings,
    failed_counts: dict[str, dict[str, float]],
) -> tuple[Ratios, int, int]:
    """Numerator and denominator by utterance, clips that entered, failed ones that did not."""
    repeats: dict[str, list[tuple[float, float]]] = defaultdict(list)
    n_failed = 0
    for clip in clips:
        reading = readings.get((clip.key, metric))
        failed = clip.status == "failed" or isinstance(reading, str)
        pair = None
        if isinstance(reading, Reading):
            pair = figure.pair(reading)
        elif failed and not (figure.failed_if_unmade and clip.status != "failed"):
            pair = _failed_pair(figure, failed_counts.get(clip.key.utterance, {}))
        if pair is not None:
            repeats[clip.key.utterance].append(pair)
        elif failed:
            n_failed += 1
    ratios = {utt: combine(pairs, figure.aggregate, figure.at) for utt, pairs in repeats.items()}
    n = sum(len(pairs) for pairs in repeats.values())
    return ratios, n, n_failed


def _failed_pair(figure: Figure, counts: dict[str, float]) -> tuple[float, float] | None:
    if figure.failed is None:
        return None
    below = counts.get(figure.denominator, 0.0) if figure.denominator else 1.0
    return (figure.failed * below, below) if below > 0 else None


def combine(
    pairs: Sequence[tuple[float, float]], aggregate: Aggregate, at: float = 0.0
) -> tuple[float, float]:
    """One utterance's repeats as one ratio; the arguments are those of ``Figure``."""
    if aggregate == "pooled":
        return math.fsum(above for above, _ in pairs), math.fsum(below for _, below in pairs)
    rate = math.fsum(above / below for above, below in pairs) / len(pairs)
    if aggregate == "share_above":
        return float(rate > at), 1.0
    if aggregate == "mean_up_to":
        return (rate, 1.0) if rate <= at else (0.0, 0.0)
    return rate, 1.0
