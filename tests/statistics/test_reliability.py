"""Agreement of raters against published values and by what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.statistics import reliability

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
)
"""Six targets by four judges: Shrout & Fleiss, Psychological Bulletin 86 (1979), table 2."""
_ = math.nan
KRIPPENDORFF = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
])  # fmt: skip
"""Four observers by twelve units: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011),
example C and on: 0.743 nominal, 0.815 ordinal, 0.849 interval, 0.797 ratio."""


def _long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rating, rater and unit of each cell that is there, of a table of raters by units."""
    rater, unit = np.nonzero(np.isfinite(table))
    return table[rater, unit], rater, unit


@pytest.mark.parametrize(
    ("scale", "expected"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_krippendorff_s_example(scale: reliability.Scale, expected: float) -> None:
    found = reliability.alpha(*_long(KRIPPENDORFF), scale)
    assert found == pytest.approx(expected, abs=0.0006)


def test_alpha_where_nothing_can_be_compared() -> None:
    assert reliability.alpha([1, 2], [0, 1], [0, 1]) is None  # no unit twice
    assert reliability.alpha([3, 3, 5], [0, 1, 0], [0, 0, 1]) is None  # no spread where compared
    with pytest.raises(ValueError, match="two ratings of one unit"):
        reliability.alpha([1, 2, 3], [0, 0, 1], [0, 0, 0])


def test_shrout_and_fleiss_s_table() -> None:
    found = reliability.icc(*_long(SHROUT_FLEISS.T.astype(float)))
    assert found is not None
    assert found.single == pytest.approx(0.29, abs=0.005)
    assert found.mean == pytest.approx(0.62, abs=0.005)
    assert found.k == pytest.approx(4.0)


def _rated(seed: int, raters: int, units: int) -> np.ndarray:
    """Raters by units; variances: unit 0.5, rater 0.3, rest 0.4."""
    rng = np.random.default_rng(seed)
    severity = math.sqrt(0.3) * rng.normal(size=(raters, 1))
    return (
        3 + severity + math.sqrt(0.5) * rng.normal(size=units)
        + math.sqrt(0.4) * rng.normal(size=(raters, units))
    )  # fmt: skip


def test_icc_with_cells_missing_by_design() -> None:
    found, k = [], 0.0
    for seed in range(60):
        table = _rated(seed, 40, 80)
        table[np.random.default_rng([seed, 1]).random(table.shape) < 0.7] = np.nan
        one = reliability.icc(*_long(table))
        assert one is not None
        found.append(one.single)
        k = one.k
        assert one.mean == pytest.approx(one.k * one.single / (1 + (one.k - 1) * one.single))
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    # A ratio of unbiased components is itself a little off; 0.01 is left for that.
    assert np.mean(found) == pytest.approx(0.5 / 1.2, abs=3 * error + 0.01)
    assert 10 < k < 13


def test_icc_needs_raters_who_share_units() -> None:
    with pytest.raises(ValueError, match="can't tell apart"):
        reliability.icc([1, 2, 3, 4], [0, 0, 1, 1], [0, 1, 2, 3])
    assert reliability.icc([3, 3, 3, 3], [0, 0, 1, 1], [0, 1, 0, 1]) is None


def test_retest_by_hand() -> None:
    found = reliability.retest([1, 2, 3, 4, 5], [1, 3, 3, 2, 5])
    assert found[:4] == (5, pytest.approx(0.6), pytest.approx(0.6), pytest.approx(0.8))
    expected = scipy.stats.pearsonr([1, 2, 3, 4, 5], [1, 3, 3, 2, 5]).statistic
    assert found.pearson == pytest.approx(expected)
    expected = scipy.stats.spearmanr([1, 2, 3, 4, 5], [1, 3, 3, 2, 5]).statistic
    assert found.spearman == pytest.approx(expected)


def test_retest_without_a_correlation() -> None:
    assert reliability.retest([3, 3, 3], [3, 4, 2])[-2:] == (None, None)
    assert reliability.retest([1, 2], [1, 2])[-2:] == (None, None)
    for pair in (([], []), ([1, 2], [1]), ([1, math.nan], [1, 2])):
        with pytest.raises(ValueError, match=r"need|finite"):
            reliability.retest(*pair)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=3, max_size=12))
@settings(deadline=None)
def test_correlations_are_scipy_s(pairs: list[tuple[int, int]]) -> None:
    one, other = map(np.array, zip(*pairs, strict=True))
    found = reliability.retest(one, other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert found.pearson is found.spearman is None
    else:
        assert found.pearson == pytest.approx(scipy.stats.pearsonr(one, other).statistic)
        assert found.spearman == pytest.approx(scipy.stats.spearmanr(one, other).statistic)


def _split_votes(seed: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rater, system, _repeat = (side.ravel() for side in np.indices((20, 6, 3)))
    y = system * 0.3 + rng.normal(size=20)[rater] + noise * rng.normal(size=len(rater))
    return y, rater, system


def test_halves_that_agree_and_halves_that_do_not() -> None:
    clear = reliability.split_half(*_split_votes(1, noise=0.0))
    assert clear == (pytest.approx(1.0), pytest.approx(1.0), 500)
    y, rater, system = _split_votes(1, noise=1.0)
    some = reliability.split_half(y, rater, system, splits=200, seed=3)
    assert 0.5 < some.half < 1
    assert some.whole == pytest.approx(2 * some.half / (1 + some.half))
    assert some == reliability.split_half(y, rater, system, splits=200, seed=3)
    none = [
        reliability.split_half(np.random.default_rng(k).normal(size=len(y)), rater, system).half
        for k in range(40)
    ]
    # Halves of one sample of noise lie a little below 0 on average: the systems' means are shared.
    assert np.mean(none) == pytest.approx(0.0, abs=0.2)


def test_one_halving_by_hand() -> None:
    # Two raters: every halving is one against the other.
    y = [1, 2, 3, 4, 1, 3, 2, 4]
    found = reliability.split_half(y, [0] * 4 + [1] * 4, [0, 1, 2, 3] * 2, splits=9)
    assert found.half == pytest.approx(scipy.stats.spearmanr(y[:4], y[4:]).statistic)
    assert found.splits == 9


def test_halves_that_can_not_be_ranked() -> None:
    assert reliability.split_half([1, 2, 3], [0, 0, 0], [0, 1, 2]) is None
    assert reliability.split_half([1, 2, 3, 4], [0, 0, 1, 1], [0, 1, 0, 1]) is None
    assert reliability.split_half([3] * 6, [0] * 3 + [1] * 3, [0, 1, 2] * 2) is None
    # Only one rater has heard the third system, so that always one half lacks it.
    assert reliability.split_half([1, 2, 3, 1, 2], [0, 0, 0, 1, 1], [0, 1, 2, 0, 1]) is None


@pytest.mark.parametrize(
    "votes", [([], [], []), ([1, math.nan], [0, 1], [0, 0]), ([1, 2], [0], [0, 1])]
)
def test_what_is_no_set_of_votes_is_refused(votes: tuple[list[float], ...]) -> None:
    for function in (
        reliability.alpha, reliability.icc, reliability.split_half
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"need|finite"):
            function(*votes)
