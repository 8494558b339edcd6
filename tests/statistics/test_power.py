"""Sample sizes against textbook values and against simulated studies."""

from __future__ import annotations

import numpy as np
import pytest

from mamtra_eval.statistics import bootstrap, power
from mamtra_eval.statistics.bootstrap import Array
from mamtra_eval.statistics.equivalence import Verdict, verdict
from mamtra_eval.statistics.power import Spread

POINT = 0.01


def test_a_textbook_size() -> None:
    # Two-sided 5 %, power 80 %, difference of half a standard deviation: (1.96 + 0.842)^2 / 0.25.
    assert power.to_see(0.5, Spread(1.0, 0.0), power=0.8) == 32
    assert power.smallest(32, Spread(1.0, 0.0), power=0.8) == pytest.approx(0.495, abs=0.001)
    assert power.to_see(-0.5, Spread(1.0, 0.0), power=0.8) == 32


def test_repeats_lessen_what_varies_within_utterances_alone() -> None:
    assert power.to_see(0.1, Spread(0.0, 1.0), repeats=4) == pytest.approx(
        power.to_see(0.1, Spread(0.0, 1.0)) / 4, abs=1
    )
    assert power.to_see(0.1, Spread(1.0, 0.0), repeats=4) == power.to_see(0.1, Spread(1.0, 0.0))


def test_variances_are_found_again() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(0, 2.0, 4000)
    found = power.spread([own[i] + rng.normal(0, 3.0, 3) for i in range(4000)])
    assert found.between == pytest.approx(4.0, rel=0.15)
    assert found.within == pytest.approx(9.0, rel=0.05)
    once = power.spread([[value] for value in own])
    assert once == (pytest.approx(np.var(own, ddof=1)), 0.0)


def test_what_can_t_be_asked() -> None:
    with pytest.raises(ValueError, match="never seen"):
        power.to_see(0.0, Spread(1.0, 0.0))
    with pytest.raises(ValueError, match="not below the margin"):
        power.to_exclude(0.5, 0.5, Spread(1.0, 0.0))
    with pytest.raises(ValueError, match="two utterances"):
        power.spread([[1.0], []])


def _study(rng: np.random.Generator, n: int, loss: float) -> Array:
    """Paired differences of error rates: many utterances without error, a few bad ones."""
    words = rng.integers(6, 18, n)
    hard = rng.gamma(0.3, 0.03 / 0.3, n)  # errors a word of the teacher, by utterance
    teacher = rng.binomial(words, np.clip(hard, 0, 1)) / words
    student = rng.binomial(words, np.clip(hard + loss, 0, 1)) / words
    return student - teacher


def test_a_loss_within_the_margin_is_told_at_the_size_that_power_asks_for() -> None:
    """A planted loss of 0.3 points, a margin of 0.5: 90 % of 200 studies say non-inferior."""
    loss, margin, trials = 0.3 * POINT, 0.5 * POINT, 200
    rng = np.random.default_rng(4)
    pilot = power.spread([[value] for value in _study(rng, 20_000, loss)])
    n = power.to_exclude(margin, loss, pilot, power=0.95)
    told = {"enough": 0, "tenth": 0}
    for trial in range(trials):
        for name, size in (("enough", n), ("tenth", n // 10)):
            values = _study(rng, size, loss)
            columns = np.stack([values, np.ones(size)], axis=1)
            sums = bootstrap.resample(columns, resamples=200, seed=trial)
            found = bootstrap.interval(sums[:, 0] / sums[:, 1], size, 0.9)
            told[name] += verdict(found, margin, higher_is_better=False) in {
                Verdict.EQUIVALENT, Verdict.NON_INFERIOR, Verdict.BETTER}  # fmt: skip
    assert told["enough"] >= 0.9 * trials
    assert told["tenth"] < 0.35 * trials
