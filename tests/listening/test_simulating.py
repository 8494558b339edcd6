"""Raters made by a program: reproducible, of the record's form, cheats found by screening."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening.bundle import RATINGS, Bundle
from mamtra_eval.listening.ingest import ingest
from mamtra_eval.listening.ratings import Ratings
from mamtra_eval.listening.screening.applying import Rules, Screened, screen
from mamtra_eval.listening.simulating import CHEATS, simulate
from mamtra_eval.listening.trials import Session
from tests.listening import made_bundles

PLANTED = {"straight": 1, "random": 1, "trap": 1, "fast": 1, "reversed": 1}


def _grown(folder: Path, kind: str, patch: pytest.MonkeyPatch) -> Bundle:
    """A made bundle of twelve sentences, with a second gold trial and trap in every list."""
    patch.setattr(made_bundles, "ITEMS", tuple(f"item-{place}" for place in range(12)))
    made = made_bundles.write(folder, kind, 0.1)
    lists = json.loads((made.folder / "design/lists.json").read_text())
    key = json.loads((made.folder / "key/key.json").read_text())
    for name, trials in lists.items():
        for number, like in ((16, 13), (17, 14)):
            trials.append({**trials[like - 1], "id": f"{name}_{number}"})
            key["trials"][f"{name}_{number}"] = key["trials"][f"{name}_{like}"]
    (made.folder / "design/lists.json").write_text(json.dumps(lists))
    (made.folder / "key/key.json").write_text(json.dumps(key))
    return Bundle(made.folder)


def _sessions(
    bundle: Bundle, raters: int, seed: int, cheats: Mapping[str, int] | None = None,
    truth: Mapping[str, float] | None = None,
) -> list[Session]:  # fmt: skip
    path = bundle.folder.parent / f"{seed}.jsonl"
    path.write_text("".join(simulate(bundle, raters, seed, truth, cheats)))
    (bundle.folder / RATINGS).unlink(missing_ok=True)
    report = ingest(bundle, [path])
    assert report.refusals == []
    return Ratings(bundle.folder / RATINGS).sessions()


def _by_kind(sessions: list[Session]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in sessions:
        found.setdefault(one.facts["agent"]["simulated"], []).append(one.session)
    return found


def _screened(bundle: Bundle, sessions: list[Session], rules: Rules | None = None) -> Screened:
    return screen(bundle, sessions, rules or Rules())


@pytest.mark.parametrize("kind", ["mos", "smos", "cmos", "ab", "mushra"])
def test_of_24_raters_the_cheats_are_found_and_the_honest_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bundle = _grown(tmp_path / "bundle", kind, monkeypatch)
    # A seed without slips: over twenty seeds, one honest rater in thirty fails a gold trial, and a
    # random clicker gets through mos once (ab, of three answers, four times).
    sessions = _sessions(bundle, 24, 8, PLANTED)
    names = _by_kind(sessions)
    assert len(names["honest"]) == 19
    screened = _screened(bundle, sessions)
    cheats = {name for cheat in CHEATS for name in names[cheat]}
    assert set(screened.dropped) == cheats
    assert {one.session for one in screened.kept} == set(names["honest"])


@pytest.mark.parametrize(
    ("cheat", "rule"),
    [("straight", "variance"), ("trap", "traps"), ("fast", "heard"), ("reversed", "gold")],
)
def test_each_cheat_is_dropped_for_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cheat: str, rule: str
) -> None:
    bundle = _grown(tmp_path / "bundle", "mos", monkeypatch)
    for seed in range(4):
        sessions = _sessions(bundle, 12, seed, {cheat: 4})
        screened = _screened(bundle, sessions)
        for name in _by_kind(sessions)[cheat]:
            assert rule in [reason.rule for reason in screened.dropped[name]]


def test_a_reversed_scale_is_flagged_where_no_gold_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = _grown(tmp_path / "bundle", "mos", monkeypatch)
    truth = {"teacher": 4.2, "hybrid": 2.5, "recordings": 4.6}
    sessions = _sessions(bundle, 24, 3, {"reversed": 2}, truth)
    screened = _screened(bundle, sessions, Rules(gold=False))
    for name in _by_kind(sessions)["reversed"]:
        assert [reason.rule for reason in screened.flags[name]] == ["reversed"]
    assert not any(
        reason.rule == "reversed"
        for name in _by_kind(sessions)["honest"]
        for reason in screened.flags.get(name, [])
    )


def test_the_truth_comes_back(tmp_path: Path) -> None:
    bundle = made_bundles.write(tmp_path / "bundle", "mos", 0.1)
    truth = {"teacher": 3.6, "hybrid": 2.4, "recordings": 3.0}
    sessions = _sessions(bundle, 90, 0, truth=truth)
    by_system: dict[str, list[float]] = {name: [] for name in truth}
    for session in sessions:
        for one in session.responses:
            system = bundle.key.tokens[one.tokens[0]].system
            if bundle.key.trials[one.trial].role == "rated" and system is not None:
                by_system[system] += one.ratings
    # 120 votes a system by 90 raters on four sentences: the mean's sd is 0.22, most of it from
    # the sentences: sqrt(.30²/4 + .25²/4 + (.45² + .20²)/90 + .70²/120).
    for name, mean in truth.items():
        assert fmean(by_system[name]) == pytest.approx(mean, abs=0.66)
    assert fmean(by_system["teacher"]) - fmean(by_system["hybrid"]) == pytest.approx(1.2, abs=0.6)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    bundle = made_bundles.write(tmp_path / "bundle", "mos", 0.1)
    assert simulate(bundle, 5, 3) == simulate(bundle, 5, 3)
    assert simulate(bundle, 5, 3) != simulate(bundle, 5, 4)


def test_records_have_the_pages_form(tmp_path: Path) -> None:
    bundle = made_bundles.write(tmp_path / "bundle", "ab", 0.1)
    texts = simulate(bundle, 7, 0)
    assert [json.loads(one.splitlines()[0])["list"] for one in texts] == [
        "l00", "l01", "l02", "l00", "l01", "l02", "l00",
    ]  # fmt: skip
    lines = [json.loads(line) for line in texts[0].splitlines()]
    assert [line["seq"] for line in lines] == list(range(len(lines)))
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert lines[0]["at"].startswith("2026-11-27T00:00:00.500Z")
    assert lines[0]["simulated"] is True
    assert lines[-1]["type"] == "end"
    rating = next(line for line in lines if line["type"] == "rating")
    assert set(rating) == {
        "type", "seq", "at", "trial", "position", "tokens", "ratings", "rt_ms", "heard", "plays",
        "listened_ms", "seeks", "hidden_ms",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"raters": 0}, "0 raters"),
        ({"raters": 3, "cheats": {"fast": 4}}, "4 cheats"),
        ({"raters": 3, "cheats": {"lazy": 1}}, "no kind of cheat named 'lazy'"),
        ({"raters": 3, "cheats": {"fast": -1}}, "-1 raters"),
        ({"raters": 3, "truth": {"teacher": 3.0}}, "no truth for hybrid, recordings"),
        ({"raters": 3, "truth": {"tacher": 3.0}}, "no system named 'tacher'"),
    ],
)
def test_what_cannot_be_simulated_is_said(
    tmp_path: Path, arguments: dict[str, object], why: str
) -> None:
    bundle = made_bundles.write(tmp_path / "bundle", "mos", 0.1)
    with pytest.raises(UserError, match=why):
        simulate(bundle, seed=0, **arguments)  # type: ignore[arg-type]
