"""Closed forms against SciPy's, published values, and sums worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.statistics import bootstrap, closed_form

VALUES = st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=20)
COUNTS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30)), min_size=2, max_size=20)
T2 = 4.302652729696142
"""The 97.5 % quantile of Student's t with 2 degrees of freedom: 0.95 √(2 / (1 - 0.95²))."""


def _wer(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    words = rng.integers(4, 20, n)
    return rng.binomial(words, 0.07).astype(float), words.astype(float)


@given(VALUES, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_mean_has_the_t_interval_of_scipy(values: list[float], level: float) -> None:
    found = closed_form.mean(values, level)
    n, error = len(values), scipy.stats.sem(values)
    reach = scipy.stats.t.ppf((1 + level) / 2, n - 1) * error
    assert found == pytest.approx((np.mean(values), np.mean(values) - reach,
                                   np.mean(values) + reach), abs=1e-9)  # fmt: skip
    if error > 1e-6:
        theirs = scipy.stats.t.interval(level, n - 1, loc=np.mean(values), scale=error)
        assert found[1:] == pytest.approx(theirs, abs=1e-9)


def test_a_ratio_by_hand() -> None:
    # 3 errors in 15 words. Residuals 0 - 0.2·4 … = 0.2, -1, 0.8; their squares sum to 1.68.
    found = closed_form.ratio([1, 0, 2], [4, 5, 6])
    reach = T2 * math.sqrt(3 / 2 * 1.68 / 15**2)
    assert found == pytest.approx((0.2, 0.2 - reach, 0.2 + reach))


@given(VALUES)
def test_a_ratio_to_ones_is_a_mean(values: list[float]) -> None:
    ones = np.ones(len(values))
    assert closed_form.ratio(values, ones) == closed_form.mean(values)


def test_a_ratio_of_many_is_the_bootstrap_s() -> None:
    above, below = _wer(0)
    found = closed_form.ratio(above, below)
    sums = bootstrap.resample(np.stack([above, below], axis=1), resamples=20_000)
    drawn = bootstrap.interval(sums[:, 0] / sums[:, 1], len(above))
    assert found.value == drawn.value
    assert found[1:] == pytest.approx(drawn[1:], abs=0.03 * (drawn.high - drawn.low))


@given(COUNTS, st.integers(1, 5))
def test_utterances_that_are_not_there_count_nowhere(
    counts: list[tuple[int, int]], gaps: int
) -> None:
    above, below = np.array(counts, dtype=float).T
    missing = np.zeros(gaps)
    found = closed_form.ratio([*above, *missing], [*below, *missing])
    assert found == pytest.approx(closed_form.ratio(above, below))


def test_clusters_by_hand() -> None:
    # Speakers a, b, c have 1 of 4, 2 of 5 and 3 of 6: residuals -0.6, 0, 0.6 to 6 of 15.
    found = closed_form.ratio([1, 1, 1, 3], [4, 2, 3, 6], clusters=["a", "b", "b", "c"])
    reach = T2 * math.sqrt(3 / 2 * 0.72 / 15**2)
    assert found == pytest.approx((0.4, 0.4 - reach, 0.4 + reach))


@given(COUNTS, st.randoms(use_true_random=False))
def test_clusters_of_one_are_utterances(counts: list[tuple[int, int]], random: object) -> None:
    above, below = np.array(counts, dtype=float).T
    names = list(range(len(above)))
    random.shuffle(names)  # type: ignore[attr-defined]
    found = closed_form.ratio(above, below, clusters=names)
    assert found == pytest.approx(closed_form.ratio(above, below), abs=1e-12)


def test_clusters_of_equal_size_are_their_means() -> None:
    values = np.random.default_rng(1).normal(size=(12, 5)) + np.arange(12)[:, None]
    found = closed_form.mean(values.ravel(), clusters=np.repeat(np.arange(12), 5))
    assert found == pytest.approx(closed_form.mean(values.mean(axis=1)))


def test_a_difference_of_means_is_the_paired_t_test_s() -> None:
    rng = np.random.default_rng(2)
    own, other = rng.gamma(0.5, 0.2, (2, 60))
    found = closed_form.difference(own, np.ones(60), other, np.ones(60), 0.9)
    theirs = scipy.stats.ttest_rel(own, other).confidence_interval(0.9)
    assert found == pytest.approx((np.mean(own - other), theirs.low, theirs.high))


def test_a_difference_of_ratios_by_hand() -> None:
    # 3/15 - 6/10. Residuals (0.2, -1, 0.8) / 15 less (-0.2, 0.8, -0.6) / 10.
    found = closed_form.difference([1, 0, 2], [4, 5, 6], [1, 2, 3], [2, 2, 6])
    moved = np.array([0.2, -1.0, 0.8]) / 15 - np.array([-0.2, 0.8, -0.6]) / 10
    reach = T2 * math.sqrt(3 / 2 * float(np.sum(moved**2)))
    assert found == pytest.approx((-0.4, -0.4 - reach, -0.4 + reach))


def test_differences_are_paired_and_clustered() -> None:
    above, below = _wer(3)
    nothing = closed_form.difference(above, below, above, below)
    assert nothing == (0.0, 0.0, 0.0)
    other, _ = _wer(4)
    speakers = np.arange(400) // 10
    found = closed_form.difference(above, below, other, below, clusters=speakers)
    summed = bootstrap.clustered(np.stack([above, below, other, below], axis=1), speakers)
    assert found == closed_form.difference(*summed.T)
    opposite = closed_form.difference(other, below, above, below, clusters=speakers)
    assert opposite == pytest.approx((-found.value, -found.high, -found.low))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_shares_as_newcombe_has_them(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe, Two-sided confidence intervals for the single proportion (1998), table I."""
    found = closed_form.share(successes, n)
    assert found == pytest.approx((successes / n, low, high), abs=5e-5)


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_shares_are_scipy_s_and_mirrored(n: int, part: float, level: float) -> None:
    successes = round(part * n)
    found = closed_form.share(successes, n, level)
    theirs = scipy.stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert found[1:] == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    other = closed_form.share(n - successes, n, level)
    assert other == pytest.approx((1 - found.value, 1 - found.high, 1 - found.low), abs=1e-12)


@given(COUNTS)
def test_intervals_widen_with_their_level(counts: list[tuple[int, int]]) -> None:
    above, below = np.array(counts, dtype=float).T
    narrow, wide = closed_form.ratio(above, below, 0.8), closed_form.ratio(above, below, 0.99)
    assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


def test_too_few_for_an_interval() -> None:
    assert closed_form.mean([0.25]) == (0.25, None, None)
    assert closed_form.mean([1.0, 3.0], clusters=["a", "a"]) == (2.0, None, None)
    assert closed_form.ratio([1.0, 0.0], [2.0, 0.0]) == (0.5, None, None)
    empty = closed_form.ratio([0.0, 0.0], [0.0, 0.0])
    assert math.isnan(empty.value)
    assert empty[1:] == (None, None)
    assert closed_form.mean([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_what_has_no_interval() -> None:
    with pytest.raises(ValueError, match="n > 0"):
        closed_form.mean([])
    with pytest.raises(ValueError, match="not \\(2,\\), \\(3,\\)"):
        closed_form.ratio([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="finite"):
        closed_form.mean([1.0, math.nan])
    with pytest.raises(ValueError, match="negative"):
        closed_form.ratio([1, 2], [1, -2])
    with pytest.raises(ValueError, match="not \\(2, 2\\) and \\(3,\\)"):
        closed_form.mean([1.0, 2.0], clusters=[0, 1, 2])
    for successes, n in ((-1, 5), (6, 5), (0, 0)):
        with pytest.raises(ValueError, match="no share"):
            closed_form.share(successes, n)
