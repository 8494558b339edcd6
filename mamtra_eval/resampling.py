"""All intervals of a report from one resampling.

Every figure is a function of sums over utterances (``statistics.aggregates``). An utterance that a
system lacks has nothing in its columns, so systems with gaps are resampled with all others, and a
difference is paired draw by draw over the utterances of both.

What is drawn is the utterance; or the speaker with all that is spoken in that voice, where the test
set declares speakers and there are enough of them (``unit_of``): utterances of one voice are alike,
and taken for independent they make intervals too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np

from mamtra_eval.statistics import aggregates, bca, bootstrap, closed_form
from mamtra_eval.statistics.aggregates import Aggregate
from mamtra_eval.statistics.bootstrap import Array, Estimate

Ratios = dict[str, tuple[float, float]]
"""(numerator, denominator) by utterance."""


Making = Callable[[Array, Array], Aggregate]
"""An aggregate of numerators and denominators, each (n,); both are 0 where there is nothing."""
QUANTILES = {"median": 0.5, "p95": 0.95, "max": 1.0}
METHODS = {
    "percentile": "percentile bootstrap",
    "bca": "BCa bootstrap",
    "closed-form": "closed form (Student's t, ratios linearised)",
}
"""Ways to an interval, as people call them."""
UNITS = ("auto", "utterance", "speaker")
MIN_SPEAKERS = 20
"""Fewest speakers to be drawn from: of fewer, resamples are too much alike to say how sure one
is."""


def making(aggregate: str) -> Making:
    """How a figure's ``aggregate`` is worked out."""
    if aggregate in QUANTILES:
        q = QUANTILES[aggregate]
        return lambda values, present: aggregates.quantile(values, present, q)
    return aggregates.deviation if aggregate == "sd" else aggregates.ratio


def unit_of(unit: str, speakers: Mapping[str, str]) -> str:
    """What is drawn: for ``auto``, speakers where the set declares enough of them."""
    if unit != "auto":
        return unit
    return "speaker" if len({*speakers.values()}) >= MIN_SPEAKERS else "utterance"


def told(settings: Mapping[str, Any], speakers: Mapping[str, str]) -> str:
    """How intervals are made, in one line."""
    method, asked = settings.get("method", "percentile"), settings.get("unit", "auto")
    count = len({*speakers.values()})
    unit = f"{count} speakers" if unit_of(asked, speakers) == "speaker" else "utterances"
    line = f"{100 * settings['level']:g}% {METHODS[method]} over {unit}"
    if method != "closed-form":
        line += f", {settings['resamples']} resamples, seed {settings['seed']}"
    if count and unit == "utterances":
        plural = "s" if count > 1 else ""
        line += f"; they hold for the set's {count} speaker{plural}, not for others"
    return line


def clusters(unit: str, utterances: Sequence[str], speakers: Mapping[str, str]) -> list[int] | None:
    """The speaker's number of each utterance, where speakers are drawn; else ``None``."""
    if unit_of(unit, speakers) != "speaker":
        return None
    numbers: dict[str, int] = {}
    return [numbers.setdefault(speakers[utterance], len(numbers)) for utterance in utterances]


class Resampling:
    """Collects what is wanted, then works it out at once."""

    def __init__(
        self, utterances: Sequence[str], speakers: Mapping[str, str] | None = None
    ) -> None:
        self.estimates: dict[Hashable, Estimate] = {}
        self.differences: dict[Hashable, tuple[Estimate, int]] = {}
        self.tested: dict[Hashable, Estimate] = {}
        """Differences again, with the interval that two one-sided tests read: at 95 %, of 90 %."""
        self._utterances, self._speakers = list(utterances), dict(speakers or {})
        self._row = {utterance: index for index, utterance in enumerate(utterances)}
        self._blocks: dict[bytes, Array] = {}
        self._asked: list[tuple[bytes, Aggregate]] = []
        self._wanted: list[tuple[Hashable, int, list[int]]] = []
        self._shares: set[Hashable] = set()

    def want(
        self, key: Hashable, ratios: Ratios, aggregate: str = "mean", *, is_share: bool = False
    ) -> None:
        """Ask for a figure's interval; of a share of clips it has a width also at 0 and 1."""
        if ratios:
            self._shares.update([key] if is_share else [])
            n = sum(below > 0 for _, below in ratios.values())
            self._wanted.append((key, n, [self._ask(ratios, aggregate)]))

    def want_difference(
        self, key: Hashable, mine: Ratios, theirs: Ratios, aggregate: str = "mean"
    ) -> None:
        """Ask for the interval of mine − theirs over the utterances of both."""
        shared = mine.keys() & theirs.keys()
        if shared:
            sides = [
                self._ask(
                    side if len(side) == len(shared) else
                    {utt: side[utt] for utt in side if utt in shared}, aggregate
                )
                for side in (mine, theirs)
            ]  # fmt: skip
            self._wanted.append((key, len(shared), sides))

    def run(
        self, *, level: float, resamples: int, seed: int, method: str = "percentile",
        unit: str = "auto",
    ) -> None:  # fmt: skip
        """Work out everything asked for, by one of ``METHODS`` and ``UNITS``."""
        if not self._asked:
            return
        drawn = clusters(unit, self._utterances, self._speakers)
        if drawn is not None:
            self._cluster(np.asarray(drawn))
        sums = bootstrap.resample_blocks([*self._blocks.values()], resamples, seed)
        parts = dict(zip(self._blocks, sums, strict=True))
        draws = [
            one.reduce(parts[block] if one.resamples else parts[block][:1])
            for block, one in self._asked
        ]
        for key, n, places in self._wanted:
            found = draws[places[0]] if len(places) == 1 else draws[places[0]] - draws[places[1]]
            if np.isnan(found[0]):  # the spread of one utterance, the mean of none
                continue
            if len(places) == 1:
                estimate = self._interval(method, found, places, level)
                if key in self._shares and estimate.value in (0.0, 1.0):
                    estimate = self._share(estimate.value, places[0], level)
                self.estimates[key] = estimate
            else:
                self.differences[key] = self._interval(method, found, places, level), n
                tests = max(0.0, 2 * level - 1)
                self.tested[key] = self._interval(method, found, places, tests)

    def _cluster(self, drawn: Array) -> None:
        """From a row an utterance to a row a speaker."""
        self._blocks = {
            key: bootstrap.clustered(block, drawn) for key, block in self._blocks.items()
        }
        self._asked = [(key, one._replace(columns=self._blocks[key])) for key, one in self._asked]

    def _interval(self, method: str, draws: Array, places: list[int], level: float) -> Estimate:
        sides = [self._asked[place][1] for place in places]
        there = np.logical_or.reduce([side.columns.any(axis=1) for side in sides])
        closed = method == "closed-form" and all(side.linear for side in sides)
        if not closed and (method != "bca" or len(draws) == 1):
            # of order statistics there is no closed form
            return bootstrap.interval(draws, int(there.sum()), level)
        columns = np.concatenate([side.columns[there] for side in sides], axis=1, dtype=np.float64)
        if closed:
            return _closed(columns, level)
        end = sides[0].columns.shape[1]

        def reduce(sums: Array) -> Array:
            value = sides[0].reduce(sums[:, :end])
            return value if len(sides) == 1 else value - sides[1].reduce(sums[:, end:])

        return bca.interval(columns, reduce, draws, level)

    def _share(self, value: float, place: int, level: float) -> Estimate:
        """Of a share that all units agree on, which no resample differs from: Wilson's interval."""
        n = int(self._asked[place][1].columns.any(axis=1).sum())
        if n < 2:
            return Estimate(value, None, None)
        return closed_form.share(round(value * n), n, level)

    def _ask(self, ratios: Ratios, aggregate: str) -> int:
        columns = np.zeros((len(self._row), 2))
        rows = np.fromiter(map(self._row.__getitem__, ratios), np.intp, len(ratios))
        flat = chain.from_iterable(ratios.values())
        columns[rows] = np.fromiter(flat, np.float64, 2 * len(ratios)).reshape(-1, 2)
        one = making(aggregate)(columns[:, 0], columns[:, 1])
        # Figures of the same readings share their columns; without gaps, so do differences.
        block = blake2b(one.columns.tobytes()).digest()
        columns = self._blocks.setdefault(block, one.columns)
        self._asked.append((block, one._replace(columns=columns)))
        return len(self._asked) - 1


def _closed(columns: Array, level: float) -> Estimate:
    """Of one ratio, (n, 2), or of the difference of two, (n, 4)."""
    sides = columns.T
    if len(sides) == 2:
        return closed_form.ratio(sides[0], sides[1], level)
    return closed_form.difference(sides[0], sides[1], sides[2], sides[3], level)
