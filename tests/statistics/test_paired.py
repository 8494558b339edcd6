"""Paired comparisons against published values, other implementations and their own promises."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.statistics.paired import holm, sign_flip_p, sign_flip_ps, tie_groups

FISHER = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Differences in height of Darwin's 15 pairs of plants (eighths of an inch): Fisher, The Design of
Experiments (1935), section 21, who counted 1,726 of the 2^15 patterns at least as extreme."""


def test_fisher_s_count_of_darwin_s_plants() -> None:
    assert sign_flip_p(FISHER) == 1726 / 2**15


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=9))
def test_small_samples_are_scipy_s_exact_test(values: list[int]) -> None:
    expected = scipy.stats.permutation_test(
        (np.array(values, dtype=float),), np.sum, permutation_type="samples",
        n_resamples=np.inf, alternative="two-sided",
    ).pvalue  # fmt: skip
    # scipy doubles the smaller tail; for flipped signs both tails are alike.
    assert sign_flip_p(values) == pytest.approx(min(1.0, expected))


def test_many_differences_come_close_to_the_normal_limit_and_are_seeded() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0.1, 1.0, 400)
    expected = scipy.stats.ttest_1samp(values, 0.0).pvalue
    found = sign_flip_p(values, flips=20_000, seed=3)
    assert found == pytest.approx(expected, abs=0.01)
    assert found == sign_flip_p(values, flips=20_000, seed=3)


def test_p_is_uniform_under_the_null_also_for_skewed_rates() -> None:
    rng = np.random.default_rng(5)
    found = []
    for trial in range(400):
        one, other = rng.gamma(0.3, 0.1, (2, 60))  # most utterances near 0, a few far out
        found.append(sign_flip_p(one - other, flips=400, seed=trial))
    assert scipy.stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.05, abs=0.025)


def test_many_comparisons_are_what_each_would_be_alone() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(0.05, 1.0, (300, 4))
    table[:, 1] = 0.0
    table[10:, 2] = 0.0  # ten utterances, gone through exactly
    table[::2, 3] = 0.0  # utterances that this comparison lacks
    found = sign_flip_ps(table, flips=20_000, seed=1)
    alone = [sign_flip_p(column[column != 0], flips=20_000, seed=1) for column in table.T]
    assert found == pytest.approx(alone, abs=0.015)
    assert found[1] == 1.0
    assert found[2] == alone[2]


def test_nothing_to_tell_and_nothing_finite() -> None:
    assert sign_flip_p([]) == sign_flip_p([0.0, 0.0]) == 1.0
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p([1.0, np.nan])


def test_holm_s_steps() -> None:
    # Worked example of Holm's procedure: 0.01, 0.04, 0.03, 0.005 -> x4, x1, x2, x3 in order.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert list(holm([])) == []
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_nor_changes_their_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert np.all(adjusted >= np.minimum(p_values, 1.0))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(adjusted[order]) >= 0)


def _differs(*pairs: str) -> dict[frozenset[str], bool]:
    return {frozenset(pair): True for pair in pairs}


@pytest.mark.parametrize(
    ("differs", "letters"),
    [
        (_differs(), ["a", "a", "a", "a"]),
        (_differs("AC", "AD", "BD"), ["a", "ab", "bc", "c"]),
        (_differs("AB", "AC", "AD", "BC", "BD", "CD"), ["a", "b", "c", "d"]),
        (_differs("AD"), ["a", "ab", "ab", "b"]),
        (_differs("AC"), ["a", "ab", "b", "b"]),
    ],
)
def test_systems_share_a_letter_if_nothing_tells_them_apart(
    differs: dict[frozenset[str], bool], letters: list[str]
) -> None:
    found = tie_groups("ABCD", differs)
    assert [found[system] for system in "ABCD"] == letters


def test_more_than_26_groups_have_letters_too() -> None:
    names = [f"s{n}" for n in range(30)]
    differs = {frozenset((a, b)): True for a in names for b in names if a != b}
    found = tie_groups(names, differs)
    assert (found["s0"], found["s25"], found["s26"], found["s29"]) == ("a", "z", "a2", "d2")
    assert len(set(found.values())) == 30
