"""Variance components: planted ones, a table by hand, other analyses of variance."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.statistics import power, variance
from mamtra_eval.statistics.bootstrap import Array

SHAPES = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))


def _readings(shape: tuple[int, int, int], seed: int, scales: tuple[float, ...]) -> Array:
    """Readings with planted standard deviations, in the order of the components."""
    rng, (a, b, c) = np.random.default_rng(seed), shape
    sizes = [(a, 1, 1), (a, b, 1), (1, 1, c), (a, 1, c), (a, b, c)]
    effects = [scale * rng.normal(size=size) for scale, size in zip(scales, sizes, strict=True)]
    return 5.0 + sum(effects)


def test_planted_components_are_found_again() -> None:
    scales = (2.0, 1.0, 0.5, 1.5, 3.0)
    found = variance.split(_readings((4000, 3, 40), 0, scales))
    assert found.utterance == pytest.approx(4.0, rel=0.1)
    assert found.seed == pytest.approx(1.0, rel=0.1)
    assert found.recogniser == pytest.approx(0.25, rel=0.5)  # there are but 40 of them
    assert found.recogniser_by_utterance == pytest.approx(2.25, rel=0.05)
    assert found.residual == pytest.approx(9.0, rel=0.02)
    assert found.shares()["residual"] == pytest.approx(9 / 16.5, rel=0.05)
    assert sum(found.shares().values()) == pytest.approx(1.0)


def test_estimates_are_right_on_average_for_few_of_each() -> None:
    scales = (1.0, 0.7, 0.4, 0.6, 0.5)
    names = ("utterance", "seed", "recogniser", "recogniser_by_utterance", "residual")
    runs = [variance.split(_readings((6, 2, 3), seed, scales)).raw for seed in range(3000)]
    for name, scale in zip(names, scales, strict=True):
        values = [raw[name] for raw in runs]
        assert np.mean(values) == pytest.approx(scale**2, abs=4 * scipy.stats.sem(values)), name


def test_a_table_by_hand() -> None:
    """Two texts, two repeats, two recognisers.

    Means of texts 2 and 6, of clips 1, 3 | 5, 7, of recognisers 3 and 5, of recognisers at texts
    1, 3 | 5, 7; within clips readings differ by 2 each but for a disagreement of 1 at each.
    Squares: texts 32, repeats 8, recognisers 8, recognisers by texts 0, the rest 8 · 0.5² = 2.
    """
    table = [[[0.5, 1.5], [1.5, 4.5]], [[4.5, 5.5], [5.5, 8.5]]]
    found = variance.split(table)
    assert found.raw == pytest.approx({
        "utterance": (32 - 4 - 0 + 1) / 4, "seed": (4 - 1) / 2, "recogniser": (8 - 0) / 4,
        "recogniser_by_utterance": (0 - 1) / 2, "residual": 1.0,
    })  # fmt: skip
    assert found.recogniser_by_utterance == 0.0  # negative as estimated
    assert found.of_mean(10, 2, 2) == pytest.approx(((7.25 + 1.5 / 2 + 1.0 / 4) / 10) ** 0.5)
    assert sum(found.shares().values()) == pytest.approx(1.0)


@given(SHAPES)
def test_the_error_of_its_own_mean_is_that_of_the_texts_means(
    drawn: tuple[int, int, int, int],
) -> None:
    *shape, seed = drawn
    table = _readings((shape[0], shape[1], shape[2]), seed, (5.0, 2.0, 1.0, 2.0, 1.0))
    found = variance.split(table)
    expected = scipy.stats.sem(table.mean(axis=(1, 2)))
    if min(found.raw.values()) >= 0:
        assert found.of_mean(*table.shape) == pytest.approx(expected)
    elif found.utterance > 0:
        assert found.of_mean(*table.shape) >= expected * (1 - 1e-9)  # zeroes only add


def test_one_recogniser_is_the_one_way_analysis() -> None:
    table = _readings((50, 3, 1), 3, (1.0, 2.0, 0.0, 0.0, 0.0))
    found = variance.split(table)
    f = scipy.stats.f_oneway(*table[:, :, 0]).statistic
    assert 1 + 3 * found.utterance / found.seed == pytest.approx(f)
    spread = power.spread([*table[:, :, 0]])
    assert (found.utterance, found.seed) == pytest.approx(spread)
    assert (found.recogniser, found.recogniser_by_utterance, found.residual) == (None, None, None)
    assert found.of_mean(20, 5) == pytest.approx(spread.of_mean(20, 5))


def test_without_repeats_the_text_holds_the_seed() -> None:
    table = _readings((200, 1, 2), 4, (1.0, 0.5, 1.0, 0.7, 0.3))
    found = variance.split(table)
    assert found.seed is None
    assert found.residual is None
    # Two recognisers: half the variance of their difference is what they disagree on texts.
    gap = table[:, 0, 0] - table[:, 0, 1]
    assert found.recogniser_by_utterance == pytest.approx(np.var(gap, ddof=1) / 2)
    covariance = np.cov(table[:, 0, 0], table[:, 0, 1])[0, 1]
    assert found.utterance == pytest.approx(covariance)
    assert found.of_mean(200, 4, 2) == found.of_mean(200, 1, 2)  # repeats promise nothing unseen


def test_one_reading_of_each_text() -> None:
    values = np.array([1.0, 2.0, 6.0])
    found = variance.split(values[:, None, None])
    assert found.raw == {"utterance": pytest.approx(7.0)}
    assert found.of_mean(3) == pytest.approx(scipy.stats.sem(values))
    assert found.shares() == {"utterance": 1.0}


def test_a_shift_between_recognisers_is_no_error_of_the_mean() -> None:
    table = _readings((80, 2, 2), 5, (1.0, 1.0, 0.0, 1.0, 1.0))
    shifted = table + np.array([0.0, 100.0])
    one, other = variance.split(table), variance.split(shifted)
    assert other.of_mean(80, 2, 2) == pytest.approx(one.of_mean(80, 2, 2))
    assert other.recogniser == pytest.approx(100**2 / 2, rel=0.01)


def test_equal_readings_have_no_variance() -> None:
    found = variance.split(np.full((7, 3, 3), 0.1))
    assert set(found.raw.values()) == {0.0}
    assert found.of_mean(7, 3, 3) == 0.0
    assert set(found.shares().values()) == {0.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((1, 2, 2)), "at least two utterances, not \\(1, 2, 2\\)"),
        (np.ones((3, 2)), "not \\(3, 2\\)"),
        (np.ones((3, 0, 2)), "not \\(3, 0, 2\\)"),
        (np.full((2, 2, 2), np.nan), "finite"),
        ([[[1.0], [2.0]], [[1.0]]], "inhomogeneous"),
    ],
)
def test_what_can_t_be_split(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variance.split(values)  # type: ignore[arg-type]
