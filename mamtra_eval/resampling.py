"""All intervals of a report from one resampling.

Every figure is a ratio of sums over utterances (see ``statistics.bootstrap``). An utterance that a
system lacks has nothing above and nothing below in its columns, so systems with gaps are resampled
with all others, and a difference is paired draw by draw over the utterances of both.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from mamtra_eval.statistics import bootstrap
from mamtra_eval.statistics.bootstrap import Array, Estimate

Ratios = dict[str, tuple[float, float]]
"""(numerator, denominator) by utterance."""


class Resampling:
    """Collects what is wanted, then works it out at once."""

    def __init__(self, utterances: Sequence[str]) -> None:
        self.estimates: dict[Hashable, Estimate] = {}
        self.differences: dict[Hashable, tuple[Estimate, int]] = {}
        self._row = {utterance: index for index, utterance in enumerate(utterances)}
        self._columns: list[npt.NDArray[np.float64]] = []
        self._wanted: list[tuple[Hashable, int, list[int]]] = []

    def want(self, key: Hashable, ratios: Ratios) -> None:
        """Ask for a figure's interval."""
        if ratios:
            self._wanted.append((key, len(ratios), [self._add(ratios)]))

    def want_difference(self, key: Hashable, mine: Ratios, theirs: Ratios) -> None:
        """Ask for the interval of mine − theirs over the utterances of both."""
        shared = mine.keys() & theirs.keys()
        if shared:
            sides = [self._add({utt: side[utt] for utt in shared}) for side in (mine, theirs)]
            self._wanted.append((key, len(shared), sides))

    def run(self, *, level: float, resamples: int, seed: int) -> None:
        """Work out everything asked for."""
        if not self._columns:
            return
        table = np.concatenate(self._columns, axis=1)
        sums = bootstrap.resample(table, resamples=resamples, seed=seed)
        draws = bootstrap.divide(sums[:, 0::2], sums[:, 1::2])
        for key, n, places in self._wanted:
            if len(places) == 1:
                self.estimates[key] = bootstrap.interval(draws[:, places[0]], n, level)
            else:
                delta: Array = draws[:, places[0]] - draws[:, places[1]]
                self.differences[key] = (bootstrap.interval(delta, n, level), n)

    def _add(self, ratios: Ratios) -> int:
        columns = np.zeros((len(self._row), 2))
        rows = [self._row[utterance] for utterance in ratios]
        columns[rows] = list(ratios.values())
        self._columns.append(columns)
        return len(self._columns) - 1
