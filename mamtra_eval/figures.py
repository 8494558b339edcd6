"""One figure of one system: which clips enter, its value and interval, its difference, its verdict.

The unit is the utterance: repeats are averaged (means) or summed (pooled rates) first. A clip
without a reading enters only where the figure says what it counts as.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mamtra_eval.metrics import Aggregate, Figure, Reading
from mamtra_eval.opinions import Opinion
from mamtra_eval.resampling import Ratios, Resampling
from mamtra_eval.rows import ClipRow
from mamtra_eval.rundata import RunData
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.equivalence import Verdict, verdict

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
        foreign: the signature of its readings where that is not the figure's own, as happens where
            runs were put together: the value stands alone then and is compared with nothing.
    """

    figure: Figure
    estimate: Estimate | None
    n: int
    n_failed: int
    difference: Estimate | None = None
    n_paired: int = 0
    margin: float | None = None
    verdict: Verdict | None = None
    foreign: str | None = None


def work_out(data: RunData) -> dict[FigureKey, Value]:
    """Every figure of every system, its interval, and its difference to the baseline."""
    by_system = clips_by_system(data)
    resampling = Resampling([item.id for item in data.utterances], data.speakers)
    coverage: dict[FigureKey, tuple[Figure, int, int]] = {}
    foreign: dict[FigureKey, str] = {}
    for metric in data.metrics:
        failed_counts = data.failed_counts.get(metric.name, {})
        taken = {system: [data.readings.get((clip.key, metric.name)) for clip in clips]
                 for system, clips in by_system.items()}  # fmt: skip
        for figure in metric.figures:
            ratios: dict[str, Ratios] = {}  # of one figure at a time: of all they would be large
            for system, clips in by_system.items():
                key = (system, figure.name)
                ratios[system], n, n_failed = _ratios(clips, taken[system], figure, failed_counts)
                coverage[key] = (figure, n, n_failed)
                if signature := data.foreign.get((system, metric.name)):
                    foreign[key] = signature
            _ask(resampling, figure, ratios, data.baseline, foreign)
    resampling.run(**data.statistics)
    return {
        key: _value(key, *covered, resampling, data.margins, foreign.get(key))
        for key, covered in coverage.items()
    } | _opinions(data)


def _ask(
    resampling: Resampling, figure: Figure, ratios: Mapping[str, Ratios], baseline: str,
    foreign: Mapping[FigureKey, str],
) -> None:  # fmt: skip
    """Want one figure of every system, and its difference to the baseline."""
    for system, own in ratios.items():
        key, reference = (system, figure.name), (baseline, figure.name)
        resampling.want(key, own, figure.aggregate, is_share=figure.is_share)
        # Each system's mean up to a bound is over utterances of its own: their difference is no
        # difference of systems.
        alike = foreign.get(key) == foreign.get(reference)
        if system != baseline and figure.aggregate != "mean_up_to" and alike:
            resampling.want_difference(key, own, ratios.get(baseline, {}), figure.aggregate)


def _opinions(data: RunData) -> dict[FigureKey, Value]:
    """What listeners said: scores and differences as they were worked out with raters known."""
    own: dict[str, Opinion] = {}
    found: dict[FigureKey, Value] = {}
    for opinion in data.opinions:
        first = own.setdefault(opinion.figure, opinion)
        foreign = None if first.signature == opinion.signature else opinion.signature
        # The same test in a second run knows the baseline by the name that it has there.
        baseline = (data.baseline if foreign else opinion.also(data.baseline, first)) or ""
        for row in data.systems:
            key = (row.name, opinion.figure)
            if row.name in opinion.scores:
                found[key] = _opinion(opinion, row.name, baseline, foreign)
            else:
                found.setdefault(key, Value(opinion.row.figures[0], None, 0, 0))
    return found


def _opinion(opinion: Opinion, system: str, baseline: str, foreign: str | None) -> Value:
    items = sum(name == system for name, _ in opinion.votes)
    figure = opinion.row.figures[0]
    difference = None if system == baseline or foreign else opinion.difference(system, baseline)
    if difference is None:
        return Value(figure, opinion.scores[system], items, 0, foreign=foreign)
    both = len({utt for name, utt in opinion.votes if name == system}
               & {utt for name, utt in opinion.votes if name == baseline})  # fmt: skip
    judged = opinion.verdict(system, baseline)
    return Value(
        figure, opinion.scores[system], items, 0, difference.shown, both, opinion.margin, judged
    )


def clips_by_system(data: RunData) -> dict[str, list[ClipRow]]:
    """The clips of each system, also of one that has none."""
    found: dict[str, list[ClipRow]] = {row.name: [] for row in data.systems}
    for clip in data.clips:
        found[clip.key.system].append(clip)
    return found


def _value(
    key: FigureKey, figure: Figure, n: int, n_failed: int, resampling: Resampling,
    margins: dict[str, float], foreign: str | None,
) -> Value:  # fmt: skip
    difference, n_paired = resampling.differences.get(key, (None, 0))
    margin, tested = margins.get(figure.name), resampling.tested.get(key)
    judged = None
    if margin is not None and tested is not None:
        judged = verdict(tested, margin, higher_is_better=figure.higher_is_better, shown=difference)
    estimate = resampling.estimates.get(key)
    return Value(figure, estimate, n, n_failed, difference, n_paired, margin, judged, foreign)


def _ratios(
    clips: list[ClipRow],
    taken: Sequence[Reading | str | None],
    figure: Figure,
    failed_counts: dict[str, dict[str, float]],
) -> tuple[Ratios, int, int]:
    """Numerator and denominator by utterance, clips that entered, failed ones that did not.

    Args:
        clips: of one system.
        taken: a reading of each, or why there is none; ``None`` while it is pending.
        figure: of the metric that they are of.
        failed_counts: by utterance, what a clip without a reading counts as.
    """
    repeats: dict[str, list[tuple[float, float]]] = defaultdict(list)
    n_failed = 0
    for clip, reading in zip(clips, taken, strict=True):
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
    if len(pairs) == 1 and aggregate in ("pooled", "mean"):  # most are: no sum to be rounded
        [(above, below)] = pairs
        return (above, below) if aggregate == "pooled" else (above / below, 1.0)
    if aggregate == "pooled":
        return math.fsum(above for above, _ in pairs), math.fsum(below for _, below in pairs)
    rate = math.fsum(above / below for above, below in pairs) / len(pairs)
    if aggregate == "share_above":
        return float(rate > at), 1.0
    if aggregate == "mean_up_to":
        return (rate, 1.0) if rate <= at else (0.0, 0.0)
    return rate, 1.0
