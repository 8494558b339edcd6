"""All intervals of a report from one resampling.

Every figure is a function of sums over utterances (``statistics.aggregates``). An utterance that a
system lacks has nothing in its columns, so systems with gaps are resampled with all others, and a
difference is paired draw by draw over the utterances of both.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from hashlib import blake2b

import numpy as np

from mamtra_eval.statistics import aggregates, bca, bootstrap
from mamtra_eval.statistics.aggregates import Aggregate
from mamtra_eval.statistics.bootstrap import Array, Estimate

Ratios = dict[str, tuple[float, float]]
"""(numerator, denominator) by utterance."""


Making = Callable[[Array, Array], Aggregate]
"""An aggregate of numerators and denominators, each (n,); both are 0 where there is nothing."""
QUANTILES = {"median": 0.5, "p95": 0.95, "max": 1.0}


def making(aggregate: str) -> Making:
    """How a figure's ``aggregate`` is worked out."""
    if aggregate in QUANTILES:
        q = QUANTILES[aggregate]
        return lambda values, present: aggregates.quantile(values, present, q)
    return aggregates.deviation if aggregate == "sd" else aggregates.ratio


class Resampling:
    """Collects what is wanted, then works it out at once."""

    def __init__(self, utterances: Sequence[str]) -> None:
        self.estimates: dict[Hashable, Estimate] = {}
        self.differences: dict[Hashable, tuple[Estimate, int]] = {}
        self.tested: dict[Hashable, Estimate] = {}
        """Differences again, with the interval that two one-sided tests read: at 95 %, of 90 %."""
        self._row = {utterance: index for index, utterance in enumerate(utterances)}
        self._blocks: dict[bytes, Array] = {}
        self._asked: list[tuple[bytes, Aggregate]] = []
        self._wanted: list[tuple[Hashable, int, list[int]]] = []

    def want(self, key: Hashable, ratios: Ratios, aggregate: str = "mean") -> None:
        """Ask for a figure's interval."""
        if ratios:
            n = sum(below > 0 for _, below in ratios.values())
            self._wanted.append((key, n, [self._ask(ratios, aggregate)]))

    def want_difference(
        self, key: Hashable, mine: Ratios, theirs: Ratios, aggregate: str = "mean"
    ) -> None:
        """Ask for the interval of mine − theirs over the utterances of both."""
        shared = mine.keys() & theirs.keys()
        if shared:
            sides = [
                self._ask({utt: side[utt] for utt in side if utt in shared}, aggregate)
                for side in (mine, theirs)
            ]
            self._wanted.append((key, len(shared), sides))

    def run(self, *, level: float, resamples: int, seed: int, method: str = "percentile") -> None:
        """Work out everything asked for; ``method`` is ``percentile`` or ``bca``."""
        if not self._asked:
            return
        table = np.concatenate([*self._blocks.values()], axis=1)
        sums = bootstrap.resample(table, resamples=resamples, seed=seed)
        ends = np.cumsum([block.shape[1] for block in self._blocks.values()])[:-1]
        parts = dict(zip(self._blocks, np.split(sums, ends, axis=1), strict=True))
        draws = [
            one.reduce(parts[block] if one.resamples else parts[block][:1])
            for block, one in self._asked
        ]
        for key, n, places in self._wanted:
            found = draws[places[0]] if len(places) == 1 else draws[places[0]] - draws[places[1]]
            if np.isnan(found[0]):  # the spread of one utterance, the mean of none
                continue
            if len(places) == 1:
                self.estimates[key] = self._interval(method, found, n, places, level)
            else:
                self.differences[key] = self._interval(method, found, n, places, level), n
                tests = max(0.0, 2 * level - 1)
                self.tested[key] = self._interval(method, found, n, places, tests)

    def _interval(
        self, method: str, draws: Array, n: int, places: list[int], level: float
    ) -> Estimate:
        if method == "percentile":
            return bootstrap.interval(draws, n, level)
        sides = [self._asked[place][1] for place in places]
        columns = np.concatenate([side.columns for side in sides], axis=1)
        end = sides[0].columns.shape[1]

        def reduce(sums: Array) -> Array:
            value = sides[0].reduce(sums[:, :end])
            return value if len(sides) == 1 else value - sides[1].reduce(sums[:, end:])

        return bca.interval(columns[columns.any(axis=1)], reduce, draws, level)

    def _ask(self, ratios: Ratios, aggregate: str) -> int:
        columns = np.zeros((len(self._row), 2))
        columns[[self._row[utterance] for utterance in ratios]] = list(ratios.values())
        one = making(aggregate)(columns[:, 0], columns[:, 1])
        # Figures of the same readings share their columns; without gaps, so do differences.
        block = blake2b(one.columns.tobytes()).digest()
        self._blocks.setdefault(block, one.columns)
        self._asked.append((block, one))
        return len(self._asked) - 1
