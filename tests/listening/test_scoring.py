"""Scores into the run: the leaderboard, the trade-off, the page, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mamtra_eval import merging, opinions, results, rundata, sample_size, tradeoff
from mamtra_eval.errors import UserError
from mamtra_eval.listening import ingest, simulating
from mamtra_eval.listening.analysis import scoring
from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.analysis.votes import crossed, join
from mamtra_eval.listening.bundle import RATINGS, Bundle
from mamtra_eval.listening.ratings import Ratings
from mamtra_eval.listening.screening.applying import Rules
from mamtra_eval.opinions import Difference, Opinion
from mamtra_eval.reader import RunReader
from mamtra_eval.report import _html_data, html, leaderboard
from mamtra_eval.report import tradeoff as tradeoff_report
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.statistics.crossed import two_way
from mamtra_eval.store import Store
from tests.listening.exported_bundles import RUN, export

TRUTH = {"recordings": 4.4, "teacher": 4.0, "1-1": 3.9, "1-11": 2.2, "low anchor": 1.5}


def _rated(folder: Path, *, simulated: bool = False, kind: str = "mos") -> Bundle:
    """A bundle with 30 sessions; they are said to be people's unless ``simulated``."""
    made = export(folder / kind, kind, margin=0.5)
    truth = TRUTH if kind == "mos" else None
    text = "".join(simulating.simulate(made, 30, 0, truth))
    path = folder / f"{kind}.jsonl"
    path.write_text(text if simulated else text.replace('"simulated":true', '"simulated":false')
                    .replace('"simulated": true', '"simulated": false'))  # fmt: skip
    assert ingest.ingest(made, [path]).sessions == 30
    return made


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return _rated(tmp_path_factory.mktemp("rated"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of its own with the example's rows."""
    folder = tmp_path / "reports" / "run"
    folder.mkdir(parents=True)
    shutil.copy(RUN / "run.sqlite", folder)
    return folder


def _opinion(made: Bundle) -> Opinion:
    return scoring.opinion(made, Ratings(made.folder / RATINGS).sessions(), Rules.of(made))


def _add(made: Bundle, run: Path) -> Opinion:
    with RunReader(run) as store:
        data = rundata.read(store)
    scoring.check_run(made, data)
    found = scoring.restricted(_opinion(made), data)
    with Store(run) as store:
        store.set_meta(opinions.META, [found.to_dict()])
    return found


def _collect(run: Path) -> results.Results:
    with RunReader(run) as store:
        return results.collect(store)


def test_a_score_is_the_mean_of_votes_with_the_two_way_interval(rated: Bundle):
    found = _opinion(rated)
    sessions = Ratings(rated.folder / RATINGS).sessions()
    votes = [vote for vote in join(rated, sessions).votes if vote.system == "teacher"]
    assert found.scores["teacher"] == two_way(*crossed(votes))
    assert found.scores["teacher"].value == pytest.approx(np.mean([v.rating for v in votes]))
    assert found.signature.startswith(
        f"listening:mos|attribute:naturalness|scale:1-5/1|bundle:{rated.id}|raters:30|sentences:8|"
    )


def test_it_stands_on_the_leaderboard_and_changes_nothing_else(rated: Bundle, run: Path):
    before = _collect(run)
    found = _add(rated, run)
    after = _collect(run)
    assert [s.n_done for s in after.systems] == [s.n_done for s in before.systems]
    assert (after.n_failed, after.n_pending) == (before.n_failed, before.n_pending)
    by_name = {system.row.name: system for system in after.systems}
    for name, system in by_name.items():
        other = next(s for s in before.systems if s.row.name == name)
        assert {k: v for k, v in system.values.items() if k != "nmos"} == other.values
    value = by_name["1-11"].values["nmos"]
    assert value.estimate == found.scores["1-11"]
    assert value.n == 8
    assert value.difference == found.difference("1-11", "teacher").shown
    assert (value.margin, value.verdict) == (0.5, "inferior")
    assert "Declared with its listening test, before there were ratings: NMOS 0.5." in " ".join(
        leaderboard.render(after).split()
    )
    assert by_name["noise"].values["nmos"].estimate is None
    assert "low anchor" not in found.scores
    text = leaderboard.render(after)
    assert "| NMOS ↑[^" in text
    assert "(8/24)" in text
    assert found.signature in text
    assert "of 30 sessions (30 received)" in text


def test_the_trade_off_has_it_without_a_trend_that_knows_no_raters(rated: Bundle, run: Path):
    found = _add(rated, run)
    after = _collect(run)
    family = tradeoff.build(after, after.context)
    assert family is not None
    assert "nmos" in [figure.name for figure in family.losses]
    assert "nmos" not in [trend.figure.name for trend in family.trends]
    panel = next(p for p in family.panels["cache"] if p.figure.name == "nmos")
    assert {point.system for point in panel.points} == {"1-1", "1-11"}
    shown = next(point.loss for point in panel.points if point.system == "1-11")
    assert shown == found.difference("1-11", "teacher").shown
    text = tradeoff_report.render(after, family)
    assert "Declared with its listening test, before there were ratings: NMOS 0.5." in text
    assert "over all pairs of the listening test (Holm)" in text


def test_what_is_told_apart_is_so_over_all_pairs_as_in_the_bundle(rated: Bundle, run: Path):
    """Also a pair whose own interval excludes zero, but not after Holm's correction."""
    found = _opinion(rated)
    sessions = Ratings(rated.folder / RATINGS).sessions()
    analysis = analyse(rated, sessions, [], Rules.of(rated))
    assert found.pairs == len(analysis.differences) == 10
    for pair in analysis.differences:
        kept = found.difference(pair.system, pair.other)
        assert kept.shown == pytest.approx(pair.estimate)
        assert kept.tested == pytest.approx(pair.tested)
        assert kept.p_holm == pytest.approx(pair.p_holm)
        assert kept.told_apart == pair.told_apart
        assert found.told_apart(pair.other, pair.system) == pair.told_apart
    alone = Difference(Estimate(-0.3, -0.5, -0.1), Estimate(-0.3, -0.4, -0.2), 0.07, False)
    changed = replace(found, differences={("1-1", "teacher"): alone})
    assert changed.told_apart("1-1", "teacher") is False
    assert changed.row.note.endswith(
        "with p corrected over the 10 pairs of systems of the test (Holm): none told apart from "
        "teacher."
    )
    with Store(run) as store:
        store.set_meta(opinions.META, [changed.to_dict()])
    after = _collect(run)
    text = leaderboard.render(after)
    assert "▼ −0.30 [−0.50, −0.10]" in text  # by its own interval, as in the other columns
    assert "none told apart from teacher" in text
    assert after.opinions["nmos"].told_apart("1-1", "teacher") is False  # what tradeoff.md asks


def test_the_note_says_which_differences_to_the_baseline_stand(rated: Bundle, run: Path):
    note = _add(rated, run).row.note
    assert "over the 10 pairs of systems of the test (Holm): " in note
    assert "1-11" in note.partition("(Holm): ")[2].partition(" told apart from teacher")[0]
    later = _opinion(rated).renamed({name: f"{name} of b" for name in TRUTH})
    assert " told apart from teacher of b" in later.row.note


def test_opinions_kept_by_earlier_versions_are_read(rated: Bundle):
    values = json.loads(json.dumps(_opinion(rated).to_dict()))
    values["differences"] = [one[:4] for one in values["differences"]]
    for name in ("pairs", "baseline", "heard"):
        del values[name]
    found = opinions.of_dict(values)
    assert found.told_apart("teacher", "1-11")  # by its own interval: nothing else was kept
    assert found.row.note == found.note


def test_ratings_without_spread_have_no_interval_in_a_run_either(rated: Bundle):
    sessions = [
        replace(session, responses=tuple(
            replace(one, ratings=tuple(
                5.0 if rated.key.tokens[token].system in ("teacher", "recordings") else 3.0
                for token in one.tokens
            )) for one in session.responses
        ))
        for session in Ratings(rated.folder / RATINGS).sessions()
    ]  # fmt: skip
    rules = Rules(heard_min=None, traps_min=None, gold=False, variance_min=None,
                  faster_than_clip=False, median_rt_min=None, answered_min=None)  # fmt: skip
    found, analysis = scoring.opinion(rated, sessions, rules), analyse(rated, sessions, [], rules)
    assert found.scores["teacher"] == Estimate(5.0, None, None)
    assert {one.name: one.mean for one in analysis.systems} == found.scores
    assert found.told_apart("teacher", "1-1") is None
    assert found.difference("teacher", "1-1").shown == Estimate(2.0, None, None)


def test_the_page_shows_what_was_said_of_each_clip(rated: Bundle, run: Path):
    found = _add(rated, run)
    data = _html_data.build(_collect(run))
    said = {(clip["system"], clip["utterance"]): clip["values"]["nmos"] for clip in data["clips"]}
    heard = {key: total / count for key, (total, count) in found.votes.items()}
    assert {key: value for key, value in said.items() if value is not None} == heard
    assert html.render(data)


def test_runs_put_together_keep_one_test_apart_from_another(rated: Bundle, run: Path, tmp_path):
    _add(rated, run)
    second = tmp_path / "reports" / "second"
    shutil.copytree(run, second)
    with Store(second) as store:
        (other,) = store.meta(opinions.META)
        store.set_meta(opinions.META, [{**other, "signature": "listening:mos|bundle:other"}])
    with RunReader(run) as one, RunReader(second) as two:
        both = results.assemble(merging.merge([rundata.read(one), rundata.read(two)]))
    by_name = {system.row.name: system for system in both.systems}
    theirs = by_name["1-11 of second"].values["nmos"]
    assert theirs.foreign == "listening:mos|bundle:other"
    assert theirs.difference is None
    assert by_name["1-11"].values["nmos"].foreign is None
    assert "≠" in leaderboard.render(both)


def test_runs_with_the_same_test_share_its_column(rated: Bundle, run: Path, tmp_path):
    found = _add(rated, run)
    second = tmp_path / "reports" / "second"
    shutil.copytree(run, second)
    with RunReader(run) as one, RunReader(second) as two:
        both = results.assemble(merging.merge([rundata.read(one), rundata.read(two)]))
    by_name = {system.row.name: system.values["nmos"] for system in both.systems}
    for name in ("1-11", "1-11 of second"):
        assert by_name[name].foreign is None
        assert by_name[name].estimate == found.scores["1-11"]
        assert by_name[name].difference == found.difference("1-11", "teacher").shown
        assert by_name[name].n_paired == 8
    assert by_name["teacher of second"].difference is None
    assert "another signature" not in leaderboard.render(both)


def test_sizes_for_sentences_are_not_told_of_it(rated: Bundle, run: Path):
    _add(rated, run)
    question = sample_size.Question(0.1, None, 0.0, (1,), 0.9)
    with pytest.raises(UserError, match="no mean of utterances in this run named 'nmos'"):
        sample_size.needs(_collect(run), "nmos", question)


def test_an_opinion_survives_its_json(rated: Bundle):
    found = _opinion(rated)
    assert opinions.of_dict(json.loads(json.dumps(found.to_dict()))) == found
    turned = found.difference("teacher", "1-11")
    there = found.difference("1-11", "teacher")
    assert turned is not None
    assert there is not None
    assert turned.shown.value == -there.shown.value
    assert turned.shown.low == -there.shown.high
    assert found.told_apart("teacher", "1-11")
    assert found.told_apart("teacher", "nobody") is None


def test_what_must_not_reach_a_leaderboard_is_refused(tmp_path: Path, run: Path, rated: Bundle):
    (tmp_path / "s").mkdir()
    with pytest.raises(UserError, match="ratings are simulated"):
        _opinion(_rated(tmp_path / "s", simulated=True))
    with pytest.raises(UserError, match="cmos compares systems"):
        _opinion(_rated(tmp_path / "s", kind="cmos"))
    with pytest.raises(UserError, match="no votes are left of 0 sessions"):
        scoring.opinion(rated, [], Rules.of(rated))
    with RunReader(run) as store:
        data = rundata.read(store)
    clips = tuple(replace(clip, sha256="0" * 64) for clip in data.clips)
    with pytest.raises(UserError, match="is not the one that was heard"):
        scoring.check_run(rated, replace(data, clips=clips))
    others = replace(data, testset={**data.testset, "sha256": "1" * 64}, systems=data.systems[-1:])
    with pytest.raises(UserError, match="another test set, and none of the systems"):
        scoring.check_run(rated, others)
