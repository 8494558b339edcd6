"""Every payload gets exactly one outcome, whatever happens to those who work on it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.executors._work import MOST_MOVES, Batch, Work


class Account:
    """Results and losses as they are told."""

    def __init__(self, batches: list[list[int]], tries: int = 2, give_up: int = 10**9) -> None:
        self.results: Counter[int] = Counter()
        self.lost: dict[int, str] = {}
        self.work = Work(batches, self._result, self._lose, tries, give_up)

    def take(self, place: str = "", places: tuple[str, ...] = ()) -> Batch:
        batch = self.work.take(place, places)
        assert batch is not None
        return batch

    def _result(self, payload: int, result: object) -> None:
        assert result == payload * 10
        self.results[payload] += 1

    def _lose(self, payload: int, reason: str) -> None:
        assert payload not in self.lost
        self.lost[payload] = reason


def _batches(sizes: list[int]) -> list[list[int]]:
    numbers = iter(range(sum(sizes)))
    return [[next(numbers) for _ in range(size)] for size in sizes]


@settings(max_examples=200)
@given(
    st.lists(st.integers(1, 4), max_size=8),
    st.integers(1, 3),
    st.sampled_from([3, 10**9]),
    st.randoms(use_true_random=False),
)
def test_each_payload_has_one_outcome_in_any_order_of_events(sizes, tries, give_up, rng) -> None:
    batches = _batches(sizes)
    account = Account(batches, tries, give_up)
    work, out = account.work, []
    places = ("a", "b", "c")
    while work.left:
        place = rng.choice(places)
        if len(out) < 3 and (batch := work.take(place, places)) is not None:
            out.append((batch, place))
            continue
        if not out:  # what fell here is left for the other places
            continue
        batch, place = out.pop(rng.randrange(len(out)))
        event = rng.choice(("result", "result", "fell", "moved", "untouched"))
        if event == "result":
            index = rng.choice(sorted(batch.pending))
            work.done(batch, index, batch.payloads[index] * 10)
            work.done(batch, index, batch.payloads[index] * 10)  # told twice, kept once
            if batch.pending:
                out.append((batch, place))
        elif event == "fell":
            work.fell(batch, "died", place)
        elif event == "moved":
            work.moved(batch, "gone")
        else:
            work.untouched(batch)
    every = {payload for batch in batches for payload in batch}
    assert {*account.results} | {*account.lost} == every
    assert not {*account.results} & {*account.lost}
    assert all(count == 1 for count in account.results.values())


def test_a_payload_that_fell_goes_to_another_place_while_there_is_one() -> None:
    account = Account([[1], [2]])
    account.work.fell(account.take("a", ("a", "b")), "died", "a")
    second = account.take("a", ("a", "b"))
    assert second.payloads == [2]
    account.work.done(second, 0, 20)
    assert account.work.take("a", ("a", "b")) is None
    assert account.take("b", ("a", "b")).payloads == [1]


def test_where_there_is_one_place_only_it_is_tried_there_again() -> None:
    account = Account([[1]])
    account.work.fell(account.take("a", ("a",)), "died", "a")
    account.work.fell(account.take("a", ("a",)), "died", "a")
    assert account.lost == {1: "died; quarantined after 2 tries"}


def test_neighbours_in_a_batch_are_blamed_for_nothing() -> None:
    account = Account([[1, 2, 3]], tries=1)
    batch = account.take()
    account.work.done(batch, 0, 10)
    account.work.fell(batch, "died")
    account.work.fell(account.take(), "died")
    account.work.done(account.take(), 0, 30)
    assert account.lost == {2: "died"}
    assert account.results == {1: 1, 3: 1}


def test_machines_that_vanish_are_no_fault_until_they_always_do() -> None:
    account = Account([[1]], tries=2)
    for _ in range(MOST_MOVES - 1):
        account.work.moved(account.take(), "gone")
        assert account.lost == {}
    account.work.moved(account.take(), "gone")
    assert account.lost == {}
    account.work.moved(account.take(), "gone")
    assert account.lost == {1: "gone; quarantined after 2 tries"}


def test_what_only_kills_is_given_up_without_trying_it_all() -> None:
    account = Account([[n] for n in range(100)], give_up=3)
    for _ in range(3):
        account.work.fell(account.take(), "died")
    assert account.work.left == 0
    assert len(account.lost) == 100
    assert {*account.lost.values()} == {
        "given up: 3 in a row took their workers down, the last: died"
    }


def test_a_result_between_deaths_keeps_the_rest_going() -> None:
    account = Account([[n] for n in range(6)], give_up=2)
    account.work.fell(account.take(), "died")
    account.work.done(account.take(), 0, 10)
    account.work.fell(account.take(), "died")
    assert account.work.left == 5
