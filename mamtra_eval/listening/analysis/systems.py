"""Systems of a test with one mean each (mos, smos, mushra): their figures and differences.

The headline interval takes raters and items for drawn (``statistics.crossed``). Beside it stand the
interval as if votes were independent, which is what most papers print, that over raters alone, and
the pigeonhole bootstrap as a check. Differences are paired through the raters and items that two
systems share; their p-values are corrected by Holm's method over all pairs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from mamtra_eval.listening.analysis import pairwise as tested_pairs
from mamtra_eval.listening.analysis.margins import Against, against, excludes_zero
from mamtra_eval.listening.analysis.pairwise import Tested
from mamtra_eval.listening.analysis.values import (
    Settings,
    mean,
    signed_ranks,
    why_no_interval,
    with_width,
)
from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.listening.kinds import Scale
from mamtra_eval.statistics import crossed as figures
from mamtra_eval.statistics import paired
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed_resampling import Pigeonhole, pigeonhole, swap_p

APART = 0.02
"""Plain mean and mean of item means are both printed from this difference on, points."""
GOOD = 4.0
BANDS = 5
"""Of a scale with more values than ``MOST_VALUES``, for the distribution."""
MOST_VALUES = 21


@dataclass(frozen=True)
class SystemFigures:
    """One system.

    Attributes:
        what: ``system``, ``reference`` or ``anchor``.
        mean: plain mean of the votes, two-way clustered interval; ``None`` without votes.
        item_mean: mean over items of their means.
        naive, rater_clustered, pigeonhole: the same mean with other intervals.
        good: share of votes from 4 on; of scales from 1 to 5 only.
        distribution: votes by rating, or by band of a long scale, from the lowest.
        letters: stretches of the ranking; systems that share one are not told apart, systems that
            share none may not be either; empty where nothing is compared.
        reasons: why something is undefined.
    """

    name: str
    what: str
    mean: Estimate | None
    item_mean: float | None
    naive: Estimate | None
    rater_clustered: Estimate | None
    pigeonhole: Estimate | None
    median: float | None
    good: float | None
    sd: float | None
    votes: int
    raters: int
    items: int
    distribution: dict[str, int]
    letters: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Mean of ``system`` minus mean of ``other``.

    Attributes:
        against_baseline: whether ``other`` is the baseline.
        estimate: with its two-way clustered interval; ``None`` where one has no votes.
        tested: with the narrower interval of two one-sided tests against the margin.
        pigeonhole: the same by resampling.
        p: of no difference, from the same variance.
        p_holm: corrected for all pairs.
        p_swap: by randomisation.
        p_wilcoxon: signed ranks of item means, the conventional test; it takes raters for fixed.
        raters, items: that have votes of both.
        told_apart: whether ``p_holm`` is below 1 - level.
        told_apart_alone: whether the interval of ``estimate`` excludes zero: of the pair by itself,
            with nothing corrected.
        equivalent: whether the interval of ``tested`` lies within the margin on both sides; of the
            pair by itself, and beside ``told_apart``, not instead of it. ``None`` without a margin
            or an interval.
        against_margin: where it lies (``margins.Against``).
    """

    system: str
    other: str
    against_baseline: bool
    estimate: Estimate | None
    tested: Estimate | None
    pigeonhole: Estimate | None
    p: float | None
    p_holm: float | None
    p_swap: float | None
    p_wilcoxon: float | None
    raters: int
    items: int
    told_apart: bool
    told_apart_alone: bool
    equivalent: bool | None
    against_margin: Against | None
    reasons: tuple[str, ...]


def by_system(votes: Sequence[Vote], names: Mapping[str, str]) -> dict[str, list[Vote]]:
    """Votes of every system of the key, also of those without."""
    found: dict[str, list[Vote]] = {name: [] for name in names}
    for vote in votes:
        found.setdefault(vote.system, []).append(vote)
    return found


def compare(
    votes: Sequence[Vote], names: Mapping[str, str], scale: Scale, settings: Settings
) -> tuple[tuple[SystemFigures, ...], tuple[Difference, ...]]:
    """Figures of every system, in the order of the key, and of every pair of systems."""
    grouped = by_system(votes, names)
    voted = [name for name, own in grouped.items() if own]
    ranking = sorted(voted, key=lambda name: -_mean(grouped[name]))
    pairs = [_turned(one, other, settings.baseline) for one, other in combinations(ranking, 2)]
    checked = Pigeonhole({}, {})
    if voted:
        checked = pigeonhole(
            {name: crossed(grouped[name]) for name in voted}, pairs, level=settings.level,
            resamples=settings.resamples, seed=settings.seed,
        )  # fmt: skip
    differences = tuple(
        _difference(pair, grouped, tested, checked.differences[pair], settings)
        for pair, tested in tested_pairs.differences(grouped, pairs, settings.level).items()
    )
    told = {frozenset((one.system, one.other)): one.told_apart for one in differences}
    letters = paired.tie_groups(ranking, told) if len(ranking) > 1 else {}
    systems = tuple(
        _figures(name, names.get(name, "system"), own, checked.systems.get(name),
                 letters.get(name, ""), scale, settings.level)
        for name, own in grouped.items()
    )  # fmt: skip
    return systems, differences


def bands(scale: Scale) -> list[tuple[str, float, float]]:
    """Name, lowest and (excluded) highest rating of each part of a distribution."""
    if len(scale.values) <= MOST_VALUES:
        half = scale.step / 2
        return [(f"{value:g}", value - half, value + half) for value in scale.values]
    width = (scale.high - scale.low) / BANDS
    ends = [scale.low + place * width for place in range(BANDS + 1)]
    return [
        (f"{low:g}–{high:g}", low, high if high < scale.high else math.inf)
        for low, high in pairwise(ends)
    ]


def distribution(ratings: Sequence[float], scale: Scale) -> dict[str, int]:
    """Number of ratings in each band of the scale."""
    found = Counter(
        next((name for name, low, high in bands(scale) if low <= rating < high), "off scale")
        for rating in ratings
    )
    return {name: found[name] for name, *_ in bands(scale)}


def _figures(
    name: str, what: str, votes: list[Vote], checked: Estimate | None, letters: str, scale: Scale,
    level: float,
) -> SystemFigures:  # fmt: skip
    if not votes:
        none = distribution([], scale)
        return SystemFigures(name, what, None, None, None, None, None, None, None, None, 0, 0, 0,
                             none, "", ("not defined: no votes",))  # fmt: skip
    ratings, raters, items = crossed(votes)
    y = np.asarray(ratings, dtype=np.float64)
    reason = why_no_interval(votes)
    return SystemFigures(
        name,
        what,
        mean(votes, level),
        figures.item_mean(y, items),
        with_width(figures.naive(y, level)),
        with_width(figures.rater_clustered(y, raters, level)),
        with_width(checked) if checked else None,
        float(np.median(y)),
        float(np.mean(y >= GOOD)) if (scale.low, scale.high) == (1.0, 5.0) else None,
        float(y.std(ddof=1)) if len(y) > 1 else None,
        len(y),
        len({vote.rater for vote in votes}),
        len({vote.item for vote in votes}),
        distribution([vote.rating for vote in votes], scale),
        letters,
        (reason,) if reason else (),
    )


def _difference(
    pair: tuple[str, str], grouped: Mapping[str, list[Vote]], tested: Tested, checked: Estimate,
    settings: Settings,
) -> Difference:  # fmt: skip
    one, other = (grouped[name] for name in pair)
    ours, theirs = _item_means(one), _item_means(other)
    # Without blocks: of people and texts at large.
    swapped = swap_p(crossed(one), crossed(other), blocks=False, seed=settings.seed)
    reasons = []
    if tested.estimate.low is None:
        reasons.append(why_no_interval([*one, *other]) or "no interval: differences don't vary")
    if math.isnan(swapped):
        reasons.append("no randomisation: no rater, or no item, has votes of both")
    place = against(tested.tested, settings.margin)
    return Difference(
        *pair,
        pair[1] == settings.baseline,
        tested.estimate,
        tested.tested,
        with_width(checked),
        tested.p,
        tested.p_holm,
        None if math.isnan(swapped) else swapped,
        signed_ranks([ours[item] - theirs[item] for item in ours if item in theirs]),
        len({vote.rater for vote in one} & {vote.rater for vote in other}),
        len({vote.item for vote in one} & {vote.item for vote in other}),
        tested.told_apart,
        excludes_zero(tested.estimate),
        None if place is None else place is Against.EQUIVALENT,
        place,
        tuple(reasons),
    )


def _turned(one: str, other: str, baseline: str | None) -> tuple[str, str]:
    """The better of the two first, the baseline always last."""
    return (other, one) if one == baseline else (one, other)


def _mean(votes: Sequence[Vote]) -> float:
    return float(np.mean([vote.rating for vote in votes]))


def _item_means(votes: Sequence[Vote]) -> dict[str, float]:
    grouped: dict[str, list[float]] = {}
    for vote in votes:
        grouped.setdefault(vote.item, []).append(vote.rating)
    return {item: float(np.mean(ratings)) for item, ratings in grouped.items()}
