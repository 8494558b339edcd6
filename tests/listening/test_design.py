"""The lists: every promise of the design, counted anew from what comes out."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.listening.building import balance
from mamtra_eval.listening.building.design import Checks, Design, Slot, conditions_of, draw
from mamtra_eval.listening.building.sequences import balanced, cost

CHECKS = Checks(gold=2, traps=2, repeats=2)


def _draw(kind="mos", systems=5, items=20, per_session=24, replicates=2, checks=CHECKS, seed="0"):
    names = [f"s{number}" for number in range(systems)]
    conditions = conditions_of(kind, names, "baseline", "s0")
    return draw([f"u{number:02}" for number in range(items)], conditions, per_session=per_session,
                replicates=replicates, checks=checks, seed=seed)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["mos", "cmos", "ab", "mushra"]),
    systems=st.integers(2, 7),
    items=st.integers(8, 30),
    per_session=st.integers(8, 30),
    raters=st.integers(1, 60),
)
def test_cells_differ_by_one_vote_at_most_whoever_comes(kind, systems, items, per_session, raters):
    design = _draw(kind, systems, items, per_session, 1, Checks())
    balance.check(design, raters)
    votes = _cells(design, len(design.lists))
    assert len({*votes.values()}) == 1
    assert len(votes) == items * len(design.conditions)
    some = _cells(design, raters)
    assert max(some.values()) - min(some.get(cell, 0) for cell in votes) <= 1


def _cells(design: Design, raters: int) -> Counter[tuple[str | None, tuple[str, ...]]]:
    """Counted by hand: the n-th rater gets the n-th list."""
    names, together = list(design.lists), len(design.conditions) == 1
    return Counter(
        (slot.item, tuple(sorted(slot.systems)) if together else slot.systems)
        for rater in range(raters)
        for slot in design.lists[names[rater % len(names)]]
        if slot.role == "rated"
    )


def test_a_rater_hears_a_sentence_once_but_for_repeats():
    for slots in _draw().lists.values():
        heard = Counter(slot.item for slot in slots if slot.role == "rated")
        assert set(heard.values()) == {1}
        for slot in slots:
            if slot.role == "repeat":
                assert slot.of is not None
                assert (slots[slot.of].item, slots[slot.of].systems) == (slot.item, slot.systems)


def test_positions_are_balanced_exactly_in_every_family():
    design = _draw()
    for family in design.families:
        for place, slots in enumerate(zip(*(design.lists[name] for name in family), strict=True)):
            if slots[0].role == "rated":
                shown = Counter(slot.systems for slot in slots)
                assert shown == Counter(design.conditions), place


def test_neighbours_are_balanced_within_one_family_and_never_alike():
    design = _draw(systems=6, items=24)
    follows: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    for slots in design.lists.values():
        rated = [slot.systems for slot in slots if slot.role == "rated"]
        assert all(before != after for before, after in pairwise(rated))
        follows.update(pairwise(rated))
    assert len(follows) == 6 * 5
    assert max(follows.values()) - min(follows.values()) <= 2


def test_mean_positions_are_near_the_middle_in_every_list():
    for slots in _draw(systems=4, items=24, checks=Checks()).lists.values():
        for system in ("s0", "s1", "s2", "s3"):
            own = [place for place, slot in enumerate(slots) if slot.systems == (system,)]
            assert abs(sum(own) / len(own) - 11.5) <= 0.5


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), systems=st.integers(2, 6), items=st.integers(12, 24))
def test_checks_keep_away_from_the_ends_and_repeats_from_what_they_repeat(seed, systems, items):
    for slots in _draw(systems=systems, items=items, seed=str(seed)).lists.values():
        roles = [slot.role for slot in slots]
        assert roles[:2] == ["rated", "rated"]
        assert roles[-1] == "rated"
        assert Counter(roles) == {"rated": items, "gold": 2, "trap": 2, "repeat": 2}
        for place, slot in enumerate(slots):
            if slot.role == "repeat":
                assert place - (slot.of or 0) >= len(slots) // 3


def test_both_orders_of_a_pair_are_as_frequent():
    design = _draw("cmos", systems=4, items=12)
    orders = Counter(
        slot.systems for slots in design.lists.values() for slot in slots if slot.role == "rated"
    )
    assert len({*orders.values()}) == 1
    assert all(orders[one, other] == orders[other, one] for one, other in orders)


def test_all_pairs_where_asked():
    assert len(conditions_of("ab", ["a", "b", "c"], "all", None)) == 6
    assert {*conditions_of("ab", ["a", "b", "c"], "baseline", "a")} == {
        ("a", "b"), ("b", "a"), ("a", "c"), ("c", "a"),
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["mos", "cmos", "ab", "mushra"]),
    gold=st.integers(0, 2),
    traps=st.integers(0, 2),
    repeats=st.integers(0, 4),
    null=st.integers(0, 1),
    seed=st.integers(0, 10**6),
)
def test_any_number_of_checks_finds_its_places(kind, gold, traps, repeats, null, seed):
    checks = Checks(gold, traps, repeats, null)
    for slots in _draw(kind, 3, 12, checks=checks, seed=str(seed)).lists.values():
        found = Counter(slot.role for slot in slots)
        assert found == Counter(
            {"rated": 12, "gold": gold, "trap": traps, "repeat": repeats, "null": null}
        )
        assert len({slot.of for slot in slots if slot.role == "repeat"}) == repeats


@pytest.mark.parametrize(("systems", "items"), [(5, 20), (5, 24), (6, 24), (2, 12)])
def test_sentences_change_their_places_from_list_to_list(systems, items):
    design = _draw(systems=systems, items=items, replicates=1)
    places: dict[str, set[int]] = {}
    for slots in design.lists.values():
        rated = [slot.item or "" for slot in slots if slot.role == "rated"]
        for place, item in enumerate(rated):
            places.setdefault(item, set()).add(place)
    assert (
        min(map(len, places.values())) >= 2 if systems > 2 else max(map(len, places.values())) > 1
    )
    spread = [max(own) - min(own) for own in places.values()]
    assert sum(spread) / len(spread) > items / 4


@pytest.mark.parametrize("seed", range(8))
def test_two_conditions_follow_themselves_once_at_most(seed):
    for slots in _draw(systems=2, items=21, seed=str(seed)).lists.values():
        rated = [slot.systems for slot in slots if slot.role == "rated"]
        assert all(len({*rated[at : at + 3]}) == 2 for at in range(len(rated) - 2))


def test_mushra_turns_an_order_of_its_own_for_each_sentence():
    design = _draw("mushra", systems=6, items=10)
    first = [slot.systems for slot in design.lists["l000"] if slot.role == "rated"]
    assert len({*first}) > 5
    places = Counter(
        (slot.systems[0]) for slots in design.lists.values() for slot in slots
        if slot.role == "rated"
    )  # fmt: skip
    assert len({*places.values()}) == 1


def test_the_same_seed_draws_the_same_and_another_another():
    assert _draw(seed="1") == _draw(seed="1")
    assert _draw(seed="1") != _draw(seed="2")


def test_many_sentences_make_blocks_and_the_first_raters_cover_them_all():
    design = _draw(systems=4, items=40, per_session=20)
    assert design.replicate == 8
    first_two = [slot.item for name in ("l000", "l001") for slot in design.lists[name]
                 if slot.role == "rated"]  # fmt: skip
    assert len({*first_two}) == 40


def test_a_list_without_room_for_its_checks_is_refused():
    with pytest.raises(UserError, match="no room for 6 checks"):
        _draw(items=3, systems=2)


def test_an_unbalanced_design_is_refused():
    slots = (Slot("rated", "u", ("a",)), Slot("rated", "v", ("a",)))
    lopsided = Design({"l000": slots, "l001": slots}, (("a",), ("b",)), (("l000", "l001"),), 2)
    with pytest.raises(UserError, match="not balanced: with all lists a cell has 0 to 2"):
        balance.check(lopsided, 2)


def test_the_report_says_what_is_there():
    told = balance.report(_draw(systems=4, items=20), raters=24)
    assert told["votes_per_cell"] == {"all_lists": [2, 2], "planned_raters": [6, 6]}
    assert told["rated_per_list"] == [20]
    assert told["roles"] == {"gold": 16, "rated": 160, "repeat": 16, "trap": 16}
    assert len({*told["mean_position"].values()}) == 1


@given(places=st.integers(2, 30), conditions=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_sequences_have_every_condition_as_often_as_the_others(places, conditions, seed):
    found = balanced(places, conditions, str(seed))
    counts = [found.count(one) for one in range(conditions)]
    assert len(found) == places
    assert max(counts) - min(counts) <= 1


def test_the_cost_of_a_williams_row_is_nothing():
    # First row of Williams' square for six treatments: every difference comes once.
    assert cost([0, 1, 5, 2, 4, 3], 6) == 0
    assert cost([0, 0, 1, 2, 3, 4], 6) >= 100
