"""Who is told apart from whom: systems in order of a figure, with letters for ties.

Every pair of systems is compared over the utterances that both have (sign-flip permutation test of
the mean difference, all pairs with Holm's correction). Systems that share a letter are not told
apart, which is not the same as equal: more utterances may tell them.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.results import Results
from mamtra_eval.statistics.bootstrap import clustered
from mamtra_eval.statistics.paired import holm, sign_flip_ps, tie_groups

Means = dict[str, float]
"""By utterance: the mean of a system's repeats."""


@dataclass(frozen=True)
class Ranking:
    """Systems by one figure.

    Attributes:
        order: names, the best first; systems without a value are left out.
        ranks: by name; one more than the number of systems above that it shares no letter with.
        letters: by name; systems that share one are not told apart.
        pairs: number of comparisons.
        alpha: chance of any false difference among them.
    """

    figure: Figure
    order: tuple[str, ...]
    ranks: dict[str, int]
    letters: dict[str, str]
    pairs: int
    alpha: float


def rank(results: Results, metric: str, figure: Figure) -> Ranking | None:
    """The ranking by a figure that is a mean of utterances; ``None`` for fewer than two systems."""
    means = utterance_means(results, metric, figure)
    values = {
        system.row.name: estimate.value
        for system in results.systems
        if means[system.row.name]
        and (estimate := system.values[figure.name].estimate)
        and system.values[figure.name].foreign is None
    }
    if len(values) < 2 or figure.aggregate != "mean":
        return None
    sign = -1.0 if figure.higher_is_better else 1.0
    order = sorted(values, key=lambda name: sign * values[name])
    pairs = list(combinations(order, 2))
    row = {utterance: index for index, utterance in enumerate(results.utterances)}
    table = np.zeros((len(row), len(pairs)))
    for column, (one, other) in enumerate(pairs):
        for utterance in means[one].keys() & means[other].keys():
            table[row[utterance], column] = means[one][utterance] - means[other][utterance]
    if results.clusters is not None:  # signs are flipped for all that one speaker speaks
        table = clustered(table, np.asarray(results.clusters))
    adjusted = holm(list(sign_flip_ps(table, seed=results.statistics["seed"])))
    alpha = 1.0 - results.level
    differs = {frozenset(pair): bool(p <= alpha) for pair, p in zip(pairs, adjusted, strict=True)}
    letters = tie_groups(order, differs)
    groups = {name: {*re.findall(r"[a-z]\d*", letters[name])} for name in order}
    ranks = {
        name: 1 + sum(not groups[name] & groups[better] for better in order[:place])
        for place, name in enumerate(order)
    }
    return Ranking(figure, tuple(order), ranks, letters, len(pairs), alpha)


def of_headline(results: Results) -> Ranking | None:
    """The ranking by the first figure of leaderboards; ``None`` for fewer than three systems."""
    first = next(((m, f) for m, f in results.figures if f.headline), None)
    ranked = rank(results, first[0].name, first[1]) if first else None
    return ranked if ranked is not None and len(ranked.order) > 2 else None


def utterance_means(results: Results, metric: str, figure: Figure) -> dict[str, Means]:
    """By system its ratio of each utterance, repeats averaged; of clips that have a reading."""
    ratios: dict[str, dict[str, list[float]]] = {s.row.name: {} for s in results.systems}
    for (key, name), reading in results.readings.items():
        if name == metric and isinstance(reading, Reading):
            ratio = figure.ratio(reading)
            if ratio is not None:
                ratios[key.system].setdefault(key.utterance, []).append(ratio)
    return {
        system: {utterance: math.fsum(some) / len(some) for utterance, some in own.items()}
        for system, own in ratios.items()
    }
