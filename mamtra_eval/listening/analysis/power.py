"""What a test of this size can show, from the noise that it had.

Tests with the very votes of this one (who heard what by which system) are simulated with normal
effects of the size of its components (``crossed.components``), which gives the smallest difference
that 80 % of such tests find (``statistics.simulated_power``): of a single pair by itself, and after
the correction for all pairs; and the floor that more votes from the same raters on the same items
can't lower. ``Need`` says how many raters a smaller one would take, with the items there are and
with more of them: by the closed form (``listening_power.smallest_difference``), times what the
simulation gave above it for this test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import harmonic_mean

import numpy as np

from mamtra_eval.listening.analysis.values import attempt
from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.statistics.crossed import Components, components
from mamtra_eval.statistics.listening_power import (
    smallest_difference,
    votes_for_preference,
    votes_needed,
)
from mamtra_eval.statistics.moments import Codes, codes
from mamtra_eval.statistics.simulated_power import Compared, draw, smallest_found, without_end

POWER = 0.8
STEPS = (0.1, 0.2, 0.3, 0.5)
"""Differences asked for, in steps of a five-point scale."""
TIMES_ITEMS = (1, 2, 4)
MOST_RATERS = 1_000_000
SHARES = (0.52, 0.55, 0.6, 0.65)


@dataclass(frozen=True)
class Need:
    """Raters that a true difference of a single pair takes, by how many items.

    ``None`` where no number does; ``independent`` is votes a system, were they independent.
    """

    difference: float
    raters: dict[int, int | None]
    independent: int


@dataclass(frozen=True)
class Power:
    """Achieved by this test.

    Attributes:
        power: chance of finding ``smallest``, where it is there.
        raters, items: that were had; ``votes`` of a system, harmonic mean.
        smallest: difference between two systems, points, by itself: its interval excludes zero.
        smallest_corrected: the same after Bonferroni's correction over all ``comparisons``, below
            which Holm's never falls.
        comparisons: pairs of systems.
        floor: ``smallest`` with votes without end from these raters on these items.
        needs: what smaller differences take, each rater giving as many votes as here.
        preferences: of ab, votes that a share of wins takes if votes were independent.
        reasons: why something is undefined.
    """

    power: float
    raters: int
    items: int
    votes: float
    components: Components | None = None
    smallest: float | None = None
    smallest_corrected: float | None = None
    comparisons: int = 0
    floor: float | None = None
    needs: tuple[Need, ...] = ()
    preferences: dict[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


def achieved(votes: Sequence[Vote], kind: Kind, level: float) -> Power:
    """Of the votes that count."""
    raters, items = len({vote.rater for vote in votes}), len({vote.item for vote in votes})
    if kind.is_pair:
        why = "not defined for pairs: their intervals say what could be seen"
        shares = {f"{share:g}": votes_for_preference(share, power=POWER, level=level)
                  for share in SHARES} if kind.name == "ab" else {}  # fmt: skip
        return Power(POWER, raters, items, 0.0, preferences=shares, reasons=(why,))
    counts = Counter(vote.system for vote in votes)
    if len(counts) < 2:
        why = "not defined: fewer than two systems have votes"
        return Power(POWER, raters, items, 0.0, reasons=(why,))
    each = float(harmonic_mean(list(counts.values())))
    ratings, labels, texts = crossed(votes)
    systems = np.array([vote.system for vote in votes])
    found, why_not = attempt(lambda: components(ratings, systems, labels, texts))
    compared = _compared(codes(labels)[1], codes(texts)[1], codes(systems)[1])
    reason = None
    if found is None or found.residual == 0:
        reason = why_not or "not defined: the votes have no noise"
    draws, why_not = attempt(lambda: draw(compared, found) if found and not reason else None)
    if found is None or draws is None:
        return Power(POWER, raters, items, each, found, reasons=(reason or why_not,))
    smallest = smallest_found(draws, power=POWER, level=level)
    formula = smallest_difference(found, raters, items, each, power=POWER, level=level)
    sizes = _Sizes(found, raters, items, each, level, smallest / formula)
    step = (kind.scale.high - kind.scale.low) / 4
    return Power(
        POWER,
        raters,
        items,
        each,
        found,
        smallest,
        smallest_found(draws, power=POWER, level=level, comparisons=len(compared)),
        len(compared),
        smallest_found(without_end(found, raters, items), power=POWER, level=level),
        tuple(sizes.need(one * step) for one in STEPS),
    )


def _compared(raters: Codes, items: Codes, systems: Codes) -> list[Compared]:
    """Every pair of systems with the votes of both."""
    found = []
    for one, other in combinations(range(int(systems.max()) + 1), 2):
        of = (systems == one) | (systems == other)
        side = (systems[of] == other).astype(np.int64)
        found.append(Compared(raters[of], items[of], side, pair=False))
    return found


@dataclass(frozen=True)
class _Sizes:
    """What this test had, for asking what others would take.

    Attributes:
        excess: smallest difference of this test as simulated, by that of the closed form.
    """

    noise: Components
    raters: int
    items: int
    votes: float
    level: float
    excess: float

    def need(self, difference: float) -> Need:
        """Of a difference, points."""
        return Need(
            difference,
            {
                times * self.items: self._raters(difference, times * self.items)
                for times in TIMES_ITEMS
            },
            votes_needed(difference, self.noise.residual, power=POWER, level=self.level),
        )

    def _shows(self, difference: float, raters: int, items: int) -> bool:
        votes = max(1.0, self.votes / self.raters * raters)
        smallest = self.excess * smallest_difference(
            self.noise, raters, items, votes, power=POWER, level=self.level
        )
        return smallest <= difference

    def _raters(self, difference: float, items: int) -> int | None:
        """The fewest raters who show the difference on so many items, by bisection."""
        if self._shows(difference, 2, items):
            return 2
        low, high = 2, 4
        while not self._shows(difference, high, items):
            low, high = high, high * 2
            if high > MOST_RATERS:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            if self._shows(difference, middle, items):
                high = middle
            else:
                low = middle
        return high
