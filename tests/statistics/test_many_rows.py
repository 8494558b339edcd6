"""Resampling many rows: each kind of column in its own way, to the sums that one product gives."""

from __future__ import annotations

import numpy as np
import pytest

from mamtra_eval.statistics import aggregates, bootstrap

N = bootstrap.LONG + 100
RESAMPLES = 150


def _blocks() -> list[np.ndarray]:
    """Rare flags, common counts, scores, a histogram; the second block has a column again."""
    rng = np.random.default_rng(7)
    flags = (rng.random(N) < 0.01).astype(float)
    counts, scores, ones = rng.poisson(3.0, N).astype(float), rng.normal(3, 1, N), np.ones(N)
    levels = aggregates.quantile(rng.integers(40, size=N) / 40, ones, 0.5).columns
    return [np.stack([flags, counts], axis=1), np.stack([scores, counts], axis=1), levels]


def _plain(blocks: list[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    drawn = rng.integers(N, size=(RESAMPLES, N))
    weights = np.stack([np.ones(N), *(np.bincount(one, minlength=N) for one in drawn)])
    return [weights @ block for block in blocks]


def test_whole_numbers_are_summed_exactly_and_scores_but_for_rounding() -> None:
    found, plain = bootstrap.resample_blocks(_blocks(), RESAMPLES, 5), _plain(_blocks())
    np.testing.assert_array_equal(found[0], plain[0])
    np.testing.assert_array_equal(found[2], plain[2])
    np.testing.assert_array_equal(found[1][:, 1], plain[1][:, 1])
    np.testing.assert_allclose(found[1][:, 0], plain[1][:, 0], rtol=1e-12)


def test_whole_numbers_too_large_for_single_precision_are_summed_in_double() -> None:
    large = np.full((N, 1), 2.0**24 / N + 1.0).round()
    large[::2] += 1.0
    [found] = bootstrap.resample_blocks([large], RESAMPLES, 5)
    np.testing.assert_array_equal(found, _plain([large])[0])


def test_how_many_draws_are_made_at_a_time_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = bootstrap.resample_blocks(_blocks(), RESAMPLES, 5)
    monkeypatch.setattr(bootstrap, "CHUNK", 1)
    monkeypatch.setattr(bootstrap, "FEWEST_DRAWS", 7)
    for one, other in zip(before, bootstrap.resample_blocks(_blocks(), RESAMPLES, 5), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_values_that_are_not_finite_are_refused() -> None:
    blocks = _blocks()
    blocks[1][3, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        bootstrap.resample_blocks(blocks, RESAMPLES, 5)
