from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.resampling import Resampling
from mamtra_eval.statistics import bootstrap
from mamtra_eval.statistics.bootstrap import Estimate


def ratio(
    above: npt.ArrayLike, below: npt.ArrayLike | None = None, *, level: float = 0.95,
    resamples: int = 10_000, seed: int = 0,
) -> Estimate:  # fmt: skip
    """The interval as reports make it, over utterances 0, 1, …"""
    tops = list(np.asarray(above, dtype=float))
    bottoms = [1.0] * len(tops) if below is None else list(np.asarray(below, dtype=float))
    names = [str(index) for index in range(len(tops))]
    resampling = Resampling(names)
    resampling.want("it", dict(zip(names, zip(tops, bottoms, strict=True), strict=True)))
    resampling.run(level=level, resamples=resamples, seed=seed)
    return resampling.estimates["it"]


def test_agrees_with_scipy_on_the_mean() -> None:
    values = np.random.default_rng(1).gamma(0.5, 0.1, size=200)
    ours = ratio(values, seed=3)
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
    ours = ratio(errors, words, seed=5)
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
        low, high = ratio(rng.normal(size=100), resamples=500)[1:]
        hits += low <= 0.0 <= high
    assert 0.92 <= hits / 1000 <= 0.965


def test_paired_columns_share_their_draws() -> None:
    # Equal systems: however noisy, their difference is exactly nothing in every draw.
    values = np.random.default_rng(8).random(50)
    sums = bootstrap.resample(np.stack([values, values], axis=1), resamples=200)
    np.testing.assert_array_equal(sums[:, 0], sums[:, 1])


def test_same_seed_same_interval_whatever_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(9).random(40)
    whole = ratio(values, resamples=1000, seed=1)
    monkeypatch.setattr(bootstrap, "CHUNK", 100)
    again = ratio(values, resamples=1000, seed=1)
    assert again == pytest.approx(whole, rel=1e-12)  # sums are added in another order
    assert ratio(values, resamples=1000, seed=2) != whole


def test_one_utterance_has_no_interval_and_none_no_value() -> None:
    assert ratio([0.25]) == (0.25, None, None)
    with pytest.raises(ValueError, match="n > 0"):
        bootstrap.resample(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="finite"):
        ratio([0.1, float("nan")])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_interval_lies_within_the_data_and_widens_with_its_level(values: list[float]) -> None:
    narrow = ratio(values, level=0.5, resamples=300)
    wide = ratio(values, level=0.99, resamples=300)
    slack = 1e-9 + 1e-9 * max(map(abs, values))
    assert min(values) - slack <= wide.low <= narrow.low + slack
    assert narrow.high - slack <= wide.high <= max(values) + slack


def test_a_system_with_gaps_is_resampled_like_its_utterances_alone() -> None:
    # Domain estimation: zeros for what is missing change neither value nor, nearly, interval.
    values = np.random.default_rng(10).gamma(2.0, 0.1, size=60)
    names = [str(index) for index in range(80)]
    resampling = Resampling(names)
    resampling.want("gaps", {names[i]: (value, 1.0) for i, value in enumerate(values)})
    resampling.run(level=0.95, resamples=20000, seed=1)
    alone = ratio(values, resamples=20000, seed=2)
    assert resampling.estimates["gaps"].value == pytest.approx(alone.value)
    assert resampling.estimates["gaps"].low == pytest.approx(alone.low, abs=0.003)
    assert resampling.estimates["gaps"].high == pytest.approx(alone.high, abs=0.003)


def test_differences_are_paired_by_name_whatever_the_order() -> None:
    names = [str(index) for index in range(30)]
    base = {name: (float(index), 1.0) for index, name in enumerate(names)}
    shifted = {name: (float(index) + 0.5, 1.0) for index, name in reversed(list(enumerate(names)))}
    del shifted["7"]
    resampling = Resampling(names)
    resampling.want_difference("d", shifted, base)
    resampling.run(level=0.95, resamples=500, seed=0)
    estimate, n = resampling.differences["d"]
    assert n == 29
    assert estimate == pytest.approx((0.5, 0.5, 0.5))  # constant, so without any spread


def test_clusters_are_sums_of_their_rows() -> None:
    rows = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]])
    found = bootstrap.clustered(rows, [7, 2, 7, 2])
    assert sorted(found.tolist()) == [[4, 40], [6, 60]]
    alone = bootstrap.clustered(rows, np.arange(4))
    assert alone.tolist() == rows.tolist()


def test_clusters_by_hand() -> None:
    columns = [[1, 4], [1, 2], [3, 6], [1, 3]]
    found = bootstrap.clustered(columns, ["anna", "ben", "cleo", "ben"])
    np.testing.assert_array_equal(found, [[1, 4], [2, 5], [3, 6]])
    with pytest.raises(ValueError, match="not \\(4, 2\\) and \\(3,\\)"):
        bootstrap.clustered(columns, [0, 1, 2])


def test_clusters_of_one_are_drawn_as_utterances_are() -> None:
    columns = np.random.default_rng(11).gamma(0.5, 0.1, size=(40, 2))
    again = bootstrap.clustered(columns, np.arange(40))
    np.testing.assert_array_equal(again, columns)
    drawn = [bootstrap.resample(rows, resamples=300, seed=1) for rows in (columns, again)]
    np.testing.assert_array_equal(*drawn)


def test_speakers_that_differ_make_the_interval_wider() -> None:
    rng = np.random.default_rng(12)
    values = rng.normal(size=(40, 1)) + rng.normal(size=(40, 10))  # 40 speakers, 10 utterances each
    columns = np.stack([values.ravel(), np.ones(400)], axis=1)
    speakers = bootstrap.clustered(columns, np.repeat(np.arange(40), 10))
    found = []
    for rows in (columns, speakers):
        sums = bootstrap.resample(rows, resamples=4000)
        found.append(bootstrap.interval(sums[:, 0] / sums[:, 1], len(rows)))
    by_utterance, by_speaker = found
    assert by_speaker.value == pytest.approx(by_utterance.value)
    # Variances of the mean: (1 + 1) / 400 and (1 + 1/10) / 40, whose roots are 1 : 2.35.
    widths = [one.high - one.low for one in found]
    assert widths[1] / widths[0] == pytest.approx(2.35, rel=0.2)
