"""What each variant of a family saves against what it loses.

A variant is a system that knows its footprint, a decoder with Transformer and Mamba-2 layers. What
is saved (cache and FLOP by closed form at a context of one's choice, the real-time factor as the
run's workers saw it; memory and time per token where the run has a profile, at the measured context
nearest to that) is told as a share of the baseline's; what is lost is the paired difference to
the baseline in each figure of quality, with its interval. A variant is dominated where another
saves as much and loses no more, one of the two strictly; among the others runs the Pareto front.
That goes by the values: whether the losses of the two are told apart is told beside it; of what
listeners said, over all pairs of their test (``opinions``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mamtra_eval.metrics import Figure
from mamtra_eval.paired import Paired
from mamtra_eval.results import Results, SystemResult
from mamtra_eval.rows import MetricRow
from mamtra_eval.savings import Saving, of_family
from mamtra_eval.statistics import region, trend
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.region import Ellipse


@dataclass(frozen=True)
class Point:
    """One variant in one panel; ``loss`` is signed as the figure's difference is.

    ``told_apart`` is of the variant and the one that dominates it; ``None`` if not tested.
    """

    system: str
    saved: float
    loss: Estimate
    dominated_by: str | None
    told_apart: bool | None


@dataclass(frozen=True)
class Panel:
    """One saving against one figure.

    Attributes:
        points: the variants; the baseline is at (0, 0).
        front: names on the Pareto front, from the least saved to the most.
        line: (saved, fitted difference) at both ends of the straight line, or nothing.
    """

    figure: Figure
    points: tuple[Point, ...]
    front: tuple[str, ...]
    line: tuple[tuple[float, Estimate], ...]


@dataclass(frozen=True)
class Trend:
    """How a figure moves from the fewest Mamba-2 layers to the most that were tried.

    Attributes:
        least, share: of Mamba-2 layers, the fewest and the most that were tried.
        linear: how far the straight line goes.
        isotonic: how far the monotone fit goes.
        p: of a monotone fit that goes as far, if all variants were alike.
        n: utterances that all variants have.
    """

    figure: Figure
    least: float
    share: float
    linear: Estimate
    isotonic: Estimate
    p: float
    n: int


@dataclass(frozen=True)
class Tradeoff:
    """A family's savings and losses.

    Attributes:
        panels: by saving.
        together: by variant, the joint region of its differences in ``plane``.
    """

    baseline: str
    context: int
    variants: tuple[SystemResult, ...]
    losses: tuple[Figure, ...]
    savings: tuple[Saving, ...]
    panels: dict[str, tuple[Panel, ...]]
    trends: tuple[Trend, ...]
    plane: tuple[Figure, Figure] | None
    together: dict[str, Ellipse]


def build(results: Results, context: int) -> Tradeoff | None:
    """The trade-off of a run; ``None`` without a baseline and a variant that know their footprint.

    Args:
        results: of the run.
        context: tokens at which cache and FLOP are told.
    """
    family = [system for system in results.systems if system.footprint is not None]
    baseline = next((system for system in family if system.is_baseline), None)
    variants = [system for system in family if not system.is_baseline]
    if baseline is None or not variants:
        return None
    losses = _losses(results, variants)
    savings = of_family(results, baseline, variants, context)
    spoken = [variant for variant in variants if variant.n_done]  # one that failed has no trend
    names = [system.row.name for system in (baseline, *spoken)]
    tables = {figure.name: Paired(results, metric, figure, names) for metric, figure in losses}
    measured = [figure for _, figure in losses if figure.name not in results.opinions]
    together, plane = _together(results, measured, tables, spoken)
    return Tradeoff(
        baseline=baseline.row.name,
        context=context,
        variants=tuple(variants),
        losses=tuple(figure for _, figure in losses),
        savings=tuple(savings),
        panels={
            saving.key: tuple(
                _panel(results, saving, figure, tables[figure.name], baseline.row.name, variants)
                for _, figure in losses
            )
            for saving in savings
        },
        trends=tuple(
            found
            for _, figure in losses
            if figure.name not in results.opinions  # a trend over sentences knows no raters
            and (found := _trend(results, figure, tables[figure.name], [baseline, *spoken]))
        ),
        plane=plane,
        together=together,
    )


def _losses(results: Results, variants: Sequence[SystemResult]) -> list[tuple[MetricRow, Figure]]:
    """The first mean that each metric's headline has, where any variant differs at all."""
    found = []
    for metric in results.metrics:
        figure = next((f for f in metric.figures if f.headline and f.aggregate == "mean"), None)
        if figure is None:
            continue
        moved = [variant.values[figure.name].difference for variant in variants]
        if any(one is not None and one[:] != (0.0, 0.0, 0.0) for one in moved):
            found.append((metric, figure))
    return found


def _panel(
    results: Results,
    saving: Saving,
    figure: Figure,
    table: Paired,
    baseline: str,
    variants: Sequence[SystemResult],
) -> Panel:
    losses: dict[str, Estimate] = {}
    for variant in variants:
        loss = variant.values[figure.name].difference
        if loss is not None and variant.row.name in saving.saved:
            losses[variant.row.name] = loss
    heard = results.opinions.get(figure.name)
    told_apart = heard.told_apart if heard else table.told_apart
    sign = -1.0 if figure.higher_is_better else 1.0
    places = {name: (saving.saved[name], sign * loss.value) for name, loss in losses.items()}
    places[baseline] = (0.0, 0.0)  # it can dominate, too
    points = []
    for name, loss in losses.items():
        better = _dominating(name, places)
        apart = told_apart(name, better) if better is not None else None
        points.append(Point(name, saving.saved[name], loss, better, apart))
    front = [name for name in places if _dominating(name, places) is None]
    front.sort(key=lambda name: places[name])
    return Panel(
        figure,
        tuple(points),
        tuple(front),
        _line(saving, table, [name for name in places if name in table.moved]),
    )


def _dominating(name: str, places: dict[str, tuple[float, float]]) -> str | None:
    """Of the systems that save as much and lose no more, one strictly, the one that loses least."""
    saved, lost = places[name]
    better = [
        other
        for other, (more, less) in places.items()
        if more >= saved and less <= lost and (more > saved or less < lost)
    ]
    return min(better, key=lambda other: (places[other][1], -places[other][0]), default=None)


def _line(
    saving: Saving, table: Paired, names: Sequence[str]
) -> tuple[tuple[float, Estimate], ...]:
    """The straight line of the losses over what is saved, where there are three places or more."""
    x = [saving.saved[name] for name in names]
    if len({*x}) < 3 or len(table.utterances) < 2:
        return ()
    ends = (min(x), max(x))
    found = trend.fitted(table.matrix(names), x, ends, clusters=table.clusters)
    return tuple(zip(ends, found, strict=True))


def _trend(
    results: Results, figure: Figure, table: Paired, family: Sequence[SystemResult]
) -> Trend | None:
    shares = [system.footprint.mamba_share for system in family if system.footprint]
    if len({*shares}) < 3 or len(table.utterances) < 2:
        return None
    values = table.matrix([system.row.name for system in family])
    reach = max(shares) - min(shares)
    settings = {"resamples": results.statistics["resamples"], "seed": results.statistics["seed"]}
    slope = trend.linear(values, shares, level=results.level, clusters=table.clusters, **settings)
    rise = trend.isotonic(
        values, shares, rising=not figure.higher_is_better, level=results.level,
        clusters=table.clusters, **settings,
    )  # fmt: skip
    p = trend.isotonic_p(
        values, shares, rising=not figure.higher_is_better, seed=settings["seed"],
        clusters=table.clusters,
    )  # fmt: skip
    return Trend(
        figure, min(shares), max(shares), _times(slope, reach), rise, p, len(table.utterances)
    )


def _times(estimate: Estimate, factor: float) -> Estimate:
    value, *ends = estimate
    return Estimate(value * factor, *(None if end is None else end * factor for end in ends))


def _together(
    results: Results,
    figures: Sequence[Figure],
    tables: dict[str, Paired],
    variants: Sequence[SystemResult],
) -> tuple[dict[str, Ellipse], tuple[Figure, Figure] | None]:
    """Joint regions of the differences in the first two figures."""
    if len(figures) < 2:
        return {}, None
    one, two = (tables[figure.name] for figure in figures[:2])
    if one.utterances != two.utterances:
        return {}, None
    found = {}
    for variant in variants:
        name = variant.row.name
        both = np.stack([one.moved[name], two.moved[name]], axis=1)
        ellipse = region.of_means(both, results.level, one.clusters)
        if ellipse is not None:
            found[name] = ellipse
    return found, (figures[0], figures[1])
