"""Differences to one system, utterance by utterance, over the utterances that all systems have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mamtra_eval import ranking
from mamtra_eval.metrics import Figure
from mamtra_eval.results import Results
from mamtra_eval.rows import MetricRow
from mamtra_eval.statistics import closed_form
from mamtra_eval.statistics.bootstrap import Array


class Paired:
    """One figure of several systems.

    Attributes:
        utterances: those that all the systems have, n of them.
        moved: by system, its mean of each utterance's repeats less that of the first system, (n,).
        clusters: the number of each utterance's speaker, where speakers are what is drawn.
    """

    def __init__(
        self, results: Results, metric: MetricRow, figure: Figure, names: Sequence[str]
    ) -> None:
        means = ranking.utterance_means(results, metric.name, figure)
        self.utterances = [u for u in results.utterances if all(u in means[name] for name in names)]
        self._means = {name: means[name] for name in names}
        # A failed clip has no reading here; where it counts in the figure, a test of the rest lies.
        self._whole = figure.failed is None
        self._all = [*results.utterances]
        rows = {name: np.array([means[name][u] for u in self.utterances]) for name in names}
        self.moved = {name: row - rows[names[0]] for name, row in rows.items()}
        self.level = results.level
        numbers = dict(zip(results.utterances, results.clusters or (), strict=False))
        self._numbers = numbers
        self.clusters = [numbers[u] for u in self.utterances] if numbers else None

    def matrix(self, names: Sequence[str]) -> Array:
        """Differences of these systems, shape (n, s)."""
        return np.stack([self.moved[name] for name in names], axis=1)

    def told_apart(self, one: str, other: str) -> bool | None:
        """Whether the interval of the difference between two of them excludes zero.

        Over the utterances that these two have; ``None`` where that can't be tested.
        """
        mine, theirs = self._means.get(one, {}), self._means.get(other, {})
        shared = [u for u in self._all if u in mine and u in theirs]
        if len(shared) < 2 or (not self._whole and len(shared) < len(self._all)):
            return None
        moved = [mine[u] - theirs[u] for u in shared]
        numbers = [self._numbers[u] for u in shared] if self._numbers else None
        found = closed_form.mean(moved, self.level, numbers)
        if found.low is None or found.high is None:
            return None
        return found.low > 0 or found.high < 0
