"""How many votes, raters and items a listening test needs before it is built: closed forms.

Votes of one rater, or on one item, share what they have in common, so that more votes of the same
people on the same texts stop to help: of a difference between two systems the variance is ::

    2 s_rs² / raters + 2 s_is² / items + 2 s_e² / votes

with s_rs the raters' own liking of a system, s_is how a system does at an item and s_e the rest of
a vote (all raters and items being heard by both systems, so that severity and difficulty cancel).
The first two terms are a floor that no number of votes lowers. Components come from a pilot
(``crossed.components``).

``large_sample_difference`` and ``votes_needed`` take the normal limit, as published tables do; of
24 raters and 12 items, a difference that it promises with 80 % is found with 63 %.
``smallest_difference`` takes the noncentral t with the degrees of freedom that the interval has
(min(raters, items) - 1), and a level that is corrected for several comparisons. What a particular
design adds to that, ``simulated_power`` tells.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from scipy.special import nctdtrinc, stdtrit

from mamtra_eval.statistics.crossed import Components

NORMAL = NormalDist()


def votes_needed(delta: float, sd: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """Independent votes of each system that show a true difference, this likely; normal limit.

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


def large_sample_difference(
    components: Components, raters: int, items: int, votes_per_system: float, *,
    power: float = 0.8, level: float = 0.95,
) -> float:  # fmt: skip
    """The smallest true difference of a single pair in the limit of many raters and items; points.

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
    return _reach(power, level) * standard_error(components, raters, items, votes_per_system)


def smallest_difference(
    components: Components, raters: int, items: int, votes_per_system: float, *,
    power: float = 0.8, level: float = 0.95, comparisons: int = 1,
) -> float:  # fmt: skip
    """As ``large_sample_difference``, for the interval that is really taken: of Student's t.

    Args:
        components: of a pilot.
        raters: at least two.
        items: at least two.
        votes_per_system: votes of each system.
        power: probability that the interval excludes zero.
        level: of the two-sided interval, before correction.
        comparisons: m, over which Bonferroni corrects (level 1 - α/m); Holm's method then finds the
            pair at least this often. 1 for a single pair by itself.

    Raises:
        ValueError: as there; for fewer than two raters or items, whose interval is not defined.
    """
    if min(raters, items) < 2 or comparisons < 1:
        raise ValueError(
            f"{raters} raters, {items} items, {comparisons} comparisons: need 2, 2 and 1"
        )
    free = min(raters, items) - 1
    edge = stdtrit(free, 1 - (1 - level) / 2 / comparisons)
    error = standard_error(components, raters, items, votes_per_system)
    return float(nctdtrinc(free, 1 - power, edge)) * error


def standard_error(
    components: Components, raters: int, items: int, votes_per_system: float
) -> float:
    """True standard error of a difference, by the formula of the header."""
    if min(raters, items, votes_per_system) < 1:
        raise ValueError(f"{raters} raters, {items} items, {votes_per_system} votes: need 1 each")
    variance = (
        components.rater_system**2 / raters
        + components.item_system**2 / items
        + components.residual**2 / votes_per_system
    )
    return math.sqrt(2 * variance)


def votes_for_preference(share: float, *, power: float = 0.8, level: float = 0.95) -> int:
    """Independent preferences, none tied, that tell a true share from one half, this likely.

    The interval about one half has a vote's deviation of 0.5; the share that is seen has its own,
    √(p (1 - p)). Normal limit.

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
