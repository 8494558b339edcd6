"""Crossed raters and items: by hand, against another implementation, and by what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.statistics import crossed
from mamtra_eval.statistics.crossed import Votes
from mamtra_eval.statistics.crossed_resampling import pigeonhole, shared, swap_p
from mamtra_eval.statistics.paired import sign_flip_p

# Two raters on two items. Mean 3; deviations -2, 0, 1, 1; raters' sums -2, 2; items' -1, 1.
BY_HAND = Votes([1, 3, 4, 4], ["r", "r", "q", "q"], ["x", "y", "x", "y"])
SIZES = {"rater": 0.45, "item": 0.3, "rater_system": 0.2, "item_system": 0.25, "residual": 0.7}


def _simulated(
    seed: int, raters: int, items: int, systems: int, latin: bool, **changed: float
) -> tuple[np.ndarray, ...]:
    """Ratings (not rounded), system, rater and item of each vote; systems are equal."""
    size = {**SIZES, **changed}
    rng = np.random.default_rng(seed)
    rater, item, system = (
        side.ravel()
        for side in np.meshgrid(*map(np.arange, (raters, items, systems)), indexing="ij")
    )
    if latin:
        kept = system == (rater + item) % systems
        rater, item, system = rater[kept], item[kept], system[kept]
    y = 3.6 + size["rater"] * rng.normal(size=raters)[rater]
    y += size["item"] * rng.normal(size=items)[item]
    y += size["rater_system"] * rng.normal(size=(raters, systems))[rater, system]
    y += size["item_system"] * rng.normal(size=(items, systems))[item, system]
    return y + size["residual"] * rng.normal(size=len(y)), system, rater, item


def _votes(table: tuple[np.ndarray, ...], system: int) -> Votes:
    y, which, rater, item = table
    own = which == system
    return Votes(y[own], rater[own], item[own])


def test_two_way_by_hand_is_floored_at_the_raters_variance() -> None:
    # raters 2/1 · (4 + 4) / 16 = 1; items 2/1 · (1 + 1) / 16 = 1/4; votes 4/3 · 6 / 16 = 1/2.
    found = crossed.two_way(*BY_HAND)
    reach = scipy.stats.t.ppf(0.975, 1) * 1.0  # 1 + 1/4 - 1/2 < 1
    assert found == pytest.approx((3.0, 3.0 - reach, 3.0 + reach))
    assert crossed.rater_clustered(*BY_HAND[:2]) == pytest.approx(found)


def test_two_way_by_hand_above_the_floor() -> None:
    # Deviations -1, 0, 0, 1; raters' sums -1, 1; items' too: 2/1 · 2 / 16 each; votes 4/3 · 2 / 16.
    found = crossed.two_way([1, 2, 2, 3], ["r", "r", "q", "q"], ["x", "y", "x", "y"])
    reach = scipy.stats.t.ppf(0.975, 1) * math.sqrt(1 / 4 + 1 / 4 - 1 / 6)
    assert found == pytest.approx((2.0, 2.0 - reach, 2.0 + reach))


def test_naive_is_what_peers_print() -> None:
    found = crossed.naive([1, 2, 3, 4, 5])
    assert found == pytest.approx((3.0, 3 - 1.96 * math.sqrt(0.5), 3 + 1.96 * math.sqrt(0.5)), 1e-4)


def test_the_difference_by_hand_cancels_what_is_shared() -> None:
    better = Votes(np.asarray(BY_HAND.ratings) + 0.5, BY_HAND.raters, BY_HAND.items)
    assert crossed.two_way_difference(better, BY_HAND) == (0.5, 0.5, 0.5)
    assert crossed.two_way_p(better, BY_HAND) == 0.0
    assert crossed.two_way_p(BY_HAND, BY_HAND) == 1.0


@pytest.mark.parametrize("latin", [False, True])
def test_standard_errors_are_those_of_statsmodels(latin: bool) -> None:
    regression = pytest.importorskip("statsmodels.regression.linear_model")
    sandwich = pytest.importorskip("statsmodels.stats.sandwich_covariance")
    table = _simulated(3, 12, 9, 3, latin)
    y, _, rater, item = table = tuple(side[table[1] < 2] for side in table)
    own = _votes(table, 0)

    def reference(
        values: np.ndarray, design: np.ndarray, one: object, other: object
    ) -> tuple[float, float, float]:
        fit = regression.OLS(values, design).fit()
        both, first, second = sandwich.cov_cluster_2groups(fit, np.asarray(one), np.asarray(other))
        # It multiplies by (N - 1) / (N - k); ours doesn't, and k = 1 for a mean.
        n, k = design.shape
        return tuple(float(c[-1, -1]) * (n - k) / (n - 1) for c in (both, first, second))

    variance = max(reference(own.ratings, np.ones((len(own.ratings), 1)), own.raters, own.items))
    reach = scipy.stats.t.ppf(0.975, 8) * math.sqrt(variance)
    found = crossed.two_way(*own)
    assert found.high == pytest.approx(found.value + reach, rel=1e-9)

    design = np.stack([np.ones(len(y)), table[1] == 1], axis=1).astype(float)
    variance = max(reference(y, design, rater, item))
    reach = scipy.stats.t.ppf(0.975, 8) * math.sqrt(variance)
    found = crossed.two_way_difference(_votes(table, 1), own)
    # In a full design a rater's two votes on an item are one cluster there, two votes here.
    assert found.high == pytest.approx(found.value + reach, rel=1e-9 if latin else 2e-3)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 4), st.integers(0, 4)), min_size=1),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_order_labels_scale_and_origin_do_not_matter(
    rows: list[tuple[int, int, int]], seed: int
) -> None:
    y, rater, item = map(np.array, zip(*rows, strict=True))
    found = crossed.two_way(y, rater, item)
    order = np.random.default_rng(seed).permutation(len(y))
    names = np.array(["d", "a", "e", "b", "c"])
    again = crossed.two_way(10 - 2 * y[order], names[rater[order]], item[order] + 7)
    if min(len(set(rater)), len(set(item))) < 2:
        assert found[1:] == again[1:] == (None, None)
        return
    expected = (10 - 2 * found.value, 10 - 2 * found.high, 10 - 2 * found.low)
    assert again == pytest.approx(expected, abs=1e-7)
    half = found.high - found.value
    free = min(len(set(rater)), len(set(item))) - 1
    one_way = crossed.rater_clustered(y, rater)
    error = (one_way.high - one_way.value) / scipy.stats.t.ppf(0.975, len(set(rater)) - 1)
    assert half >= scipy.stats.t.ppf(0.975, free) * error - 1e-7


def test_item_mean_weighs_items_alike() -> None:
    assert crossed.item_mean([5, 5, 5, 1], ["x", "x", "x", "y"]) == 3.0
    assert crossed.item_mean([1, 2, 3, 4], [0, 1, 0, 1]) == 2.5


def test_standardised_takes_severity_out_and_keeps_the_mean() -> None:
    table = _simulated(5, 10, 8, 3, latin=False)
    y, _, rater, item = table
    found = crossed.standardised(Votes(y + rater, rater, item))
    assert found.mean() == pytest.approx((y + rater).mean())
    means = np.bincount(rater, found) / np.bincount(rater)
    assert means == pytest.approx(np.full(10, found.mean()))


@pytest.mark.parametrize(
    "votes",
    [
        Votes([], [], []),
        Votes([1, math.nan], [0, 1], [0, 1]),
        Votes([1, 2], [0, 1, 2], [0, 1]),
        Votes([1, 2], [0, 1], [0]),
        Votes([[1, 2]], [[0, 1]], [[0, 1]]),
    ],
)
def test_what_is_no_set_of_votes_is_refused(votes: Votes) -> None:
    calls = [
        lambda: crossed.two_way(*votes),
        lambda: crossed.two_way_difference(votes, BY_HAND),
        lambda: crossed.two_way_p(BY_HAND, votes),
        lambda: pigeonhole({"a": BY_HAND, "b": votes}),
        lambda: swap_p(BY_HAND, votes),
        lambda: crossed.standardised(votes),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"need|finite"):
            call()


def test_one_rater_has_no_interval() -> None:
    alone = Votes([1, 2, 4], ["r"] * 3, ["x", "y", "z"])
    assert crossed.two_way(*alone)[1:] == (None, None)
    assert crossed.rater_clustered(*alone[:2])[1:] == (None, None)
    assert crossed.two_way_p(alone, alone) is None
    assert pigeonhole({"a": alone}).systems["a"][1:] == (None, None)
    assert crossed.naive([3.0]) == (3.0, None, None)


def test_pigeonhole_weights_are_raters_times_items() -> None:
    table = _simulated(4, 9, 7, 2, latin=True)
    systems = {"a": _votes(table, 0), "b": _votes(table, 1)}
    found = pigeonhole(systems, [("a", "b")], resamples=500, seed=2)
    rng = np.random.default_rng(2)
    raters = rng.multinomial(9, np.full(9, 1 / 9), size=500)
    items = rng.multinomial(7, np.full(7, 1 / 7), size=500)
    means = {}
    for name, (y, rater, item) in systems.items():
        weights = raters[:, rater] * items[:, item]  # one draw a row, one vote a column
        means[name] = weights @ y / weights.sum(axis=1)
    assert found.systems["a"][1:] == pytest.approx(np.quantile(means["a"], [0.025, 0.975]))
    difference = found.differences["a", "b"]
    assert difference.value == pytest.approx(np.mean(systems["a"][0]) - np.mean(systems["b"][0]))
    apart = np.quantile(means["a"] - means["b"], [0.025, 0.975])
    assert difference[1:] == pytest.approx(apart)
    assert found == pigeonhole(systems, [("a", "b")], resamples=500, seed=2)


def test_swapping_blocks_is_a_sign_flip_of_their_differences() -> None:
    table = _simulated(6, 4, 3, 2, latin=False)
    a, b = _votes(table, 0), _votes(table, 1)
    assert shared(a, b) == 1.0
    assert swap_p(a, b) == sign_flip_p(np.asarray(a.ratings) - np.asarray(b.ratings))
    mixed = np.random.default_rng(0).permutation(12)
    shuffled = Votes(*(np.asarray(side)[mixed] for side in b))
    assert swap_p(a, shuffled) == swap_p(a, b)


def test_without_shared_blocks_the_larger_p_of_raters_and_items() -> None:
    y, system, rater, item = table = _simulated(7, 6, 8, 2, latin=True)
    a, b = _votes(table, 0), _votes(table, 1)
    assert shared(a, b) == 0.0
    expected = []
    for labels in (rater, item):
        sides = [
            np.bincount(labels[system == k], y[system == k]) / np.bincount(labels[system == k])
            for k in (0, 1)
        ]
        expected.append(sign_flip_p(sides[0] - sides[1]))
    assert swap_p(a, b) == pytest.approx(max(expected))
    strangers = Votes(b.ratings, np.asarray(b.raters) + 100, b.items)
    assert math.isnan(swap_p(a, strangers))


def test_swap_p_is_uniform_where_no_one_hears_a_difference() -> None:
    found = []
    for seed in range(300):
        table = _simulated(seed, 6, 6, 2, latin=False, rater_system=0.0, item_system=0.0)
        found.append(swap_p(_votes(table, 0), _votes(table, 1), flips=400, seed=seed))
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01


@pytest.mark.parametrize("latin", [False, True])
def test_the_larger_p_is_not_too_small_where_raters_and_items_differ(latin: bool) -> None:
    found = []
    for seed in range(300):
        table = _simulated(seed, 12, 12, 2, latin)
        a, b = _votes(table, 0), _votes(table, 1)
        found.append(swap_p(a, b, blocks=False, flips=400, seed=seed))
    # One-sided: too many small ps would show. 0.05 and three binomial sds of 300.
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_blocks_refute_systems_that_are_equal_only_on_average() -> None:
    found = []
    for seed in range(100):
        table = _simulated(seed, 12, 12, 2, latin=False)
        found.append(swap_p(_votes(table, 0), _votes(table, 1), flips=400, seed=seed))
    assert np.mean(np.array(found) <= 0.05) > 0.10  # as the docstring says: not the test for that


@pytest.mark.parametrize(("latin", "systems"), [(False, 3), (True, 2), (True, 4)])
def test_components_are_recovered_without_bias(latin: bool, systems: int) -> None:
    found = [
        crossed.component_variances(*_simulated(seed, 30, 24, systems, latin))
        for seed in range(150)
    ]
    for name, size in SIZES.items():
        own = np.array([one[name] for one in found])
        error = own.std(ddof=1) / math.sqrt(len(own))
        assert own.mean() == pytest.approx(size**2, abs=3.5 * error)
        assert error < 0.02


def test_components_with_votes_dropped_at_random() -> None:
    found = []
    for seed in range(100):
        table = _simulated(seed, 25, 20, 3, latin=False)
        kept = np.random.default_rng([seed, 1]).random(len(table[0])) < 0.4
        found.append(crossed.component_variances(*(side[kept] for side in table)))
    for name, size in SIZES.items():
        own = np.array([one[name] for one in found])
        assert own.mean() == pytest.approx(size**2, abs=3.5 * own.std(ddof=1) / 10)


def test_components_of_a_full_table_are_the_analysis_of_variance() -> None:
    y, *labels = _simulated(1, 5, 6, 3, latin=False)
    found = crossed.component_variances(y, *labels)
    table = y.reshape(5, 6, 3)  # rater, item, system
    rater_system = table.mean(axis=1, keepdims=True)
    item_system = table.mean(axis=0, keepdims=True)
    rater, system = (table.mean(axis=axes, keepdims=True) for axes in ((1, 2), (0, 1)))
    grand = table.mean()
    own = 6 * np.sum((rater_system - rater - system + grand) ** 2) / (4 * 2)
    # The rest holds rater by item, which the model has in its residual: within each system.
    rest = table - rater_system - item_system + system
    residual = np.sum(rest**2) / (3 * 4 * 5)
    by_rater = 18 * np.sum((rater - grand) ** 2) / 4
    assert found["rater"] + found["rater_system"] / 3 + found["residual"] / 18 == pytest.approx(
        by_rater / 18
    )
    assert found["rater_system"] + found["residual"] / 6 == pytest.approx(own / 6)
    assert found["residual"] == pytest.approx(residual)
    clipped = crossed.components(y, *labels)
    assert clipped.residual == pytest.approx(math.sqrt(residual))
    assert clipped.rater_system == pytest.approx(math.sqrt(max(0.0, found["rater_system"])))


def test_components_that_the_design_mixes_up_are_refused() -> None:
    y, system, rater, item = _simulated(1, 8, 6, 2, latin=False)
    one = rater % 2 == system  # each rater hears one system
    with pytest.raises(ValueError, match="can't tell apart"):
        crossed.components(y[one], system[one], rater[one], item[one])
    with pytest.raises(ValueError, match="can't tell apart"):
        crossed.components(y, np.zeros_like(system), rater, item)


def test_equal_votes_have_no_components() -> None:
    _, *labels = _simulated(1, 5, 6, 3, latin=False)
    found = crossed.components(np.full(90, 4.0), *labels)
    assert found == crossed.Components(0.0, 0.0, 0.0, 0.0, 0.0)
