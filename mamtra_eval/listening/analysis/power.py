"""What a test of this size can show, from the noise that it had.

The components of a vote's noise (``crossed.components``) give the smallest difference between two
systems that such a test would show in 80 % of repetitions, and the floor that more votes from the
same raters on the same items can't lower. ``Need`` says how many raters a smaller one would take,
with the items there are and with more of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import harmonic_mean

import numpy as np

from mamtra_eval.listening.analysis.values import attempt
from mamtra_eval.listening.analysis.votes import Vote, crossed
from mamtra_eval.listening.kinds import Kind
from mamtra_eval.statistics.crossed import Components, components
from mamtra_eval.statistics.listening_power import (
    floor,
    smallest_difference,
    votes_for_preference,
    votes_needed,
)

POWER = 0.8
STEPS = (0.1, 0.2, 0.3, 0.5)
"""Differences asked for, in steps of a five-point scale."""
TIMES_ITEMS = (1, 2, 4)
MOST_RATERS = 1_000_000
SHARES = (0.52, 0.55, 0.6, 0.65)


@dataclass(frozen=True)
class Need:
    """Raters that a true difference takes, by how many items; ``None`` where no number does."""

    difference: float
    raters: dict[int, int | None]
    independent: int


@dataclass(frozen=True)
class Power:
    """Achieved by this test.

    Attributes:
        power: chance of showing ``smallest``, where it is there.
        raters, items: that were had; ``votes`` of a system, harmonic mean.
        smallest: difference between two systems, points.
        floor: the same with votes without end from these raters on these items.
        needs: what smaller differences take, each rater giving as many votes as here.
        preferences: of ab, votes that a share of wins takes if votes were independent.
        reasons: why something is undefined.
    """

    power: float
    raters: int
    items: int
    votes: float
    components: Components | None
    smallest: float | None
    floor: float | None
    needs: tuple[Need, ...]
    preferences: dict[str, int]
    reasons: tuple[str, ...]


def achieved(votes: Sequence[Vote], kind: Kind, level: float) -> Power:
    """Of the votes that count."""
    raters, items = len({vote.rater for vote in votes}), len({vote.item for vote in votes})
    if kind.is_pair:
        why = "not defined for pairs: their intervals say what could be seen"
        shares = {f"{share:g}": votes_for_preference(share, power=POWER, level=level)
                  for share in SHARES} if kind.name == "ab" else {}  # fmt: skip
        return Power(POWER, raters, items, 0.0, None, None, None, (), shares, (why,))
    counts: dict[str, int] = {}
    for vote in votes:
        counts[vote.system] = counts.get(vote.system, 0) + 1
    if len(counts) < 2:
        return Power(POWER, raters, items, 0.0, None, None, None, (), {},
                     ("not defined: fewer than two systems have votes",))  # fmt: skip
    each = float(harmonic_mean(list(counts.values())))
    ratings, labels, texts = crossed(votes)
    systems = np.array([vote.system for vote in votes])
    found, why_not = attempt(lambda: components(ratings, systems, labels, texts))
    if found is None or found.residual == 0:
        reason = why_not or "not defined: the votes have no noise"
        return Power(POWER, raters, items, each, found, None, None, (), {}, (reason,))
    step = (kind.scale.high - kind.scale.low) / 4
    return Power(
        POWER,
        raters,
        items,
        each,
        found,
        smallest_difference(found, raters, items, each, power=POWER, level=level),
        floor(found, raters, items, power=POWER, level=level),
        tuple(_need(found, one * step, raters, items, each, level) for one in STEPS),
        {},
        (),
    )


def _need(
    noise: Components, difference: float, raters: int, items: int, votes: float, level: float
) -> Need:
    share = votes / raters  # of one rater, of one system
    return Need(
        difference,
        {
            times * items: _raters(noise, difference, times * items, share, level)
            for times in TIMES_ITEMS
        },
        votes_needed(difference, noise.residual, power=POWER, level=level),
    )


def _raters(
    noise: Components, difference: float, items: int, share: float, level: float
) -> int | None:
    """The fewest raters who show the difference on so many items, by bisection."""

    def shows(raters: int) -> bool:
        votes = max(1.0, share * raters)
        return (
            smallest_difference(noise, raters, items, votes, power=POWER, level=level) <= difference
        )

    low, high = 1, 2
    while not shows(high):
        low, high = high, high * 2
        if high > MOST_RATERS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if shows(middle) else (middle, high)
    return high
