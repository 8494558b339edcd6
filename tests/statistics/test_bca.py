"""BCa intervals: SciPy's as an independent implementation, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mamtra_eval.statistics import aggregates, bca, bootstrap
from mamtra_eval.statistics.bootstrap import Array


def _draws(columns: Array, seed: int, resamples: int = 4000) -> Array:
    sums = bootstrap.resample(columns, resamples=resamples, seed=seed)
    return bootstrap.divide(sums[:, 0], sums[:, 1])


def _reduce(sums: Array) -> Array:
    return bootstrap.divide(sums[:, 0], sums[:, 1])


@pytest.mark.parametrize("seed", range(3))
def test_ends_are_scipy_s(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.gamma(0.4, 1.0, 80)
    columns = np.stack([values, np.ones_like(values)], axis=1)
    ours = bca.interval(columns, _reduce, _draws(columns, 1, 20_000))
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(7)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


def test_ratios_of_sums_are_resampled_as_such() -> None:
    rng = np.random.default_rng(3)
    words = rng.integers(3, 30, 120).astype(float)
    errors = rng.binomial(words.astype(int), 0.06).astype(float)
    one = aggregates.ratio(errors, words)
    sums = bootstrap.resample(one.columns, resamples=4000)
    found = bca.interval(one.columns, one.reduce, one.reduce(sums))
    assert found.value == errors.sum() / words.sum()
    assert found.low < found.value < found.high


def test_samples_without_spread_and_of_one() -> None:
    same = np.ones((5, 2))
    assert bca.interval(same, _reduce, _draws(same, 0)) == (1.0, 1.0, 1.0)
    assert bca.interval(same[:1], _reduce, _draws(same[:1], 0)) == (1.0, None, None)


def test_bca_covers_skewed_rates_better_than_percentiles() -> None:
    """Gamma-distributed error rates, 60 utterances, as skewed as those of a good system."""
    rng = np.random.default_rng(11)
    shape, trials = 0.5, 400
    hits = {"bca": 0, "percentile": 0}
    for trial in range(trials):
        values = rng.gamma(shape, 1 / shape, 60)  # mean 1
        columns = np.stack([values, np.ones_like(values)], axis=1)
        draws = _draws(columns, trial, 600)
        found = {
            "bca": bca.interval(columns, _reduce, draws),
            "percentile": bootstrap.interval(draws, 60),
        }
        for name, estimate in found.items():
            hits[name] += estimate.low <= 1.0 <= estimate.high
    assert hits["bca"] > hits["percentile"]
    assert hits["bca"] / trials == pytest.approx(0.94, abs=0.03)
