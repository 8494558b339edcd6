"""Aggregates against NumPy, on the sample and on every resample of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.resampling import Resampling, making
from mamtra_eval.statistics.bootstrap import Array

VALUES = st.lists(
    st.sampled_from([0.0, 0.1, 0.125, 1 / 3, 0.5, 1.0, 4.0]) | st.floats(0, 5, width=32),
    min_size=2, max_size=12,
)  # fmt: skip
NUMPY: dict[str, Callable[[Array], float]] = {
    "mean": lambda x: float(np.mean(x)),
    "median": lambda x: float(np.median(x)),
    "p95": lambda x: float(np.quantile(x, 0.95)),
    "max": lambda x: float(np.max(x)),
    "sd": lambda x: float(np.std(x, ddof=1)),
}


@given(VALUES, st.integers(0, 2**32 - 1), st.sampled_from([*NUMPY]))
def test_each_resample_is_what_numpy_finds_in_it(values: list[float], seed: int, name: str) -> None:
    data = np.array(values)
    weights = np.random.default_rng(seed).multinomial(len(data), np.full(len(data), 1 / len(data)))
    present = np.ones(len(data))
    aggregate = making(name)(data, present)
    sums = np.stack([aggregate.columns.sum(axis=0), weights @ aggregate.columns])
    found = aggregate.reduce(sums)
    expected = NUMPY[name]
    assert found[0] == pytest.approx(expected(data), abs=1e-9)
    assert found[1] == pytest.approx(expected(np.repeat(data, weights)), abs=1e-9)


@pytest.mark.parametrize("name", NUMPY)
def test_utterances_that_are_not_there_count_nowhere(name: str) -> None:
    data, present = np.array([7.0, 0.25, 0.0, 0.5, 9.0]), np.array([0.0, 1.0, 1.0, 1.0, 0.0])
    aggregate = making(name)(data * present, present)
    found = aggregate.reduce(aggregate.columns.sum(axis=0, keepdims=True))
    assert found[0] == pytest.approx(NUMPY[name](np.array([0.25, 0.0, 0.5])))


def _run(values: npt.ArrayLike, aggregate: str) -> Resampling:
    data = {str(i): (float(x), 1.0) for i, x in enumerate(np.asarray(values))}
    resampling = Resampling([*data])
    resampling.want("it", data, aggregate)
    others = {name: (x + 0.25, 1.0) for name, (x, _) in data.items()}
    resampling.want_difference("gap", others, data, aggregate)
    resampling.run(level=0.95, resamples=4000, seed=1)
    return resampling


def test_the_interval_of_a_median_agrees_with_scipy() -> None:
    values = np.round(np.random.default_rng(0).gamma(0.7, 0.2, size=151), 3)
    ours = _run(values, "median").estimates["it"]
    theirs = scipy.stats.bootstrap(
        (values,), np.median, n_resamples=9999, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.value == np.median(values)
    assert ours.low == pytest.approx(theirs.low, abs=0.006)
    assert ours.high == pytest.approx(theirs.high, abs=0.006)


@pytest.mark.parametrize("name", ["mean", "median", "p95"])
def test_a_shift_of_all_is_a_difference_without_spread(name: str) -> None:
    gap, n = _run([0.0, 0.0, 0.1, 0.5, 2.0], name).differences["gap"]
    assert gap == pytest.approx((0.25, 0.25, 0.25))
    assert n == 5


def test_a_maximum_has_no_interval() -> None:
    assert _run([0.0, 0.5, 2.0], "max").estimates["it"] == (2.0, None, None)


def test_what_one_utterance_does_not_tell_is_left_out() -> None:
    resampling = _run([0.5], "sd")
    assert not resampling.estimates
    assert not resampling.differences
