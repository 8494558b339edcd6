"""The meter, with a clock that the tests move."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.profiling import meter
from mamtra_eval.profiling.meter import Rules


class Hands:
    """A clock whose hands a task moves; remembers who was visited."""

    def __init__(self) -> None:
        self.now = 0.0
        self.visited: list[str] = []

    def __call__(self) -> float:
        return self.now

    def task(self, name: str, *seconds: float, units: int = 1) -> meter.Task:
        """A task that takes these times in turn, again and again."""
        turns = 0

        def visit() -> int:
            nonlocal turns
            self.visited.append(name)
            self.now += seconds[turns % len(seconds)]
            turns += 1
            return units

        return visit


QUICK = Rules(runs=4, seconds=0, limit_s=100, warm_up_runs=0, warm_up_s=0)


def test_samples_are_seconds_a_unit() -> None:
    clock = Hands()
    found = meter.measure({"a": clock.task("a", 2.0, units=4)}, QUICK, clock)
    assert found == {"a": [0.5, 0.5, 0.5, 0.5]}


def test_tasks_take_turns_and_the_order_is_reversed_each_round() -> None:
    clock = Hands()
    tasks = {name: clock.task(name, 1.0) for name in "abc"}
    meter.measure(tasks, QUICK, clock)
    assert "".join(clock.visited) == "abccbaabccba"


def test_a_clock_that_slows_down_is_shared_by_both() -> None:
    # Every visit takes longer than the one before: in turns and reversed, both get the same mean.
    clock = Hands()
    slowing = iter(range(1, 1000))

    def visit() -> int:
        clock.now += next(slowing)
        return 1

    rules = Rules(runs=8, seconds=0, limit_s=1e9, warm_up_runs=0, warm_up_s=0, spread=1e9)
    found = meter.measure({"a": visit, "b": visit}, rules, clock)
    assert np.mean(found["a"]) == np.mean(found["b"])


def test_warm_up_is_thrown_away() -> None:
    clock = Hands()
    rules = Rules(runs=2, seconds=0, limit_s=1000, warm_up_runs=3, warm_up_s=0)
    found = meter.measure({"a": clock.task("a", 9.0, 9.0, 9.0, 1.0, 1.0)}, rules, clock)
    assert found["a"] == [1.0, 1.0]


def test_warm_up_goes_on_for_its_seconds_but_not_beyond_a_quarter_of_the_limit() -> None:
    clock = Hands()
    rules = Rules(runs=1, seconds=0, limit_s=1000, warm_up_runs=1, warm_up_s=5)
    meter.measure({"a": clock.task("a", 1.0)}, rules, clock)
    assert len(clock.visited) == 5 + 1
    clock = Hands()
    rules = Rules(runs=1, seconds=0, limit_s=8, warm_up_runs=50, warm_up_s=5)
    meter.measure({"a": clock.task("a", 1.0)}, rules, clock)
    assert len(clock.visited) == 2 + 1


def test_visits_go_on_for_the_least_time() -> None:
    clock = Hands()
    rules = Rules(runs=2, seconds=7, limit_s=1000, warm_up_runs=0, warm_up_s=0)
    assert len(meter.measure({"a": clock.task("a", 1.0)}, rules, clock)["a"]) == 7


def test_a_noisy_task_is_visited_up_to_the_limit_and_told_to_be_unstable() -> None:
    clock = Hands()
    rules = Rules(runs=4, seconds=0, limit_s=60, warm_up_runs=0, warm_up_s=0)
    tasks = {"noisy": clock.task("noisy", 1.0, 3.0, 1.0, 2.0), "calm": clock.task("calm", 1.0)}
    found = meter.measure(tasks, rules, clock)
    assert sum(found["noisy"]) >= 60 > sum(found["noisy"][:-1])
    assert len(found["calm"]) == 4
    assert "unstable" in meter.summarize(found["noisy"]).unstable
    assert meter.summarize(found["calm"]).unstable == ""


def test_samples_that_drift_are_unstable_though_each_half_is_calm() -> None:
    slow = meter.summarize([1.0, 1.0, 1.0, 1.0, 1.2, 1.2, 1.2, 1.2], spread=0.5)
    assert slow.unstable == ""
    drifted = meter.summarize([*[1.0] * 7, *[1.2] * 3, *[1.0] * 0], spread=0.15)
    assert "drifted by +20 %" in drifted.unstable


def test_the_device_is_waited_for_at_both_ends_of_a_visit() -> None:
    clock = Hands()
    waits: list[int] = []
    rules = Rules(runs=3, seconds=0, limit_s=100, warm_up_runs=0, warm_up_s=0)
    meter.measure({"a": clock.task("a", 1.0)}, rules, clock, lambda: waits.append(1))
    assert len(waits) == 6


def test_a_summary_by_hand() -> None:
    found = meter.summarize([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (found.n, found.median, found.q25, found.q75) == (5, 3.0, 2.0, 4.0)
    assert found.percentiles == {}


@pytest.mark.parametrize(
    ("n", "names"), [(49, []), (50, ["p90"]), (100, ["p90", "p95"]), (1000, ["p90", "p95", "p99"])]
)
def test_percentiles_are_given_where_the_samples_bear_them(n: int, names: list[str]) -> None:
    found = meter.summarize([float(value) for value in range(n)])
    assert list(found.percentiles) == names
    if names:
        assert found.percentiles["p90"] == pytest.approx(0.9 * (n - 1))


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=60))
def test_a_median_lies_among_its_quartiles_and_samples(samples: list[float]) -> None:
    found = meter.summarize(samples)
    assert min(samples) <= found.q25 <= found.median <= found.q75 <= max(samples)


@pytest.mark.parametrize(
    "wrong",
    [
        {"runs": 0},
        {"seconds": -1},
        {"limit_s": 0},
        {"spread": 0},
        {"warm_up_runs": -1},
        {"seconds": float("nan")},
        {"limit_s": float("nan")},
        {"limit_s": float("inf")},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Rules(**wrong)  # type: ignore[arg-type]
