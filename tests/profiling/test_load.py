"""Closed and open loops: by a clock that the system moves, and against real threads and a server.

Where real time is involved, what is asserted follows from order and counting alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_systems import FakeClock, Patient, Scripted, speech

from mamtra_eval import registry
from mamtra_eval.errors import SynthesisError, UserError
from mamtra_eval.profiling import latency, load
from mamtra_eval.profiling.latency import Arrival, Arrivals
from mamtra_eval.profiling.load import Load
from mamtra_eval.profiling.rows import ProfileKey, ProfileRow
from mamtra_eval.profiling.spoken import Measured, Spoken
from mamtra_eval.systems import Request, System

REQUESTS = [Request("a", "one"), Request("b", "two")]
KEY = ProfileKey("s", "x", "")


class Shared(Scripted):
    concurrent = True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def steady(clock: FakeClock, seconds: float = 0.5) -> Shared:
    return Shared(clock, lambda *_: [(seconds, speech(1, cost={"tokens": 25}))])


def by_quantity(rows: list[ProfileRow]) -> dict[str, ProfileRow]:
    assert len({row.key for row in rows}) == len(rows)
    return {row.key.quantity: row for row in rows}


def test_a_closed_loop_by_hand(clock: FakeClock) -> None:
    """One stream, half a second each: warm-up to 100.5, then requests that begin before 102.5."""
    system = steady(clock)
    made = load.closed_loop(system, REQUESTS, 1, 2.0, clock)
    assert system.log == ["a", "b", "a", "b", "a"]
    assert len(made.measured.spoken) == 4
    assert [one.answer.requested_s for one in made.measured.spoken] == [100.5, 101, 101.5, 102]
    assert made.throughput == pytest.approx(4 / 2)
    rows = by_quantity(load.rows(made, KEY))
    assert {(row.key.workload, row.key.streams, row.key.phase) for row in rows.values()} == {
        ("closed", 1, "")
    }
    assert rows["time.first_audio"].value == pytest.approx(0.5)
    assert rows["rate.throughput"].value == pytest.approx(2.0)
    assert rows["rate.rtf_system"].value == pytest.approx(0.5)
    assert rows["rate.failed"].value == 0


def test_warm_up_of_a_closed_loop_does_not_count(clock: FakeClock) -> None:
    slow_at_first = Shared(clock, lambda _, call: [(50.0 if call < 3 else 0.5, speech(1))])
    made = load.closed_loop(slow_at_first, REQUESTS, 1, 2.0, clock, warm_up=3)
    assert [one.answer.total_s for one in made.measured.spoken] == [0.5] * 4


def test_failures_are_counted(clock: FakeClock) -> None:
    failing = Shared(
        clock, lambda _, call: [(0.5, SynthesisError("busy") if call % 2 else speech(1))]
    )
    rows = by_quantity(load.rows(load.closed_loop(failing, REQUESTS, 1, 2.0, clock), KEY))
    assert rows["rate.failed"].value == 0.5
    assert rows["rate.failed"].detail["errors"] == {"busy": 2}
    assert rows["rate.throughput"].value == pytest.approx(2 / 2)


def test_an_endpoint_that_only_fails_ends_too(clock: FakeClock) -> None:
    dead = Shared(clock, lambda *_: [(0.5, SynthesisError("gone"))])
    rows = by_quantity(load.rows(load.closed_loop(dead, REQUESTS, 1, 2.0, clock), KEY))
    assert rows["rate.failed"].value == 1
    assert "all 4 requests failed: gone" in rows["rate.rtf"].error  # type: ignore[operator]
    assert rows["rate.throughput"].value == 0


def test_open_loop_counts_from_the_scheduled_time(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One place, half a second each, asked for every quarter of a second: the queue grows."""
    times = [0.0, 0.25, 0.5, 0.75, 3.0]
    monkeypatch.setattr(load, "poisson", lambda *_: times)
    system = steady(clock)
    made = load.open_loop(
        system, REQUESTS, 4.0, 3.5, 0, clock, warm_up_s=0.0, in_flight=1, sleep=clock.pass_by
    )
    waits = [one.answer.total_s for one in made.measured.spoken]
    assert waits == pytest.approx([0.5, 0.75, 1.0, 1.25, 0.5])
    assert made.late == 3
    assert made.measured.wall_s == pytest.approx(3.5)
    rows = by_quantity(load.rows(made, KEY))
    first = rows["time.first_audio"]
    assert first.key == replace(KEY, quantity="time.first_audio", workload="open", phase="4/s")
    assert first.value == pytest.approx(0.75)
    assert first.detail["rate"] == 4
    assert first.detail["achieved_rate"] == pytest.approx(5 / 3.5)
    assert any("3 requests were sent more than 10 ms late" in note for note in first.notes)


def test_a_closed_loop_hides_the_same_queue(clock: FakeClock) -> None:
    made = load.closed_loop(steady(clock), REQUESTS, 1, 2.0, clock)
    assert {one.answer.total_s for one in made.measured.spoken} == {0.5}


def test_the_start_of_an_open_loop_does_not_count(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "poisson", lambda *_: [0.0, 1.0, 2.0])
    made = load.open_loop(
        steady(clock), REQUESTS, 1.0, 2.0, 0, clock, warm_up_s=1.0, in_flight=1,
        sleep=clock.pass_by,
    )  # fmt: skip
    assert [one.answer.requested_s for one in made.measured.spoken] == [101, 102]
    assert made.measured.wall_s == pytest.approx(2.0)


def test_no_request_in_time_is_a_row(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "poisson", lambda *_: [])
    made = load.open_loop(steady(clock), REQUESTS, 0.1, 1.0, 0, clock, in_flight=1)
    [row] = load.rows(made, KEY)
    assert row.value is None
    assert "no request" in row.error  # type: ignore[operator]


@given(st.floats(0.5, 50), st.integers(0, 5))
def test_the_schedule_belongs_to_its_seed(rate: float, seed: int) -> None:
    times = load.poisson(rate, 20.0, seed)
    assert times == load.poisson(rate, 20.0, seed)
    assert times == sorted(times)
    assert all(0 < at < 20 for at in times)
    assert not times or times != load.poisson(rate, 20.0, seed + 1)


def test_the_schedule_has_its_rate_and_its_spread() -> None:
    """Gaps of a Poisson process: mean 1/rate, and a standard deviation as large."""
    times = load.poisson(5.0, 4000.0, 1)
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(0.2, rel=0.03)
    assert spread == pytest.approx(0.2, rel=0.05)


def test_all_slots_are_busy_when_counting_starts() -> None:
    """Four streams, one of which is slow to warm up: the others go on meanwhile."""
    slow = threading.Event()
    calls, freed, lock = [0], [0.0], threading.Lock()

    def work() -> None:
        with lock:
            calls[0] += 1
            mine = calls[0]
        if mine == 1:
            assert slow.wait(10)
            freed[0] = time.perf_counter()
        elif mine == 12:  # three others have had several answers by now
            slow.set()
        else:
            time.sleep(0.002)

    system = Patient(work, places=4)
    made = load.closed_loop(system, REQUESTS, 4, 0.3)
    assert max(system.seen) == 4
    assert made.measured.spoken
    assert all(one.answer.requested_s >= freed[0] for one in made.measured.spoken)


def test_queueing_shows_in_the_open_loop_and_not_in_the_closed() -> None:
    """A server of one place: a stream alone never waits, requests that come together do."""
    closed = Patient(lambda: time.sleep(0.005), places=1)
    load.closed_loop(closed, REQUESTS, 1, 0.1)
    assert max(closed.seen) == 1
    opened = Patient(lambda: time.sleep(0.02), places=1)
    made = load.open_loop(opened, REQUESTS, 200.0, 0.3, 0, warm_up_s=0.0, in_flight=16)
    assert max(opened.seen) > 1
    served = 0.02 * len(made.measured.spoken)  # one after the other, so it takes at least so long
    last = max(one.answer.total_s for one in made.measured.spoken)
    assert last >= served - 0.3 - 0.02


def test_an_interrupted_loop_ends_its_workers() -> None:
    class Broken(Patient):
        def stream(self, request: Request) -> Iterator:  # type: ignore[type-arg]
            raise SystemExit

    before = threading.active_count()
    with pytest.raises(SystemExit):
        load.closed_loop(Broken(lambda: None, 1), REQUESTS, 3, 60.0)
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("system", "arguments", "reason"),
    [
        (lambda clock: Scripted(clock, lambda *_: []), (1, 1.0), "several threads"),
        (steady, (0, 1.0), "0 streams"),
        (steady, (1, 0.0), "for 0 s"),
        (lambda _: registry.create("systems", "http", {"url": "http://h/"}), (5, 1.0),
         "lets 4 requests through.*concurrency=5"),
    ],
)  # fmt: skip
def test_loads_that_make_no_sense_are_refused(
    clock: FakeClock,
    system: Callable[[FakeClock], System],
    arguments: tuple[int, float],
    reason: str,
) -> None:
    with pytest.raises(UserError, match=reason):
        load.closed_loop(system(clock), REQUESTS, *arguments, clock)


def test_a_rate_must_be_one(clock: FakeClock) -> None:
    with pytest.raises(UserError, match="a rate of 0"):
        load.open_loop(steady(clock), REQUESTS, 0.0, 1.0, 0, clock)


def of(
    streams: int, first_s: float, n: int = 100, gap_s: float = 0.0, failed: int = 0, rtf: float = 0
) -> Load:
    pieces = (Arrival(first_s, 1.0), Arrival(first_s + 1.0 + gap_s, 1.0))
    if rtf:
        pieces = (Arrival(first_s, 1.0), Arrival(2.0 * rtf, 1.0))
    spoken = [Spoken("a", 0, visit, Arrivals(0.0, pieces)) for visit in range(n)]
    return Load("closed", streams, Measured(spoken, ["x"] * failed, 1.0))


def test_streams_at_a_service_level() -> None:
    loads = {1: of(1, 0.1), 2: of(2, 0.2), 4: of(4, 0.3), 8: of(8, 0.9)}
    found = load.streams_at_slo(loads, 0.3)
    assert found.streams == 4
    assert found.missed == {8: ("first audio p95 0.900 s > 0.3 s",)}
    assert found.notes == ()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (of(2, 0.2, gap_s=0.2), "0.0 % of answers without a gap"),
        (of(2, 0.2, failed=1), "1 of 101 requests failed"),
        (of(2, 0.2, n=0, failed=3), "nothing was spoken"),
        (of(2, 0.2, rtf=1.5), "RTF p95 1.50 is not below 1"),
    ],
)
def test_each_part_of_a_service_level_counts(bad: Load, reason: str) -> None:
    found = load.streams_at_slo({1: of(1, 0.1), 2: bad}, 0.3)
    assert found.streams == 1
    assert reason in found.missed[2]


def test_few_requests_and_odd_results_are_told() -> None:
    found = load.streams_at_slo({1: of(1, 0.9), 2: of(2, 0.2, n=20)}, 0.3)
    assert found.streams == 2
    assert found.notes == (
        "n too small for p95 at 2 streams: medians",
        "1 streams missed it, more met it: repeat the measurement",
    )
    assert load.streams_at_slo({1: of(1, 0.9)}, 0.3).streams == 0


def test_audio_counts_by_its_arrival(clock: FakeClock) -> None:
    """What is under way at the end counts as a request, but of its audio only what has come."""
    two = Shared(clock, lambda *_: [(0.25, speech(1)), (0.25, speech(1))])
    made = load.closed_loop(two, REQUESTS, 1, 0.8, clock)
    assert len(made.measured.spoken) == 2  # from 100.5 and from 101.0, which ends at 101.5
    assert made.arrived_s == 3
    assert made.throughput == pytest.approx(3 / 0.8)


def test_an_endpoint_under_both_loads(endpoint: str) -> None:
    options = {"url": f"{endpoint}/pieces", "retries": 0, "concurrency": 4}
    system = registry.create("systems", "http", options)
    try:
        closed = load.closed_loop(system, REQUESTS, 4, 0.5)
        opened = load.open_loop(system, REQUESTS, 40.0, 0.5, 7, warm_up_s=0.1)
    finally:
        system.close()
    for made in (closed, opened):
        rows = by_quantity(load.rows(made, KEY))
        assert made.measured.failures == []
        assert rows["rate.failed"].value == 0
        assert rows["rate.throughput"].value > 0  # type: ignore[operator]
        assert rows["time.first_audio"].n == len(made.measured.spoken) > 0
        assert all(one.answer.audio_s == pytest.approx(0.03) for one in made.measured.spoken)
        assert all(latency.rtf(one.answer) > 0 for one in made.measured.spoken)
    assert closed.streams == opened.streams == 4


def test_an_endpoint_that_fails_under_load(endpoint: str) -> None:
    options = {"url": f"{endpoint}/broken", "retries": 0, "concurrency": 2}
    system = registry.create("systems", "http", options)
    try:
        made = load.closed_loop(system, REQUESTS, 2, 0.3)
    finally:
        system.close()
    rows = by_quantity(load.rows(made, KEY))
    assert rows["rate.failed"].value == 1
    assert "HTTP 500" in next(iter(rows["rate.failed"].detail["errors"]))
