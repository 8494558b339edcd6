from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.statistics import bootstrap


def test_agrees_with_scipy_on_the_mean() -> None:
    values = np.random.default_rng(1).gamma(0.5, 0.1, size=200)
    ours = bootstrap.ratio(values, seed=3)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile",
        rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=0.001)
    assert ours.high == pytest.approx(theirs.high, abs=0.001)


def test_agrees_with_scipy_on_a_ratio_of_sums() -> None:
    rng = np.random.default_rng(2)
    words = rng.integers(4, 15, size=150)
    errors = rng.binomial(words, 0.08)
    ours = bootstrap.ratio(errors, words, seed=5)
    theirs = scipy.stats.bootstrap(
        (errors, words), lambda e, w, axis: e.sum(axis) / w.sum(axis), paired=True,
        n_resamples=20000, method="percentile", vectorized=True, rng=np.random.default_rng(6),
    ).confidence_interval  # fmt: skip
    assert ours.value == pytest.approx(errors.sum() / words.sum())
    assert ours.low == pytest.approx(theirs.low, abs=0.002)
    assert ours.high == pytest.approx(theirs.high, abs=0.002)


def test_a_95_percent_interval_covers_nearly_95_percent() -> None:
    # Percentile intervals of a mean of 100 normal values cover 94.4 % (t quantiles by normal ones).
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(1000):
        low, high = bootstrap.ratio(rng.normal(size=100), resamples=500)[1:]
        hits += low <= 0.0 <= high
    assert 0.92 <= hits / 1000 <= 0.965


def test_paired_columns_share_their_draws() -> None:
    # Equal systems: however noisy, their difference is exactly nothing in every draw.
    values = np.random.default_rng(8).random(50)
    sums = bootstrap.resample(np.stack([values, values], axis=1), resamples=200)
    np.testing.assert_array_equal(sums[:, 0], sums[:, 1])


def test_same_seed_same_interval_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(9).random(40)
    whole = bootstrap.ratio(values, resamples=1000, seed=1)
    monkeypatch.setattr(bootstrap, "CHUNK", 100)
    again = bootstrap.ratio(values, resamples=1000, seed=1)
    assert again == pytest.approx(whole, rel=1e-12)  # sums are added in another order
    assert bootstrap.ratio(values, resamples=1000, seed=2) != whole


def test_one_utterance_has_no_interval_and_none_no_value() -> None:
    assert bootstrap.ratio([0.25]) == (0.25, None, None)
    with pytest.raises(ValueError, match="n > 0"):
        bootstrap.ratio([])
    with pytest.raises(ValueError, match="finite"):
        bootstrap.ratio([0.1, float("nan")])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_interval_lies_within_the_data_and_widens_with_its_level(values: list[float]) -> None:
    narrow = bootstrap.ratio(values, level=0.5, resamples=300)
    wide = bootstrap.ratio(values, level=0.99, resamples=300)
    slack = 1e-9 + 1e-9 * max(map(abs, values))
    assert min(values) - slack <= wide.low <= narrow.low + slack
    assert narrow.high - slack <= wide.high <= max(values) + slack
