"""How many votes, raters and items a listening test needs before it is built.

Votes of one rater, or on one item, share what they have in common, so that more votes of the same
people on the same texts stop to help: of a difference between two systems the variance is ::

    2 s_rs² / raters + 2 s_is² / items + 2 s_e² / votes

with s_rs the raters' own liking of a system, s_is how a system does at an item and s_e the rest of
a vote (all raters and items being heard by both systems, so that severity and difficulty cancel).
The first two terms are a ``floor`` that no number of votes lowers. Components come from a pilot
(``crossed.components``). Sizes follow from the normal limit.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from mamtra_eval.statistics.crossed import Components

NORMAL = NormalDist()


def votes_needed(delta: float, sd: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """Independent votes of each system that show a true difference, this likely.

    Args:
        delta: the difference, points.
        sd: standard deviation of a vote; of its residual where raters and items are shared.
        power: probability that the interval excludes zero.
        level: of the two-sided interval.

    Raises:
        ValueError: for a difference of zero, or no positive deviation.
    """
    if delta == 0 or not math.isfinite(delta):
        raise ValueError(f"a difference of {delta} can't be planned for")
    if not sd > 0:
        raise ValueError(f"the standard deviation must be positive, not {sd}")
    return math.ceil(2 * (_reach(power, level) * sd / delta) ** 2)


def smallest_difference(
    components: Components, raters: int, items: int, votes_per_system: float, *,
    power: float = 0.8, level: float = 0.95,
) -> float:  # fmt: skip
    """The smallest true difference between two systems that a test shows, this likely; points.

    Args:
        components: of a pilot; severity and difficulty are not used.
        raters: who each hear both systems.
        items: that both systems speak.
        votes_per_system: votes of each system.
        power: probability that the interval excludes zero; 0.8 at 95 % is 2.80 standard errors.
        level: of the two-sided interval.

    Raises:
        ValueError: for less than one rater, item or vote.
    """
    if min(raters, items, votes_per_system) < 1:
        raise ValueError(f"{raters} raters, {items} items, {votes_per_system} votes: need 1 each")
    variance = (
        components.rater_system**2 / raters
        + components.item_system**2 / items
        + components.residual**2 / votes_per_system
    )
    return _reach(power, level) * math.sqrt(2 * variance)


def floor(
    components: Components, raters: int, items: int, *, power: float = 0.8, level: float = 0.95
) -> float:
    """``smallest_difference`` with votes without end, from these raters on these items."""
    return smallest_difference(components, raters, items, math.inf, power=power, level=level)


def votes_for_preference(share: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """Independent preferences, none tied, that tell a true share from one half, this likely.

    The interval about one half has a vote's deviation of 0.5; the share that is seen has its own,
    √(p (1 - p)).

    Raises:
        ValueError: for a share of 0.5, or none between 0 and 1.
    """
    if not 0 < share < 1 or share == 0.5:
        raise ValueError(f"a share of {share} can't be planned for: above 0, below 1, not 0.5")
    spread = NORMAL.inv_cdf((1 + level) / 2) * 0.5
    spread += NORMAL.inv_cdf(power) * math.sqrt(share * (1 - share))
    return math.ceil((spread / (share - 0.5)) ** 2)


def _reach(power: float, level: float) -> float:
    """Standard errors between zero and a difference that is seen this likely."""
    return NORMAL.inv_cdf((1 + level) / 2) + NORMAL.inv_cdf(power)
