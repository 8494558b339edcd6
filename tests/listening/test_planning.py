"""What a test is worth before it is built."""

from __future__ import annotations

import json
import math

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening import kinds, simulating
from mamtra_eval.listening.analysis.analysing import analyse
from mamtra_eval.listening.building import planning, spreads
from mamtra_eval.listening.building.design import Checks, conditions_of, draw
from mamtra_eval.listening.building.spreads import Pilot
from mamtra_eval.listening.screening.applying import Rules
from mamtra_eval.report.listening import page
from mamtra_eval.statistics.crossed import Components
from tests.listening import larger_bundles
from tests.listening.exported_bundles import export

SYSTEMS = ("a", "b", "c", "d")


def _plan(kind="mos", raters=30, items=40, systems=SYSTEMS, pairs="baseline", per_session=40,
          trial_s=(3.0,) * 40, **options):  # fmt: skip
    design = draw(
        [f"i{number:03d}" for number in range(items)],
        conditions_of(kind, systems, pairs, systems[0]),
        per_session=per_session, replicates=1, checks=Checks(), seed="0",
    )  # fmt: skip
    return planning.plan(
        kinds.find(kind), design, raters=raters, items=items, trial_s=list(trial_s), **options
    )


def _pilot(*values):
    return Pilot(Components(*values), ())


def test_a_pair_by_itself_and_after_correction():
    # The large-sample formula has 0.27 and 0.21 (listening.md B6), which t and this design raise.
    found = _plan(pilot=_pilot(0.45, 0.30, 0.20, 0.25, 0.75))
    assert found.votes_per_system == 300
    assert found.comparisons == 6
    assert found.smallest == pytest.approx(0.29, abs=0.01)
    assert found.smallest_corrected == pytest.approx(0.37, abs=0.015)
    assert found.floor == pytest.approx(0.22, abs=0.01)
    assert not found.assumed
    assert found == _plan(pilot=_pilot(0.45, 0.30, 0.20, 0.25, 0.75))


def test_time_and_cost():
    # 40 trials of 3 s: 2 min around them, 1.3 times the audio, 4 s an answer.
    found = _plan(hourly=12.0)
    assert found.minutes == pytest.approx(2 + 40 * (1.3 * 3 + 4) / 60, abs=0.05)
    assert found.cost == pytest.approx(30 * 12 * (2 + 40 * 7.9 / 60) / 60, abs=0.01)


def test_a_difference_that_is_not_seen_is_called_so():
    told = " ".join(_plan(difference=0.02).warnings)
    assert "0.02 can't be seen with 30 raters and 40 sentences" in told
    found = _plan(difference=0.25)
    assert "less than 80 % (" in " ".join(found.warnings)
    assert 0.5 < found.chance < 0.8
    found = _plan(difference=0.33)
    told = " ".join(found.warnings)
    assert found.chance > 0.8 > found.chance_corrected > 0.5
    assert "for a single pair by itself, but with less than 80 %" in told
    assert "after correction over 6 pairs: that takes 0.37" in told
    assert not any("difference of" in one for one in _plan(difference=0.5).warnings)


def test_small_and_long_tests_are_warned_of():
    assert any("fewer than ten" in one for one in _plan(raters=5).warnings)
    assert any("loses raters" in one for one in _plan(trial_s=[10.0] * 120).warnings)


@pytest.mark.parametrize("sizes", [{"raters": 1}, {"raters": 8, "items": 1}])
def test_without_an_interval_nothing_is_promised(sizes):
    found = _plan(**sizes, difference=0.5)
    assert (found.smallest, found.smallest_corrected, found.floor, found.chance) == (None,) * 4
    assert any("no interval" in one for one in found.warnings)


def test_preferences_have_votes_of_a_pair_and_no_points():
    found = _plan("ab", systems=("a", "b", "c"), items=20)
    assert found.smallest is None
    assert found.comparisons == 2
    assert found.votes_per_system == 30 * 20 / 2
    assert found.votes_needed["0.55"] == 783


def test_mushra_counts_every_clip_of_a_trial_and_its_own_points():
    found = _plan("mushra", systems=("a", "b", "c", "d", "e", "f"), items=10)
    assert found.votes_per_system == 300
    assert found.comparisons == 15
    assert found.components.rater == pytest.approx(25 * 0.45)
    assert found.components.residual == pytest.approx(25 * 0.70, rel=1e-3)


def test_comparisons_have_the_spreads_of_a_difference():
    """As ``simulating`` answers: rater and item cancel, all else comes twice, then rounding."""
    found = _plan("cmos", systems=("a", "b"), pairs="all")
    own = simulating.SD
    assert (found.components.rater, found.components.item) == (0.0, 0.0)
    assert found.components.rater_system == pytest.approx(math.sqrt(2) * own["rater x system"])
    assert found.components.item_system == pytest.approx(math.sqrt(2) * own["item x system"])
    assert found.components.residual == pytest.approx(math.sqrt(2 * own["residual"] ** 2 + 1 / 12))
    assert found.comparisons == 1
    assert found.smallest == found.smallest_corrected
    # 1,200 votes in two orders: the standard error in closed form, and 2.9 of it for 80 %.
    error = math.sqrt(2 * 0.2**2 / 30 + 2 * 0.25**2 / 40 + (2 * 0.7**2 + 1 / 12) / 1200)
    assert found.smallest == pytest.approx(2.9 * error, rel=0.03)


def test_assumed_spreads_are_those_that_are_simulated():
    assert list(simulating.SD.values()) == list(vars(spreads.ASSUMED).values())


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """Bundles with the ``listening.json`` that analysis and report write, by kind."""
    found = {}
    for kind in ("mos", "mushra", "cmos"):
        bundle = export(tmp_path_factory.mktemp(kind) / "b", kind)
        analysis = analyse(bundle, larger_bundles.sessions(bundle, 18, 1), [], Rules.of(bundle))
        page.write(analysis, bundle.manifest, bundle.folder)
        found[kind] = (bundle.folder, analysis.power.components)
    return found


@pytest.mark.slow
def test_a_pilot_is_read_as_it_is_written(analysed):
    folder, own = analysed["mos"]
    pilot = spreads.of_pilot(folder, kinds.find("mos"))
    assert pilot.components == own
    assert pilot.remarks == (
        "The pilot's ratings were made by a program: its spreads are no evidence.",
    )
    found = _plan(pilot=pilot)
    assert not found.assumed
    assert pilot.remarks[0] in found.warnings


@pytest.mark.parametrize(("kind", "planned", "factor"), [
    ("mos", "mushra", 25.0), ("mushra", "mos", 0.04), ("mos", "smos", 1.0),
])  # fmt: skip
def test_a_pilot_of_another_scale_is_translated_and_it_is_said(analysed, kind, planned, factor):
    folder, own = analysed[kind]
    pilot = spreads.of_pilot(folder, kinds.find(planned))
    for name, value in vars(own).items():
        assert getattr(pilot.components, name) == pytest.approx(factor * value)
    assert f"The pilot was {kind}: its spreads are taken times {factor:g}" in pilot.remarks[0]


@pytest.mark.parametrize(("kind", "unit"), [("mos", 1.0), ("mushra", 0.04)])
def test_a_pilot_of_ratings_serves_comparisons(analysed, kind, unit):
    folder, own = analysed[kind]
    pilot = spreads.of_pilot(folder, kinds.find("cmos"))
    assert (pilot.components.rater, pilot.components.item) == (0.0, 0.0)
    for name in ("rater_system", "item_system", "residual"):
        expected = math.sqrt(2) * unit * getattr(own, name)
        assert getattr(pilot.components, name) == pytest.approx(expected)
    assert "a difference of two ratings" in pilot.remarks[0]


def test_a_pilot_that_can_not_be_translated_is_refused(analysed):
    with pytest.raises(UserError, match="say nothing of preferences"):
        spreads.of_pilot(analysed["mos"][0], kinds.find("ab"))
    with pytest.raises(UserError, match="of a pilot of cmos are not defined"):
        spreads.of_pilot(analysed["cmos"][0], kinds.find("mos"))


@pytest.mark.parametrize(("change", "said"), [
    (None, "no spreads of a pilot"),
    ({"residual": None}, "no spreads of a pilot"),
    ({"residual": 0.0}, "no noise"),
    ({"rater": -1.0}, "no standard deviations"),
    ({"rater": math.inf}, "no standard deviations"),
])  # fmt: skip
def test_a_pilot_without_spreads_is_refused(analysed, tmp_path, change, said):
    told = json.loads((analysed["mos"][0] / "listening.json").read_text())
    power = told["analysis"]["power"]
    power["components"] = None if change is None else power["components"] | change
    (tmp_path / "listening.json").write_text(json.dumps(told))
    with pytest.raises(UserError, match=said):
        spreads.of_pilot(tmp_path, kinds.find("mos"))


@pytest.mark.parametrize("text", [None, "", "[]", "null", '{"analysis": {"kind": 3}}'])
def test_a_folder_without_an_analysis_is_no_pilot(tmp_path, text):
    if text is not None:
        (tmp_path / "listening.json").write_text(text)
    with pytest.raises(UserError, match="no analysis of a pilot here"):
        spreads.of_pilot(tmp_path, kinds.find("mos"))
