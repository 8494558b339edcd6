"""Closed-form intervals: by SciPy, by published tables, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mamtra_eval.statistics import bootstrap, closed_form


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    found = closed_form.share(successes, n)
    assert found == pytest.approx((successes / n, low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
       st.sampled_from([0.8, 0.9, 0.95, 0.99]))  # fmt: skip
def test_wilson_as_scipy_has_it(counts: tuple[int, int], level: float) -> None:
    successes, n = counts
    low, high = stats.binomtest(successes, n).proportion_ci(level, method="wilson")
    assert closed_form.share(successes, n, level)[1:] == pytest.approx((low, high), abs=1e-12)


def test_a_mean_is_students() -> None:
    values = np.random.default_rng(0).gamma(1.0, size=37)
    for level in (0.8, 0.95):
        low, high = stats.t.interval(level, 36, values.mean(), stats.sem(values))
        assert closed_form.mean(values, level) == pytest.approx((values.mean(), low, high))


def test_a_ratio_over_ones_is_a_mean() -> None:
    values = np.random.default_rng(1).normal(size=20)
    assert closed_form.ratio(values, np.ones(20)) == pytest.approx(closed_form.mean(values))
    other = np.random.default_rng(2).normal(size=20)
    found = closed_form.difference(values, np.ones(20), other, np.ones(20))
    assert found == pytest.approx(closed_form.mean(values - other))


def test_a_ratio_by_hand() -> None:
    # 3 errors in 30 words: residuals 1 - 1, 0 - 1, 2 - 1 of words 10 each, so sd of their sum √3.
    found = closed_form.ratio([1, 0, 2], [10, 10, 10])
    reach = stats.t.ppf(0.975, 2) * np.sqrt(3 / 2 * 2) / 30
    assert found == pytest.approx((0.1, 0.1 - reach, 0.1 + reach))


def test_it_is_close_to_the_bootstrap_of_many() -> None:
    rng = np.random.default_rng(3)
    words = 5.0 + rng.poisson(6, 3000)
    errors, more = rng.poisson(0.05 * words), rng.poisson(0.06 * words)
    columns = np.stack([errors, words, more], axis=1)
    sums = bootstrap.resample(columns, resamples=4000, seed=0)
    draws = sums[:, 2] / sums[:, 1] - sums[:, 0] / sums[:, 1]
    found = closed_form.difference(more, words, errors, words)
    assert found == pytest.approx(bootstrap.interval(draws, 3000), abs=5e-4)


def test_a_cluster_of_one_is_an_utterance() -> None:
    rng = np.random.default_rng(4)
    above, below = rng.poisson(2, 30), 1 + rng.poisson(9, 30)
    alone = closed_form.ratio(above, below, clusters=np.arange(30))
    assert alone == pytest.approx(closed_form.ratio(above, below))


def test_clusters_are_rows_of_their_sums() -> None:
    rng = np.random.default_rng(5)
    above, below, numbers = rng.poisson(2, 40), 1 + rng.poisson(9, 40), np.arange(8).repeat(5)
    together = bootstrap.clustered(np.stack([above, below], axis=1), numbers)
    whole = closed_form.ratio(together[:, 0], together[:, 1])
    assert closed_form.ratio(above, below, clusters=numbers) == pytest.approx(whole)


@pytest.mark.parametrize("clusters", [None, [0], [3]])
def test_one_utterance_has_no_interval(clusters: list[int] | None) -> None:
    assert closed_form.mean([2.0], clusters=clusters)[:] == (2.0, None, None)


def test_one_speaker_has_no_interval() -> None:
    assert closed_form.mean([1.0, 3.0], clusters=[0, 0])[:] == (2.0, None, None)


@pytest.mark.parametrize("values", [[], [[1.0]]])
def test_shapes_are_checked(values: object) -> None:
    with pytest.raises(ValueError, match="need arrays"):
        closed_form.mean(values)  # type: ignore[arg-type]


def test_values_are_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        closed_form.mean([1.0, float("nan")])


@pytest.mark.parametrize(("successes", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_shares_are_checked(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        closed_form.share(successes, n)
