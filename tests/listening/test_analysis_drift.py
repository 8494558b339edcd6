"""A drift along the session: found where it can be told from the sentences, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mamtra_eval.listening.analysis.drifting import places
from mamtra_eval.listening.analysis.votes import Vote

DRIFT = -0.7
RATERS, ITEMS, SYSTEMS = 24, 24, 4
TESTS = 80


def _votes(seed: int, *, varied: bool, drift: float = DRIFT, swapped: int = 0) -> list[Vote]:
    """A Latin square of lists; raters tire differently, items suit systems differently.

    ``swapped`` sentences of the last list trade places, where the order is otherwise shared.
    """
    rng = np.random.default_rng(seed)
    item, rater = rng.normal(0, 0.3, ITEMS), rng.normal(0, 0.45, RATERS)
    own, suits = rng.normal(0, 0.2, (RATERS, SYSTEMS)), rng.normal(0, 0.25, (ITEMS, SYSTEMS))
    slope = rng.normal(drift, 0.3, RATERS)
    orders = [np.arange(ITEMS) for _ in range(SYSTEMS)]
    if varied:
        orders = [rng.permutation(ITEMS) for _ in orders]
    orders[-1][:swapped] = orders[-1][:swapped][::-1]
    votes = []
    for r in range(RATERS):
        for place, i in enumerate(orders[r % SYSTEMS]):
            s = (i + r) % SYSTEMS
            mean = 3 + 0.4 * s + item[i] + rater[r] + own[r, s] + suits[i, s]
            rating = mean + slope[r] * place / (ITEMS - 1) + rng.normal(0, 0.7)
            votes.append(Vote(f"s{r}", f"r{r}", f"l{r % SYSTEMS}", "t", place + 1, f"i{i}",
                              f"system {s}", None, float(rating)))  # fmt: skip
    return votes


def test_intervals_cover_a_planted_drift_where_orders_vary() -> None:
    found = [places(_votes(seed, varied=True), 0.95).drift for seed in range(TESTS)]
    covered = [one.low <= DRIFT <= one.high for one in found]
    # 95 of 100 expected; fewer than 68 of 80 has a chance of 1 in 5000 then.
    assert sum(covered) >= 68
    assert np.mean([one.value for one in found]) == pytest.approx(DRIFT, abs=0.06)
    assert np.mean([one.high < 0 for one in found]) > 0.8


def test_no_drift_is_seldom_called_one() -> None:
    found = [places(_votes(seed, varied=True, drift=0.0), 0.95).drift for seed in range(TESTS)]
    assert sum(not one.low <= 0 <= one.high for one in found) <= 12


@pytest.mark.parametrize("swapped", [0, 2])
def test_a_shared_order_has_a_reason_and_no_number(swapped: int) -> None:
    found = places(_votes(0, varied=False, swapped=swapped), 0.95)
    assert (found.drift, found.positions) == (None, ())
    assert "can't be told apart from sentences" in found.reasons[0]
    assert [one.name for one in found.lists] == ["l0", "l1", "l2", "l3"]


def test_a_step_by_hand() -> None:
    """Two items in both orders, no noise: ratings fall by 1 from one position to the next."""
    rows = [("r1", "a", 1, 4.0), ("r1", "b", 2, 4.0), ("r2", "b", 1, 5.0), ("r2", "a", 2, 3.0)]
    votes = [Vote("s", rater, "l", "t", at, item, "x", None, y) for rater, item, at, y in rows]
    more = [replace(vote, rater=f"{vote.rater}'", session="s'") for vote in votes]
    found = places([*votes, *more], 0.95)
    assert found.drift.value == pytest.approx(-1)
    assert found.drift.low is None  # no residual: nothing tells how sure it is
    assert found.reasons
    first, second = found.positions
    assert first.residual - second.residual == pytest.approx(1)


def test_one_position_or_no_votes_have_no_drift() -> None:
    vote = Vote("s", "r", "l", "t", 1, "a", "x", None, 4.0)
    assert "one position" in places([vote, replace(vote, item="b")], 0.95).reasons[0]
    assert "no votes" in places([], 0.95).reasons[0]
