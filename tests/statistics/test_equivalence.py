"""Verdicts by hand, and how often they are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.equivalence import Verdict, verdict

MARGIN = 0.5


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-2.0, -0.6, Verdict.INFERIOR),
        (-2.0, -0.4, Verdict.UNDECIDED),  # a loss, and how large is open
        (-0.4, -0.1, Verdict.EQUIVALENT),  # a loss, and smaller than the margin
        (-0.4, 0.4, Verdict.EQUIVALENT),
        (-0.4, 0.9, Verdict.NON_INFERIOR),
        (-0.9, 0.9, Verdict.UNDECIDED),
        (0.1, 0.9, Verdict.BETTER),
        (0.6, 0.9, Verdict.BETTER),
        (-0.5, 0.1, Verdict.UNDECIDED),  # the margin itself is not within it
    ],
)
def test_each_verdict(low: float, high: float, expected: Verdict) -> None:
    middle = (low + high) / 2
    assert verdict(Estimate(middle, low, high), MARGIN, higher_is_better=True) is expected
    mirrored = Estimate(-middle, -high, -low)
    assert verdict(mirrored, MARGIN, higher_is_better=False) is expected


def test_better_is_read_off_the_interval_that_is_shown() -> None:
    tested, shown = Estimate(0.3, 0.05, 0.45), Estimate(0.3, -0.05, 0.55)
    found = verdict(tested, MARGIN, higher_is_better=True, shown=shown)
    assert found is Verdict.EQUIVALENT
    assert verdict(tested, MARGIN, higher_is_better=True) is Verdict.BETTER


def test_without_an_interval_nothing_is_decided() -> None:
    assert verdict(Estimate(0.0, None, None), MARGIN, higher_is_better=True) is Verdict.UNDECIDED
    with pytest.raises(ValueError, match="positive"):
        verdict(Estimate(0.0, -1.0, 1.0), 0.0, higher_is_better=True)


def test_at_the_margin_non_inferiority_is_claimed_in_one_of_twenty() -> None:
    """Two one-sided tests at 5 %: the 90 % interval (Schuirmann, 1987)."""
    rng = np.random.default_rng(2)
    n, trials, claimed = 200, 2000, 0
    half = 1.6449 / n**0.5
    for mean in rng.normal(-MARGIN, 1 / n**0.5, trials):
        found = verdict(Estimate(mean, mean - half, mean + half), MARGIN, higher_is_better=True)
        claimed += found in {Verdict.EQUIVALENT, Verdict.NON_INFERIOR, Verdict.BETTER}
    assert claimed / trials == pytest.approx(0.05, abs=0.015)
