"""P-values of the sign-flip test where there is nothing to find: uniform, over 2,000 trials.

Under the null it is chance which of two systems' readings of an utterance is called the first's, so
labels are swapped at random. All trials are columns of one table and share the random patterns,
which leaves each p as it is and makes 2,000 of them one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from mamtra_eval.statistics.bootstrap import Array
from mamtra_eval.statistics.paired import sign_flip_ps

TRIALS = 2000
UTTERANCES = 200


def _normal(rng: np.random.Generator) -> Array:
    """Differences of scores."""
    return rng.normal(0, 1, (UTTERANCES, TRIALS))


def _skewed(rng: np.random.Generator) -> Array:
    """Differences of word error rates: most utterances without an error, few with many."""
    size = (UTTERANCES, TRIALS)
    words = rng.integers(8, 13, size)
    rates = (rng.random((2, *size)) < 0.3) * rng.gamma(0.8, 0.15, (2, *size))
    one, other = rng.poisson(words * rates) / words
    worse = other + (rng.random(size) < 0.05) * rng.gamma(1.0, 0.5, size)  # the systems differ …
    swapped = rng.random(size) < 0.5  # … but nobody knows which is which
    return np.where(swapped, worse - one, one - worse)


@pytest.mark.parametrize("differences", [_normal, _skewed])
def test_p_is_uniform_where_labels_are_chance(
    differences: Callable[[np.random.Generator], Array],
) -> None:
    table = differences(np.random.default_rng(0))
    found = sign_flip_ps(table, flips=4000, seed=1)
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.04 <= np.mean(found <= 0.05) <= 0.06
