"""Every rule of screening by sessions made by hand, and the flow that comes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import Bundle
from mamtra_eval.listening.ratings import WITHDRAWN
from mamtra_eval.listening.screening.applying import Reason, Rules, Screened, screen
from mamtra_eval.listening.trials import Response, Session
from tests.listening import made_bundles

# Of the made bundle's list: four rated trials, gold (1, within 1), trap (1), repeat of the first.
FINE = (4, 3, 5, 2, 1, 1, 4)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return made_bundles.write(tmp_path_factory.mktemp("mos"), "mos", 0.5)


@pytest.fixture(scope="module")
def mushra(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return made_bundles.write(tmp_path_factory.mktemp("mushra"), "mushra", 0.5)


@pytest.fixture(scope="module")
def more_checks(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """With a second trap and a second repeat behind the rest of every list."""
    made = made_bundles.write(tmp_path_factory.mktemp("more"), "mos", 0.5)
    lists = json.loads((made.folder / "design/lists.json").read_text())
    key = json.loads((made.folder / "key/key.json").read_text())
    for name, trials in lists.items():
        for number, like in ((8, 6), (9, 7)):
            trials.append({**trials[like - 1], "id": f"{name}_{number:02d}"})
            key["trials"][f"{name}_{number:02d}"] = key["trials"][f"{name}_{like:02d}"]
        key["trials"][f"{name}_09"]["of"] = f"{name}_01"
    (made.folder / "design/lists.json").write_text(json.dumps(lists))
    (made.folder / "key/key.json").write_text(json.dumps(key))
    return Bundle(made.folder)


def _session(
    bundle: Bundle,
    ratings: Sequence[float | Sequence[float] | None] = FINE,
    name: str = "s",
    rater: str | None = None,
    list_id: str = "l00",
    rt_ms: float | None = 2000,
    heard: float | None = 1.0,
    **changes: object,
) -> Session:
    """A session of these ratings in the list's order; ``None`` for a trial that wasn't answered."""
    responses = tuple(
        Response(
            trial.id, place, trial.tokens,
            tuple(rating) if isinstance(rating, Sequence) else (float(rating),), rt_ms,
            None if heard is None else (heard,) * len(trial.tokens),
        )
        for place, (trial, rating) in enumerate(
            zip(bundle.lists[list_id], ratings, strict=True), start=1
        )
        if rating is not None
    )  # fmt: skip
    session = Session(
        name, rater or f"r_{name}", list_id, "2026-11-27T10:00:00.000Z", True, False, "own",
        responses,
    )  # fmt: skip
    return replace(session, **changes)  # type: ignore[arg-type]


def _rules_against(screened: Screened, name: str = "s") -> list[str]:
    return [reason.rule for reason in screened.dropped.get(name, [])]


def _flagged(screened: Screened, name: str = "s") -> list[str]:
    return [reason.rule for reason in screened.flags.get(name, [])]


def test_a_fine_session_is_kept_and_its_checks_are_shown(bundle: Bundle) -> None:
    session = _session(bundle)
    screened = screen(bundle, [session], Rules())
    assert screened.kept == [session]
    assert not screened.dropped
    assert not screened.flags
    checks = screened.checks["s"]
    assert (checks.votes, checks.answered) == (4, 1.0)
    assert (checks.traps, checks.traps_right, checks.gold, checks.gold_right) == (1, 1, 1, 1)
    assert (checks.gold_deviations, checks.repeats) == ((0.0,), (0.0,))
    assert checks.mean == 3.5
    assert checks.sd == pytest.approx((5 / 3) ** 0.5)
    assert (checks.rt_median_ms, checks.rt_median, checks.heard) == (2000, 4.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"heard": 0.94}, "heard"),
        ({"rt_ms": 470}, "faster than the clip"),
        ({"ratings": (4, 3, 5, 2, 3, 1, 4)}, "gold"),
        ({"ratings": (4, 3, 5, 2, 1, 2, 4)}, "traps"),
        ({"ratings": (4, 4, 4, 4, 1, 1, 4)}, "variance"),
        ({"ratings": (4, None, None, None, 1, 1, None), "complete": False}, "answered"),
        ({"ratings": (None, None, None, None, 1, 1, None)}, "no answers"),
        ({"responses": (), "facts": {WITHDRAWN: True}}, "withdrawn"),
    ],
)
def test_one_rule_broken(bundle: Bundle, changes: dict[str, object], rule: str) -> None:
    screened = screen(bundle, [_session(bundle, **changes)], Rules())  # type: ignore[arg-type]
    assert _rules_against(screened) == [rule]
    assert screened.kept == []
    reason = screened.dropped["s"][0]
    assert reason.found
    assert reason.required


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"heard": 0.94}, Rules(heard_min=None)),
        ({"heard": 0.95}, Rules()),
        ({"heard": None, "rt_ms": None}, Rules()),
        ({"rt_ms": 475}, Rules()),
        ({"rt_ms": 470}, Rules(faster_than_clip=False)),
        ({"ratings": (4, 3, 5, 2, 2, 1, 4)}, Rules()),
        ({"ratings": (4, 3, 5, 2, 3, 1, 4)}, Rules(gold=False)),
        ({"ratings": (4, 3, 5, 2, 1, 2, 4)}, Rules(traps_min=None)),
        ({"ratings": (4, 4, 4, 4, 1, 1, 4)}, Rules(variance_min=None)),
        ({"ratings": (4, 4, 4, 5, 1, 1, 4)}, Rules()),
        ({"ratings": (4, 3, None, None, 1, 1, None)}, Rules()),
        ({"ratings": (4, None, None, None, 1, 1, None)}, Rules(answered_min=None)),
    ],
)
def test_the_rule_kept_at_its_edge_or_switched_off(
    bundle: Bundle, changes: dict[str, object], rules: Rules
) -> None:
    assert not screen(bundle, [_session(bundle, **changes)], rules).dropped  # type: ignore[arg-type]


def test_one_fast_answer_is_enough_and_the_median_has_a_rule_of_its_own(bundle: Bundle) -> None:
    session = _session(bundle)
    first = replace(session.responses[0], rt_ms=100)
    once = replace(session, responses=(first, *session.responses[1:]))
    assert _rules_against(screen(bundle, [once], Rules())) == ["faster than the clip"]
    slow = screen(bundle, [once], Rules(faster_than_clip=False))
    assert not slow.dropped
    throughout = screen(bundle, [_session(bundle, rt_ms=149)], Rules(faster_than_clip=False))
    assert _rules_against(throughout) == ["median time"]


@pytest.mark.parametrize(
    ("traps", "gold", "kept"),
    [
        ((1, 1), 1, True),
        ((1, 4), 1, True),
        ((1, 4), 4, False),
        ((4, 4), 1, False),
    ],
    ids=["2 of 2", "1 of 2 and gold", "1 of 2 and no gold", "0 of 2"],
)
def test_two_traps(
    more_checks: Bundle, traps: tuple[float, float], gold: float, kept: bool
) -> None:
    ratings = (4, 3, 5, 2, gold, traps[0], 4, traps[1], 4)
    screened = screen(more_checks, [_session(more_checks, ratings)], Rules(gold=False))
    assert (not screened.dropped) is kept
    if not kept:
        assert screened.dropped["s"][0].required == "2 of 2, or 1 with every gold trial right"


@pytest.mark.parametrize(("again", "flagged"), [((2, 2), ["repeats"]), ((2, 3), []), ((3, 5), [])])
def test_repeats_are_flagged_where_all_are_off(
    more_checks: Bundle, again: tuple[float, float], flagged: list[str]
) -> None:
    ratings = (4, 3, 5, 2, 1, 1, again[0], 1, again[1])
    screened = screen(more_checks, [_session(more_checks, ratings)], Rules())
    assert _flagged(screened) == flagged
    assert not screened.dropped


def test_an_incomplete_session_with_half_its_answers_is_kept_and_flagged(bundle: Bundle) -> None:
    session = _session(bundle, (4, 3, None, None, 1, 1, None), complete=False)
    screened = screen(bundle, [session], Rules())
    assert screened.kept == [session]
    assert _flagged(screened) == ["incomplete"]
    assert _rules_against(screen(bundle, [session], Rules(answered_min=1.0))) == ["answered"]


def test_a_raters_earliest_sessions_count(bundle: Bundle) -> None:
    sessions = [
        _session(bundle, name=name, rater="r", started_at=f"2026-11-27T{hour}:00:00.000Z")
        for name, hour in (("late", "15"), ("early", "09"), ("between", "12"))
    ]
    empty = _session(bundle, name="opened", rater="r", responses=(),
                     started_at="2026-11-27T08:00:00.000Z")  # fmt: skip
    screened = screen(bundle, [*sessions, empty], Rules())
    assert [one.session for one in screened.kept] == ["early", "between"]
    assert screened.dropped["late"] == [
        Reason("sessions of a rater", "number 3 of this rater", "the first 2 count")
    ]
    assert _rules_against(screened, "opened") == ["no answers"]


def test_headphones_are_recorded_and_screened_by_only_where_asked(bundle: Bundle) -> None:
    session = _session(bundle, headphones=(3, 6))
    assert not screen(bundle, [session], Rules()).dropped
    assert _rules_against(screen(bundle, [session], Rules(headphones_min=4))) == ["headphones"]
    assert not screen(bundle, [_session(bundle)], Rules(headphones_min=4)).dropped


def _crowd(bundle: Bundle, n: int = 5) -> list[Session]:
    return [_session(bundle, (4, 3, 5, 2, 1, 1, 4), name=f"crowd{place}") for place in range(n)]


@pytest.mark.parametrize(
    ("ratings", "flag"),
    [
        ((2, 3, 1, 4, 1, 1, 2), ["reversed"]),  # r = -1
        ((3, 4, 4, 4, 1, 1, 3), ["agreement"]),  # r = -0.5 / sqrt(0.75 * 5) = -0.26
        ((5, 3, 4, 2, 1, 1, 5), []),
    ],
)
def test_disagreement_flags_and_never_drops(
    bundle: Bundle, ratings: tuple[int, ...], flag: list[str]
) -> None:
    screened = screen(bundle, [*_crowd(bundle), _session(bundle, ratings)], Rules())
    assert _flagged(screened) == flag
    assert not screened.dropped


def test_agreement_leaves_the_rater_and_dropped_sessions_out(bundle: Bundle) -> None:
    upside_down = [_session(bundle, (2, 3, 1, 4, 4, 1, 2), name=f"bad{n}") for n in range(20)]
    alone = screen(bundle, [_session(bundle)], Rules())
    assert alone.checks["s"].r is None
    among = screen(bundle, [*_crowd(bundle), *upside_down, _session(bundle)], Rules())
    assert among.checks["s"].r == pytest.approx(1.0)
    assert among.checks["bad0"].r == pytest.approx(-1.0)


def test_single_votes_are_dropped_only_where_asked(bundle: Bundle) -> None:
    crowd = _crowd(bundle, 40)
    odd = _session(bundle, (1, 3, 5, 2, 1, 1, 1), name="odd")
    assert not screen(bundle, [*crowd, odd], Rules()).votes_dropped
    # The list's first and fourth clip are of one system: 4 and 2, so 1 is within 3.29 but over 1.9.
    screened = screen(bundle, [*crowd, odd], Rules(z_max=1.9))
    (vote,) = screened.votes_dropped
    assert (vote.session, vote.trial, vote.rating) == ("odd", "l00_01", 1.0)
    assert len(screened.kept[-1].responses) == len(odd.responses) - 1
    assert screened.flow.votes_kept == screened.flow.votes_received - 1


def _mushra(bundle: Bundle, hidden: Sequence[float], **changes: object) -> Session:
    rated = iter(hidden)
    ratings: list[list[float]] = []
    for trial in bundle.lists["l00"]:
        if bundle.key.trials[trial.id].role != "rated":
            ratings.append([0.0] * 3)
            continue
        systems = [bundle.key.tokens[token].system for token in trial.tokens]
        score = next(rated)
        ratings.append([score if system == "recordings" else 40.0 for system in systems])
    return _session(bundle, ratings, rt_ms=None, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("hidden", "dropped"), [((100, 95, 90, 90), 0), ((100, 95, 90, 89), 1)])
def test_mushra_hidden_reference(mushra: Bundle, hidden: tuple[int, ...], dropped: int) -> None:
    screened = screen(mushra, [_mushra(mushra, hidden)], Rules())
    assert len(screened.dropped) == dropped
    if dropped:
        (reason,) = screened.dropped["s"]
        assert reason == Reason(
            "hidden reference", "1 of 4 hidden references below 90", "at most 15%"
        )


def test_mushra_rater_falls_with_all_sessions_or_none(mushra: Bundle) -> None:
    good = [_mushra(mushra, (99,) * 4, name=name, rater="r") for name in ("one", "two")]
    bad = _mushra(mushra, (99, 99, 99, 50), name="three", rater="r")
    rules = Rules(sessions_max=None)
    assert not screen(mushra, [*good, bad], rules).dropped  # 1 of 12 is 8 %
    assert set(screen(mushra, [good[0], bad], rules).dropped) == set()  # 1 of 8 is 12.5 %
    worse = _mushra(mushra, (99, 99, 50, 50), name="three", rater="r")
    assert set(screen(mushra, [good[0], worse], rules).dropped) == {"one", "three"}


@pytest.mark.parametrize("spread", [(45, 55, 50, 47), (10, 50, 90, 30)])
def test_variance_is_stretched_to_the_scale(mushra: Bundle, spread: tuple[int, ...]) -> None:
    # 0.1 of a five-point scale is 0.1 x 25 x 25 = 62.5 here.
    ratings = [[float(one)] * 3 for one in (*spread, 0, 0, spread[0])]
    session = _session(mushra, ratings, rt_ms=None)
    screened = screen(mushra, [session], Rules(hidden_reference_min=None))
    assert bool(screened.dropped) is (spread[0] == 45)


def test_a_pair_shown_the_other_way_round_is_held_against_the_turned_answer(
    tmp_path: Path,
) -> None:
    cmos = made_bundles.write(tmp_path / "cmos", "cmos", 0.5)
    key = json.loads((cmos.folder / "key/key.json").read_text())
    lists = json.loads((cmos.folder / "design/lists.json").read_text())
    for pair in (key["trials"]["l00_05"], lists["l00"][4]):
        pair["tokens"] = [made_bundles.token("gold"), made_bundles.token("trap")]
    (cmos.folder / "key/key.json").write_text(json.dumps(key))
    (cmos.folder / "design/lists.json").write_text(json.dumps(lists))
    session = _session(Bundle(cmos.folder), (1, -2, 0, 2, 3, -3, 1))
    gold = session.responses[4]
    turned = replace(gold, tokens=gold.tokens[::-1])
    other = replace(session, responses=(*session.responses[:4], turned, *session.responses[5:]))
    opened = Bundle(cmos.folder)
    assert _rules_against(screen(opened, [session], Rules())) == ["gold"]
    assert not screen(opened, [other], Rules()).dropped


def test_the_flow_adds_up(bundle: Bundle) -> None:
    sessions = [
        *_crowd(bundle, 3),
        _session(bundle, (4, 4, 4, 4, 5, 5, 4), name="careless"),
        _session(bundle, (4, 3, 5, 2, 4, 1, 4), name="gold"),
        _session(bundle, name="opened", responses=()),
        _session(bundle, (4, 3, 5, None, 1, 1, None), name="stopped", complete=False),
    ]
    screened = screen(bundle, sessions, Rules())
    flow = screened.flow
    assert (flow.sessions_received, flow.raters_received) == (7, 7)
    assert flow.dropped == {"no answers": 1, "traps": 1, "gold": 1}
    assert _rules_against(screened, "careless") == ["traps", "gold", "variance"]
    assert (flow.sessions_kept, flow.raters_kept, flow.sessions_flagged) == (4, 4, 1)
    assert flow.sessions_received == flow.sessions_kept + sum(flow.dropped.values())
    assert flow.votes_received == 5 * 4 + 3
    assert flow.votes_kept == 3 * 4 + 3
    assert flow.votes_dropped_with_sessions == 8


def test_no_sessions_at_all(bundle: Bundle) -> None:
    screened = screen(bundle, [], Rules())
    assert screened.kept == []
    assert screened.flow.votes_received == 0


def _with_rules(bundle: Bundle, folder: Path, rules: dict[str, object]) -> Bundle:
    folder.mkdir(exist_ok=True)
    manifest = {**bundle.manifest, "screening": rules}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return Bundle(folder)


def test_rules_stand_in_the_manifest(bundle: Bundle, tmp_path: Path) -> None:
    rules = Rules(variance_min=0.2, gold=False, sessions_max=None)
    written = json.loads(json.dumps(rules.to_manifest()))
    assert Rules.of(_with_rules(bundle, tmp_path, written)) == rules
    assert Rules.of(bundle) == Rules()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"varience_min": 0.1}, "did you mean variance_min"),
        ({"gold": 1}, "gold is 1"),
        ({"traps_min": 1.5}, "traps_min is 1.5"),
        ({"heard_min": True}, "heard_min is True"),
        ({"heard_min": float("nan")}, "heard_min is nan"),
        ({"hidden_reference_share": None}, "hidden_reference_share is None"),
    ],
)
def test_rules_that_are_none_are_refused(
    bundle: Bundle, tmp_path: Path, values: dict[str, object], why: str
) -> None:
    with pytest.raises(UserError, match=f"(?i){why}"):
        Rules.of(_with_rules(bundle, tmp_path, values))
