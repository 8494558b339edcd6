"""What an analysis says of votes that can be counted by hand, or were made to a truth."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.analysis.values import signed_ranks
from mamtra_eval.listening.screening.applying import Rules
from mamtra_eval.listening.trials import Refusal
from tests.listening import larger_bundles

OFF = Rules(heard_min=None, traps_min=None, gold=False, variance_min=None, faster_than_clip=False,
            median_rt_min=None, sessions_max=None, answered_min=None,
            hidden_reference_min=None)  # fmt: skip
TWO = {"old": "system", "new": "system"}
ITEMS = ("utt-01", "utt-02")


def _mos(tmp_path, table, systems=TWO, kind="mos", **options):
    """Analysis of ratings by rater, system and item."""
    options = {"baseline": "old", "margin": None, **options}
    bundle = larger_bundles.write(tmp_path, kind, systems, items=4, **options)
    sessions = [
        larger_bundles.answered(
            bundle, rater, [([system], item, [rating]) for (system, item), rating in own.items()]
        )
        for rater, own in table.items()
    ]
    return analyse(bundle, sessions, [], OFF)


def _pairs(tmp_path, kind, votes, systems=TWO, **options):
    """Analysis of votes (rater, first, second, item, rating as shown)."""
    options = {"baseline": "old", "margin": None, **options}
    bundle = larger_bundles.write(tmp_path, kind, systems, items=4, **options)
    own = {}
    for rater, first, second, item, rating in votes:
        own.setdefault(rater, []).append(([first, second], item, [rating]))
    sessions = [larger_bundles.answered(bundle, rater, rows) for rater, rows in own.items()]
    return analyse(bundle, sessions, [], OFF)


def _full(ratings):
    """Two raters, two items, two systems: r1 old i1, old i2, new i1, new i2, then r2."""
    cells = [(system, item) for system in TWO for item in ITEMS]
    return {"r1": dict(zip(cells, ratings[:4], strict=True)),
            "r2": dict(zip(cells, ratings[4:], strict=True))}  # fmt: skip


def test_two_raters_two_items_by_hand(tmp_path):
    found = _mos(tmp_path, _full([1, 3, 4, 5, 2, 2, 4, 5]))
    old, new = found.systems
    # old: e = (-1, 1, 0, 0) / 4; raters' sums 0, 0; items' sums -1/4, 1/4, so that
    # V = 0 + 2 · 2/16 - 4/3 · 2/16 = 1/12, below the larger one-way term 1/4, which it takes.
    assert old.mean.value == 2
    assert old.mean.high - 2 == pytest.approx(12.7062047 * 0.5)  # t of one degree of freedom
    assert old.naive.high - 2 == pytest.approx(1.959964 * math.sqrt(2 / 3) / 2)
    assert (old.median, old.good, old.votes, old.raters, old.items) == (2, 0, 4, 2, 2)
    assert old.distribution == {"1": 1, "2": 2, "3": 1, "4": 0, "5": 0}
    assert old.sd == pytest.approx(math.sqrt(2 / 3))
    assert (new.mean.value, new.good) == (4.5, 1.0)
    (pair,) = found.differences
    assert (pair.system, pair.other, pair.against_baseline) == ("new", "old", True)
    assert pair.estimate.value == 2.5
    assert (pair.raters, pair.items) == (2, 2)
    # Two raters, and two items, all for the new system: 2 of 4 sign patterns reach either.
    assert pair.p_swap == pytest.approx(2 / 4)
    assert pair.p_wilcoxon == pytest.approx(0.5)
    assert pair.p == pair.p_holm
    assert (pair.equivalent, pair.against_margin) == (None, None)


def test_item_mean_stands_beside_an_unbalanced_mean(tmp_path):
    found = _mos(tmp_path, {
        "r1": {("old", "utt-01"): 1, ("old", "utt-02"): 5},
        "r2": {("old", "utt-01"): 1}, "r3": {("old", "utt-01"): 1},
    })  # fmt: skip
    old = found.systems[0]
    assert (old.mean.value, old.item_mean) == (2, 3)


def test_holm_and_letters_over_all_pairs(tmp_path):
    systems = {"a": "system", "b": "system", "c": "system"}
    bundle = larger_bundles.write(tmp_path, "mos", systems, items=18, baseline="a", margin=0.5)
    sessions = larger_bundles.sessions(bundle, 30, 3, truth={"a": 3.5, "b": 3.5, "c": 1.8})
    found = analyse(bundle, sessions, [], OFF)
    p = {frozenset((one.system, one.other)): one for one in found.differences}
    ordered = sorted(one.p for one in found.differences)
    assert min(one.p_holm for one in found.differences) == pytest.approx(3 * ordered[0])
    letters = {one.name: one.letters for one in found.systems}
    assert letters["a"] == letters["b"] != letters["c"]
    assert not p[frozenset("ab")].told_apart
    assert p[frozenset("ac")].told_apart
    assert p[frozenset("ac")].against_margin == "below"
    assert p[frozenset("ac")].equivalent is False
    assert {one.other for one in found.differences if one.against_baseline} == {"a"}


def test_the_sign_of_a_comparison_is_the_systems_from_both_orders(tmp_path):
    found = _pairs(tmp_path, "cmos", [
        ("r1", "old", "new", "utt-01", 2), ("r1", "new", "old", "utt-02", -2),
        ("r2", "old", "new", "utt-01", 2), ("r2", "new", "old", "utt-02", -1),
    ])  # fmt: skip
    (pair,) = found.comparisons.pairs
    assert (pair.system, pair.other) == ("new", "old")
    assert pair.estimate.value == pytest.approx(1.75)
    assert (pair.wins, pair.ties, pair.losses, pair.win_rate) == (4, 0, 0, 1.0)
    assert pair.distribution["2"] == 3
    assert pair.order.value == pytest.approx(0.25)  # (2 - 1.5) / 2
    assert found.comparisons.order.value == pytest.approx(0.25)


def test_order_bias_does_not_enter_an_unbalanced_comparison(tmp_path):
    """No advantage, a bias of one point to the second, and one order shown three times as often."""
    votes = [(f"r{number}", "old", "new", ITEMS[number % 2], 1 + number % 3 - 1)
             for number in range(6)]  # fmt: skip
    votes += [("r0", "new", "old", "utt-03", 1), ("r1", "new", "old", "utt-04", 1)]
    (pair,) = _pairs(tmp_path, "cmos", votes).comparisons.pairs
    assert pair.estimate.value == pytest.approx(0)
    assert pair.order.value == pytest.approx(1)
    assert pair.naive.value == pytest.approx(0)  # the plain mean would have said 0.5


def test_one_order_alone_is_said(tmp_path):
    found = _pairs(tmp_path, "cmos", [("r1", "old", "new", "utt-01", 2),
                                      ("r2", "old", "new", "utt-02", 1)])  # fmt: skip
    (pair,) = found.comparisons.pairs
    assert pair.estimate.value == 1.5
    assert pair.order is None
    assert found.comparisons.order is None
    assert any("one order" in reason for reason in pair.reasons)


def test_preferences_count_ties_as_half(tmp_path):
    votes = [
        ("r1", "old", "new", "utt-01", 1), ("r1", "new", "old", "utt-02", 0),
        ("r2", "old", "new", "utt-01", 1), ("r2", "new", "old", "utt-02", 1),
    ]  # fmt: skip
    found = _pairs(tmp_path, "ab", votes).comparisons
    (pair,) = found.pairs
    assert (pair.wins, pair.ties, pair.losses) == (2, 1, 1)
    assert pair.win_rate == pytest.approx(2.5 / 4)
    assert [one.system for one in found.preferences.strengths] == ["new", "old"]
    assert sum(one.logits.value for one in found.preferences.strengths) == pytest.approx(0)
    assert found.preferences.strengths[0].elo.value > 1000


def test_a_mushra_trial_is_a_vote_of_every_system(tmp_path):
    bundle = larger_bundles.write(tmp_path, "mushra", TWO, items=4, baseline="old")
    session = larger_bundles.answered(bundle, "r1", [(["new", "old"], "utt-02", [80, 35])])
    found = analyse(bundle, [session], [], OFF)
    assert {one.name: one.mean.value for one in found.systems} == {"old": 35, "new": 80}
    assert found.systems[0].good is None
    assert found.systems[1].distribution["80–100"] == 1


@pytest.mark.parametrize("kind", ["mos", "smos", "mushra"])
def test_truth_lies_in_the_intervals(kind, tmp_path):
    high = 100 if kind == "mushra" else 5
    truth = {"teacher": 0.6 * high, "hybrid": 0.5 * high, "student": 0.4 * high}
    bundle = larger_bundles.write(tmp_path, kind, dict.fromkeys(truth, "system"), items=30)
    cheats = {"straight": 2, "random": 2, "fast": 2}
    sessions = larger_bundles.sessions(bundle, 42, 1, truth=truth, cheats=cheats)
    found = analyse(bundle, sessions, [], Rules.of(bundle))
    for one in found.systems:
        assert one.mean.low < truth[one.name] < one.mean.high
        assert one.naive.high - one.naive.low < one.mean.high - one.mean.low
    for pair in found.differences:
        apart = truth[pair.system] - truth[pair.other]
        assert pair.estimate.low < apart < pair.estimate.high
    assert found.flow.sessions_kept <= 38
    assert found.simulated == 42
    assert found.power.smallest > 0


@pytest.mark.parametrize("kind", ["cmos", "ab"])
def test_comparisons_find_the_better_system(kind, tmp_path):
    truth = {"teacher": 4.0, "hybrid": 3.0, "student": 2.5}
    bundle = larger_bundles.write(tmp_path, kind, dict.fromkeys(truth, "system"), items=30)
    sessions = larger_bundles.sessions(bundle, 36, 2, truth=truth)
    found = analyse(bundle, sessions, [], Rules.of(bundle)).comparisons
    for pair in found.pairs:
        apart = truth[pair.system] - truth[pair.other]
        assert math.copysign(1, pair.estimate.value) == math.copysign(1, apart)
        if kind == "cmos":
            assert pair.estimate.low < apart < pair.estimate.high
    assert found.order.low < 0 < found.order.high
    if kind == "ab":
        assert [one.system for one in found.preferences.strengths] == list(truth)


def test_equal_systems_are_not_called_equal_without_a_margin(tmp_path):
    bundle = larger_bundles.write(tmp_path, "mos", TWO, items=20, baseline="old", margin=None)
    sessions = larger_bundles.sessions(bundle, 20, 5, truth={"old": 3.0, "new": 3.0})
    (pair,) = analyse(bundle, sessions, [], OFF).differences
    assert not pair.told_apart
    assert pair.equivalent is None


def test_a_margin_makes_equivalence_sayable(tmp_path):
    bundle = larger_bundles.write(tmp_path, "mos", TWO, items=20, baseline="old", margin=1.0)
    sessions = larger_bundles.sessions(bundle, 20, 5, truth={"old": 3.0, "new": 3.0})
    (pair,) = analyse(bundle, sessions, [], OFF).differences
    assert pair.equivalent
    assert pair.against_margin == "equivalent"


def test_repeats_and_agreement_by_hand(tmp_path):
    bundle = larger_bundles.write(tmp_path, "mos", TWO, items=4, baseline="old")
    session = larger_bundles.sessions(bundle, 1)[0]
    answers = {one.trial: one for one in session.responses}
    again = {trial: key.of for trial, key in bundle.key.trials.items()
             if key.role == "repeat" and trial in answers}  # fmt: skip
    ratings = dict(zip([one for pair in again.items() for one in pair], [2, 3, 5, 5], strict=True))
    changed = replace(session, responses=tuple(
        replace(one, ratings=(float(ratings[one.trial]),)) if one.trial in ratings else one
        for one in session.responses
    ))  # fmt: skip
    retest = analyse(bundle, [changed], [], OFF).reliability.retest
    assert (retest.n, retest.difference, retest.equal, retest.within_one) == (2, 0.5, 0.5, 1.0)


def test_perfect_agreement(tmp_path):
    cells = {("old", "utt-01"): 1, ("old", "utt-02"): 2, ("new", "utt-01"): 4, ("new", "utt-02"): 5}
    found = _mos(tmp_path, {f"r{number}": cells for number in range(4)}).reliability
    assert found.alpha == pytest.approx(1)
    assert found.icc.single == pytest.approx(1)


def test_sensitivity_without_screening_and_without_second_sessions(tmp_path):
    bundle = larger_bundles.write(tmp_path, "mos", TWO, items=4, baseline="old")
    first, bad = larger_bundles.sessions(bundle, 2, 4, cheats={"fast": 1})
    second = replace(first, session="again", started_at="2027-01-01T00:00:00.000Z")
    found = analyse(bundle, [second, first, bad], [], Rules.of(bundle))
    counts = {one.name: (one.sessions, one.votes) for one in found.sensitivity}
    assert counts == {"screened": (2, 8), "unscreened": (3, 12), "first sessions": (1, 4),
                      "rater-standardised": (2, 8)}  # fmt: skip
    levelled = found.sensitivity[-1].values
    whole = found.sensitivity[0].values
    assert levelled["old"].value == pytest.approx(whole["old"].value)  # one rater: nothing to level


def test_the_flow_adds_up_and_names_reasons(tmp_path):
    bundle = larger_bundles.write(tmp_path, "mos", items=20)
    sessions = larger_bundles.sessions(bundle, 12, cheats={"straight": 1, "fast": 2})
    refusals = [Refusal("a.csv", "line 2", "unknown token"), Refusal("a.csv", "line 9", "off"),
                Refusal("b.csv", "line 2", "unknown token")]  # fmt: skip
    flow = analyse(bundle, sessions, refusals, Rules.of(bundle)).flow
    assert flow.sessions_received == 12
    assert sum(flow.dropped.values()) + flow.sessions_kept == 12
    assert flow.votes_received == 12 * 20
    assert flow.votes_received == (
        flow.votes_kept + flow.votes_dropped_with_sessions + flow.votes_dropped_singly
    )
    assert flow.refused == {"unknown token": 2, "off": 1}


def test_a_drift_is_found_and_a_list_without_order_says_so(tmp_path):
    systems = {"old": "system", "new": "system", "third": "system"}
    bundle = larger_bundles.write(tmp_path, "mos", systems, items=9, baseline="old")
    sessions = [
        replace(one, responses=tuple(
            replace(answer, ratings=(1.0 + (answer.position > 6) * 3,)) for answer in one.responses
        ))
        for one in larger_bundles.sessions(bundle, 9)
    ]  # fmt: skip
    places = analyse(bundle, sessions, [], OFF).places
    assert places.drift.value > 1
    assert [int(one.name) for one in places.positions] == list(range(1, 10))
    alone = analyse(bundle, sessions[:1], [], OFF).places
    assert alone.positions == ()
    assert alone.drift is None
    assert "can't be told apart from sentences" in alone.reasons[0]


DEGENERATE = {
    "no session": {},
    "one vote": {"r1": {("old", "utt-01"): 3}},
    "one rater": {"r1": {("old", "utt-01"): 3, ("new", "utt-02"): 4, ("old", "utt-03"): 1}},
    "one item": {"r1": {("old", "utt-01"): 3}, "r2": {("old", "utt-01"): 4}},
    "all equal": _full([4] * 8),
    "no vote of one": {"r1": {("old", "utt-01"): 3, ("old", "utt-02"): 4},
                       "r2": {("old", "utt-01"): 2, ("old", "utt-02"): 4}},
    "nothing shared": {"r1": {("old", "utt-01"): 3, ("old", "utt-02"): 4},
                       "r2": {("new", "utt-03"): 2, ("new", "utt-04"): 4}},
}  # fmt: skip


@pytest.mark.parametrize("name", DEGENERATE)
def test_what_is_not_defined_has_a_reason(name, tmp_path):
    found = _mos(tmp_path, DEGENERATE[name])
    values = found.to_dict()
    json.dumps(values, allow_nan=False)
    for one in values["systems"]:
        undefined = one["mean"] is None or one["mean"]["low"] is None
        assert bool(one["reasons"]) == undefined, name
    for one in values["differences"]:
        assert one["reasons"] or one["estimate"]["low"] is not None
    assert values["reliability"]["alpha"] is not None or "alpha" in values["reliability"]["reasons"]
    assert values["power"]["smallest"] is not None or values["power"]["reasons"]


def test_all_equal_ratings_have_no_interval_of_no_width(tmp_path):
    found = _mos(tmp_path, _full([4] * 8))
    for one in found.systems:
        assert (one.mean.value, one.mean.low, one.naive.low, one.pigeonhole.low) == (
            4, None, None, None,
        )  # fmt: skip
    assert found.differences[0].p is None
    assert not found.differences[0].told_apart


def test_no_kept_session(tmp_path):
    bundle = larger_bundles.write(tmp_path, "ab", TWO, items=4, baseline="old")
    sessions = larger_bundles.sessions(bundle, 2, cheats={"fast": 2})
    found = analyse(bundle, sessions, [], Rules.of(bundle))
    assert found.flow.votes_kept == 0
    assert found.comparisons.pairs == ()
    assert found.comparisons.preferences is None
    assert found.comparisons.reasons


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["mos", "cmos", "ab", "mushra"]))
def test_any_votes_give_strict_json(data, kind, tmp_path_factory):
    bundle = _bundle(kind, tmp_path_factory)
    scale = bundle.kind.scale
    trials = [(trial, key) for trial, key in bundle.key.trials.items() if key.role != "practice"]
    sessions = []
    for number in range(data.draw(st.integers(0, 4))):
        base = larger_bundles.sessions(bundle, 1)[0]
        chosen = data.draw(st.lists(st.sampled_from(trials), unique_by=lambda one: one[0],
                                    max_size=8))  # fmt: skip
        answers = []
        for position, (trial, key) in enumerate(chosen, start=1):
            n = 1 if bundle.kind.is_pair else len(key.tokens)
            ratings = tuple(data.draw(st.sampled_from(scale.values)) for _ in range(n))
            answers.append(replace(base.responses[0], trial=trial, position=position,
                                   tokens=key.tokens, ratings=ratings, heard=None, plays=None,
                                   rt_ms=None))  # fmt: skip
        rater = data.draw(st.sampled_from(["r1", "r2", "r3"]))
        sessions.append(replace(base, session=f"s{number}", rater=rater, responses=tuple(answers)))
    rules = data.draw(st.sampled_from([OFF, Rules()]))
    found = analyse(bundle, sessions, [], rules)
    json.dumps(found.to_dict(), allow_nan=False)
    kept = found.flow.votes_kept
    if found.comparisons is None:
        assert sum(one.votes for one in found.systems) == kept
        assert all(sum(one.distribution.values()) == one.votes for one in found.systems)
    else:
        assert sum(one.votes for one in found.comparisons.pairs) == kept
        for one in found.comparisons.pairs:
            assert one.wins + one.ties + one.losses == one.votes
            assert abs(one.estimate.value) <= scale.high


_MADE = {}


def _bundle(kind, tmp_path_factory):
    """One of each kind for all examples."""
    if kind not in _MADE:
        folder = tmp_path_factory.mktemp(kind)
        systems = {"old": "system", "new": "system", "third": "reference"}
        _MADE[kind] = larger_bundles.write(folder, kind, systems, items=3, baseline="old",
                                           resamples=20)  # fmt: skip
    return _MADE[kind]


def test_signed_ranks_are_scipys_exact_ones_and_near_its_limit_for_many() -> None:
    from scipy.stats import wilcoxon

    rng = np.random.default_rng(0)
    few = rng.normal(0.4, 1.0, 12)
    assert signed_ranks(few) == pytest.approx(wilcoxon(few, method="exact").pvalue)
    many = rng.normal(0.2, 1.0, 60)
    assert signed_ranks(many) == pytest.approx(wilcoxon(many).pvalue, abs=0.02)
    tied = [1.0, 1.0, 1.0, -1.0, 2.0, 0.0]  # 32 patterns of midranks 2.5 (four) and 5
    assert signed_ranks(tied) == pytest.approx(10 / 32)
    assert signed_ranks([0.0, 0.0]) is None
