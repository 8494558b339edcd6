"""Bradley-Terry against closed forms, another implementation, and simulated raters."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from mamtra_eval.statistics.bradley_terry import Preferences, fit

BETA = np.array([0.8, 0.2, -0.3, -0.7])
NAMES = np.array(["a", "b", "c", "d"])


def _simulated(
    seed: int, votes: int = 4000, order: float = 0.0, tie: float = 0.0, raters: int = 40
) -> Preferences:
    """Votes by Davidson's model with an order effect."""
    rng = np.random.default_rng(seed)
    first = rng.integers(4, size=votes)
    second = (first + rng.integers(1, 4, size=votes)) % 4
    odds = BETA[first] - BETA[second] + order
    weights = np.stack([np.exp(odds / 2), np.exp(-odds / 2), np.full(votes, tie)], axis=1)
    edges = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    drawn = np.sum(rng.random(votes)[:, None] > edges[:, :2], axis=1)
    outcomes = np.array([1.0, 0.0, 0.5])[drawn]
    return Preferences(NAMES[first], NAMES[second], outcomes, rng.integers(raters, size=votes))


def _balanced(wins: int, losses: int) -> Preferences:
    """Of a over b, the same in both orders."""
    one = ["a"] * (wins + losses) + ["b"] * (wins + losses)
    other = ["b"] * (wins + losses) + ["a"] * (wins + losses)
    outcomes = [1.0] * wins + [0.0] * losses + [0.0] * wins + [1.0] * losses
    return Preferences(one, other, outcomes, list(range(len(one))))


def test_two_systems_have_a_closed_form() -> None:
    found = fit(_balanced(30, 10), resamples=0)
    apart = math.log(3)
    assert found.strengths["a"].value == pytest.approx(apart / 2, abs=1e-4)
    assert found.strengths["b"].value == pytest.approx(-apart / 2, abs=1e-4)
    assert found.order.value == pytest.approx(0.0, abs=1e-6)
    assert found.win_rates["a", "b"].value == pytest.approx(0.75, abs=1e-4)
    assert found.win_rates["b", "a"].value == pytest.approx(0.25, abs=1e-4)
    # An odds ratio of 10 is 400 points of Elo.
    elo = found.elo["a"].value - found.elo["b"].value
    assert elo == pytest.approx(400 * math.log10(3), abs=0.05)
    assert found.elo["a"].value + found.elo["b"].value == pytest.approx(2000)
    assert found.strengths["a"].low is None
    assert (found.votes, found.raters, found.finite, found.tie) == (80, 80, True, None)


def test_the_order_term_has_a_closed_form() -> None:
    # Heard first, a wins 8 of 10 and b 6 of 10: logits γ ± (β_a - β_b).
    votes = Preferences(
        ["a"] * 100 + ["b"] * 100, ["b"] * 100 + ["a"] * 100,
        [1] * 80 + [0] * 20 + [1] * 60 + [0] * 40, ["r"] * 200,
    )  # fmt: skip
    found = fit(votes, resamples=0)
    one, other = math.log(4), math.log(1.5)
    assert found.order.value == pytest.approx((one + other) / 2, abs=1e-3)
    assert found.strengths["a"].value == pytest.approx((one - other) / 4, abs=1e-3)


def test_davidson_s_tie_has_a_closed_form() -> None:
    # Equal systems: ties are ν / (2 + ν) of all, so 20 in 100 make ν = 1/2.
    votes = Preferences(
        ["a"] * 100, ["b"] * 100, [1] * 40 + [0] * 40 + [0.5] * 20, range(100)
    )  # fmt: skip
    found = fit(votes, resamples=0)
    assert found.tie == pytest.approx(0.5, abs=1e-3)
    assert found.strengths["a"].value == pytest.approx(0.0, abs=1e-6)


def test_a_half_win_is_a_win_and_a_loss_of_half_the_weight() -> None:
    tied = fit(Preferences(["a"] * 6, ["b"] * 6, [1, 1, 1, 0, 0.5, 0.5], range(6)), ties="half",
               resamples=0)  # fmt: skip
    split = fit(Preferences(["a"] * 6, ["b"] * 6, [1, 1, 1, 1, 0, 0], range(6)), resamples=0)
    assert tied.strengths["a"].value == pytest.approx(split.strengths["a"].value, abs=1e-9)
    assert tied.tie is None


def test_strengths_are_those_of_choix() -> None:
    choix = pytest.importorskip("choix")
    votes = _simulated(1, votes=1200)
    rank = {name: k for k, name in enumerate(NAMES)}
    pairs = [
        (rank[one], rank[other]) if won else (rank[other], rank[one])
        for one, other, won in zip(*votes[:3], strict=True)
    ]
    expected = choix.opt_pairwise(4, pairs, alpha=1e-9)
    # Each vote in both orders, so that ours has no order effect to find, either.
    both = Preferences(
        np.concatenate([votes.first, votes.second]), np.concatenate([votes.second, votes.first]),
        np.concatenate([votes.outcomes, 1 - votes.outcomes]), np.tile(votes.raters, 2),
    )  # fmt: skip
    found = fit(both, resamples=0)
    values = [found.strengths[name].value for name in NAMES]
    assert values == pytest.approx(expected - expected.mean(), abs=1e-4)


@pytest.mark.parametrize("ties", ["davidson", "half"])
def test_the_likelihood_is_at_its_maximum(ties: str) -> None:
    votes = _simulated(2, votes=500, order=0.3, tie=0.6)
    found = fit(votes, ties=ties, resamples=0)
    first = np.searchsorted(NAMES, votes.first)
    second = np.searchsorted(NAMES, votes.second)
    outcomes = np.asarray(votes.outcomes)

    def log_likelihood(at: np.ndarray) -> float:
        odds = np.exp(at[first] - at[second] + at[4])
        weight = math.exp(at[5]) * np.sqrt(odds) if ties == "davidson" else 0.0
        whole = odds + 1 + weight
        tied = np.log(weight / whole) if ties == "davidson" else np.log(odds / whole**2) / 2
        each = np.select(
            [outcomes == 1, outcomes == 0], [np.log(odds / whole), -np.log(whole)], tied
        )
        return float(each.sum())

    at = [found.strengths[name].value for name in NAMES] + [found.order.value]
    at.append(math.log(found.tie) if found.tie else 0.0)
    slope = approx_fprime(np.array(at), log_likelihood, 1e-6)
    assert np.abs(slope).max() < 0.01  # of 500 votes; what the prior's slope leaves is 0.001


def test_intervals_hold_the_truth_and_are_seeded() -> None:
    votes = _simulated(3, order=0.4, tie=0.5)
    found = fit(votes, resamples=200, seed=4)
    for name, beta in zip(NAMES, BETA, strict=True):
        value, low, high = found.strengths[name]
        assert low < beta < high
        assert low < value < high
        assert high - low < 0.4
    assert found.order.low < 0.4 < found.order.high
    assert found.tie == pytest.approx(0.5, abs=0.06)
    assert sum(one.value for one in found.strengths.values()) == pytest.approx(0.0, abs=1e-9)
    assert found == fit(votes, resamples=200, seed=4)
    assert found != fit(votes, resamples=200, seed=5)


def test_raters_are_drawn_whole() -> None:
    votes = _simulated(5, votes=400)
    alone = fit(votes._replace(raters=np.arange(400)), resamples=200)
    # Every vote four times, each rater's own: nothing more is known than from 400.
    again = Preferences(*(np.tile(np.asarray(side), 4) for side in votes[:3]),
                        np.tile(np.arange(400), 4))  # fmt: skip
    repeated = fit(again, resamples=200)
    one, other = alone.strengths["a"], repeated.strengths["a"]
    assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.02)


def _equal(seed: int) -> Preferences:
    """24 raters, 20 items, three systems: equal on average, not at an item or to a rater."""
    rng = np.random.default_rng(seed)
    rater, item = np.divmod(np.arange(24 * 20), 20)
    first, second = np.array(list(permutations(range(3), 2)))[(rater + item) % 6].T
    at_item = 0.7 / math.sqrt(2) * rng.normal(size=(3, 20))
    to_rater = 0.5 / math.sqrt(2) * rng.normal(size=(3, 24))
    odds = at_item[first, item] - at_item[second, item]
    odds += to_rater[first, rater] - to_rater[second, rater]
    won = rng.random(len(odds)) < 1 / (1 + np.exp(-odds))
    return Preferences(NAMES[first], NAMES[second], won.astype(float), rater, item)


def test_intervals_over_raters_and_items_cover_raters_alone_do_not() -> None:
    simulations = 200
    hits = {"both": 0, "raters": 0}
    for seed in range(simulations):
        votes = _equal(seed)
        for name, given in (("both", votes), ("raters", votes._replace(items=None))):
            _, low, high = fit(given, resamples=100, seed=seed).strengths["a"]
            hits[name] += low <= 0 <= high
    error = math.sqrt(0.98 * 0.02 / simulations)
    assert hits["both"] / simulations >= 0.92
    assert hits["both"] / simulations == pytest.approx(0.98, abs=3 * error)  # as documented
    assert hits["raters"] / simulations == pytest.approx(0.82, abs=0.08)


def test_items_change_intervals_but_no_value() -> None:
    votes = _equal(1)
    both, alone = fit(votes, resamples=100), fit(votes._replace(items=None), resamples=100)
    for name in "abc":
        assert both.strengths[name].value == pytest.approx(alone.strengths[name].value, abs=1e-9)
        assert both.strengths[name].low < alone.strengths[name].low
    assert both == fit(votes, resamples=100)
    one = fit(votes._replace(items=np.zeros(480)), resamples=100)
    assert one.strengths["a"].low is None
    assert one.strengths["a"].value == pytest.approx(both.strengths["a"].value, abs=1e-9)


def test_who_always_wins_has_a_finite_strength_and_it_is_said() -> None:
    votes = Preferences(
        ["a", "b", "a", "b", "c", "b"] * 5, ["b", "a", "c", "c", "b", "c"] * 5,
        [1, 0, 1, 1, 1, 0] * 5, np.arange(30) % 6,
    )  # fmt: skip
    found = fit(votes, resamples=50)
    assert not found.finite
    assert 2 < found.strengths["a"].value < 10
    assert all(math.isfinite(one.low) for one in found.strengths.values())


def test_groups_that_never_met_are_named() -> None:
    votes = Preferences(["a", "c", "a"], ["b", "d", "b"], [1, 0, 0], [0, 1, 2])
    with pytest.raises(ValueError, match="a, b; c, d"):
        fit(votes)


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        (Preferences([], [], [], []), "n > 0"),
        (Preferences(["a"], ["b"], [1, 0], ["r"]), "one shape"),
        (Preferences(["a"], ["b"], [1], ["r"], ["i", "j"]), "one shape"),
        (Preferences(["a"], ["b"], [0.7], ["r"]), "outcomes"),
        (Preferences(["a"], ["b"], [math.nan], ["r"]), "outcomes"),
        (Preferences(["a", "a"], ["b", "a"], [1, 0], ["r", "q"]), "a was compared with itself"),
    ],
)
def test_what_is_no_preference_is_refused(votes: Preferences, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        fit(votes)


def test_ties_are_counted_in_two_ways_only() -> None:
    with pytest.raises(ValueError, match="davidson"):
        fit(_balanced(3, 2), ties="drop")
