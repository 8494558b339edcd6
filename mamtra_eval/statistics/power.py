"""How many utterances, and how many repeats of each, a question needs.

A paired difference varies between utterances (one system is worse at some texts than at others) and
within them (another seed, another reading of the same text). Repeats lessen only the second:
the mean of n utterances with r repeats has the variance (between + within / r) / n. Sizes follow
from the normal limit; rates of errors are skewed, so that small samples need a little more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

NORMAL = NormalDist()


class Spread(NamedTuple):
    """Variances of a paired difference.

    Attributes:
        between: of the utterances' own differences.
        within: of one repeat of one utterance about it; 0 where nothing was repeated, and
            ``between`` then holds both.
    """

    between: float
    within: float

    def of_mean(self, utterances: float, repeats: int = 1) -> float:
        """Standard error of the mean difference."""
        return math.sqrt((self.between + self.within / repeats) / utterances)


def spread(differences: Sequence[npt.ArrayLike]) -> Spread:
    """Variances from differences, one array of repeats an utterance (analysis of variance).

    Raises:
        ValueError: for fewer than two utterances.
    """
    groups = [np.asarray(one, dtype=np.float64).ravel() for one in differences]
    groups = [one for one in groups if len(one)]
    if len(groups) < 2:
        raise ValueError("need differences of at least two utterances")
    sizes = np.array([len(one) for one in groups], dtype=np.float64)
    means = np.array([one.mean() for one in groups])
    free = float(np.sum(sizes - 1))
    inner = sum(float(np.sum((one - one.mean()) ** 2)) for one in groups)
    within = inner / free if free > 0 else 0.0
    total = float(np.var(means, ddof=1))
    return Spread(max(0.0, total - within * float(np.mean(1.0 / sizes))), within)


def to_see(
    difference: float, spread: Spread, *, repeats: int = 1, level: float = 0.95, power: float = 0.9
) -> int:
    """Utterances at which the interval of a true difference excludes zero, this likely."""
    if difference == 0:
        raise ValueError("a difference of zero is never seen")
    reach = NORMAL.inv_cdf((1 + level) / 2) + NORMAL.inv_cdf(power)
    return _enough(spread, repeats, reach / abs(difference))


def to_exclude(
    margin: float, loss: float, spread: Spread, *, repeats: int = 1, level: float = 0.9,
    power: float = 0.9,
) -> int:  # fmt: skip
    """Utterances at which a loss beyond the margin is excluded (non-inferiority), this likely.

    Args:
        margin: largest loss that is allowed, positive.
        loss: the true one, below the margin (negative for a gain).
        spread: of the paired difference.
        repeats: of each utterance.
        level: of the two-sided interval that the verdict reads; 0.9 tests at 5 %.
        power: probability of the verdict.
    """
    if loss >= margin:
        raise ValueError(f"a loss of {loss} is not below the margin {margin}")
    reach = NORMAL.inv_cdf((1 + level) / 2) + NORMAL.inv_cdf(power)
    return _enough(spread, repeats, reach / (margin - loss))


def smallest(
    utterances: int, spread: Spread, *, repeats: int = 1, level: float = 0.95, power: float = 0.9
) -> float:
    """The smallest true difference that so many utterances show, this likely."""
    reach = NORMAL.inv_cdf((1 + level) / 2) + NORMAL.inv_cdf(power)
    return reach * spread.of_mean(utterances, repeats)


def _enough(spread: Spread, repeats: int, per_error: float) -> int:
    return max(2, math.ceil((spread.of_mean(1, repeats) * per_error) ** 2))
