"""Variance components: planted ones, by hand, against one-way analysis of variance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mamtra_eval.statistics import power, variance


def _readings(
    shape: tuple[int, int, int], *, utterance: float, seed: float, recogniser: float, pair: float,
    rest: float, at: int = 0,
) -> np.ndarray:  # fmt: skip
    """Readings of a model with these standard deviations."""
    a, b, c = shape
    rng = np.random.default_rng(at)
    effects = (
        rng.normal(0, utterance, (a, 1, 1)), rng.normal(0, seed, (a, b, 1)),
        rng.normal(0, recogniser, (1, 1, c)), rng.normal(0, pair, (a, 1, c)),
        rng.normal(0, rest, (a, b, c)),
    )  # fmt: skip
    return sum(effects, start=np.zeros(shape))


def test_planted_components_are_found() -> None:
    found = variance.split(
        _readings((4000, 4, 3), utterance=2, seed=1.5, recogniser=0.5, pair=1, rest=0.7)
    )
    assert found.utterance == pytest.approx(4, rel=0.06)
    assert found.seed == pytest.approx(2.25, rel=0.06)
    assert found.recogniser_by_utterance == pytest.approx(1, rel=0.08)
    assert found.residual == pytest.approx(0.49, rel=0.05)
    assert found.recogniser is not None  # of three recognisers, which says little of their sd
    assert sum(found.shares().values()) == pytest.approx(1)


def test_estimates_are_unbiased_where_a_component_is_absent() -> None:
    raw = [
        variance.split(
            _readings((20, 3, 2), utterance=1, seed=0, recogniser=0.3, pair=0, rest=1, at=n)
        ).raw
        for n in range(1500)
    ]
    for name, true in (("seed", 0), ("recogniser_by_utterance", 0), ("utterance", 1),
                       ("residual", 1), ("recogniser", 0.09)):  # fmt: skip
        values = np.array([one[name] for one in raw])
        assert abs(values.mean() - true) < 4 * stats.sem(values), name
    negative = next(one for one in raw if one["seed"] < 0)
    assert negative["seed"] < 0  # told as it is; taken for zero


def test_by_hand() -> None:
    # Two texts twice: means 1 and 5, within each ±1. MS between 2 * 8 = 16, within 2.
    found = variance.split(np.array([[[0.0], [2.0]], [[4.0], [6.0]]]))
    assert found.seed == 2
    assert found.utterance == (16 - 2) / 2
    assert found.recogniser is found.recogniser_by_utterance is found.residual is None
    assert found.of_mean(2, 2) == pytest.approx(np.sqrt((7 + 2 / 2) / 2))


def test_one_recogniser_is_one_way_analysis_of_variance() -> None:
    table = _readings((40, 3, 1), utterance=1, seed=1, recogniser=0, pair=0, rest=0)
    found = variance.split(table)
    f = stats.f_oneway(*table[:, :, 0]).statistic
    assert f == pytest.approx((3 * found.raw["utterance"] + found.raw["seed"]) / found.raw["seed"])
    spread = power.spread([*table[:, :, 0]])
    assert (found.utterance, found.seed) == pytest.approx(spread)


def test_the_standard_error_of_what_was_seen_is_that_of_the_means() -> None:
    table = _readings((60, 2, 2), utterance=2, seed=1, recogniser=1, pair=1, rest=1)
    found = variance.split(table)
    assert min(found.raw.values()) > 0
    assert found.of_mean(60, 2, 2) == pytest.approx(stats.sem(table.mean(axis=(1, 2))))


def test_without_repeats_text_and_seed_are_one() -> None:
    table = _readings((2000, 1, 2), utterance=1, seed=1, recogniser=0, pair=1, rest=1)
    found = variance.split(table)
    assert found.seed is found.residual is None
    assert found.utterance == pytest.approx(2, rel=0.15)
    assert found.recogniser_by_utterance == pytest.approx(2, rel=0.15)


def test_readings_that_agree_have_no_noise() -> None:
    found = variance.split(np.ones((5, 2, 2)))
    assert found.of_mean(5) == 0
    assert {*found.shares().values()} == {0.0}


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 2), (3, 0, 2)])
def test_shapes_are_checked(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="utterances, repeats, recognisers"):
        variance.split(np.zeros(shape))


def test_nothing_may_be_missing() -> None:
    with pytest.raises(ValueError, match="finite"):
        variance.split(np.full((3, 2, 1), np.nan))
