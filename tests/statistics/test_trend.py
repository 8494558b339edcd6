"""Trends: by hand, against another implementation, and how often their intervals are right."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.statistics import trend

MAMBA_SHARE = [0, 12 / 24, 18 / 24, 20 / 24, 22 / 24]


def _study(slope: float, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = rng.gamma(0.5, 1.0, (n, 1))  # what an utterance is worth to every system
    return common + slope * np.array(MAMBA_SHARE) + rng.normal(0, 0.5, (n, 5))


def test_the_slope_is_the_least_squares_line_s() -> None:
    values = _study(2.0, 300, 0)
    found = trend.linear(values, MAMBA_SHARE, resamples=2000)
    line = scipy.stats.linregress(MAMBA_SHARE, values.mean(axis=0))
    assert found.value == pytest.approx(line.slope)
    assert found.low < 2.0 < found.high


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=7))
def test_the_monotone_fit_is_scipy_s(means: list[float]) -> None:
    expected = scipy.optimize.isotonic_regression(means).x
    assert trend.monotone(np.array([means]))[0] == pytest.approx(expected, abs=1e-9)


def test_the_monotone_contrast_needs_no_line() -> None:
    means = np.array([0.0, 0.0, 0.0, 0.0, 1.0])  # it falls off at the last step alone
    rng = np.random.default_rng(1)
    values = means + rng.normal(0, 0.3, (400, 5))
    found = trend.isotonic(values, MAMBA_SHARE, resamples=2000)
    assert found.value == pytest.approx(1.0, abs=0.1)
    assert found.low > 0.8
    falling = trend.isotonic(values, MAMBA_SHARE, rising=False, resamples=2000)
    assert falling.value == pytest.approx(0.0, abs=0.05)
    assert falling.high == 0.0


def test_systems_at_one_position_count_together() -> None:
    values = np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0]])
    assert trend.isotonic(values, [0, 0, 1], resamples=100).value == pytest.approx(2.5)


def test_intervals_of_the_slope_cover() -> None:
    hits = 0
    for trial in range(300):
        found = trend.linear(_study(0.7, 120, trial), MAMBA_SHARE, resamples=400, seed=trial)
        hits += found.low <= 0.7 <= found.high
    assert hits / 300 == pytest.approx(0.95, abs=0.035)


@pytest.mark.parametrize(
    ("values", "positions", "message"),
    [
        ([[1.0, 2.0]], [0, 1, 2], "not \\(1, 2\\) and \\(3,\\)"),
        ([[1.0, np.nan]], [0, 1], "finite"),
        ([[1.0, 2.0]], [1, 1], "two positions"),
    ],
)
def test_what_has_no_trend(values: list[list[float]], positions: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trend.linear(values, positions)


def test_the_line_passes_the_means_and_is_surest_in_the_middle() -> None:
    rng = np.random.default_rng(5)
    x = np.array([0.0, 0.5, 0.75, 1.0])
    values = 2.0 + 3.0 * x + rng.normal(0, 1, (400, 4))
    slope, constant = np.polyfit(x, values.mean(axis=0), 1)
    found = trend.fitted(values, x, [0.0, x.mean(), 1.0])
    assert [one.value for one in found] == pytest.approx(
        [constant, values.mean(), constant + slope]
    )
    widths = [one.high - one.low for one in found if one.low is not None and one.high is not None]
    assert widths[1] < min(widths[0], widths[2])
    apart = trend.fitted(values, x, [0.0], clusters=np.arange(400))
    assert apart[0] == pytest.approx(found[0])


def test_the_monotone_fits_p_is_right_where_there_is_no_trend() -> None:
    rng = np.random.default_rng(6)
    skewed = rng.gamma(0.3, 1.0, (400, 25, 5))
    found = np.array([trend.isotonic_p(one, MAMBA_SHARE, flips=199, seed=n)
                      for n, one in enumerate(skewed)])  # fmt: skip
    for level in (0.05, 0.1, 0.25, 0.5):  # above, p jumps to 1: a fit that goes nowhere at all
        within = scipy.stats.binomtest(int((found <= level).sum()), len(found), level)
        assert within.pvalue > 0.01
    rising = skewed[0] + 2.0 * np.array(MAMBA_SHARE)
    assert trend.isotonic_p(rising, MAMBA_SHARE) < 0.01
    assert trend.isotonic_p(rising, MAMBA_SHARE, rising=False) > 0.5
    assert trend.isotonic_p(-rising, MAMBA_SHARE, rising=False) < 0.01
