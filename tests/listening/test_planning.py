"""What a test is worth before it is built."""

from __future__ import annotations

import json

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.listening import kinds
from mamtra_eval.listening.building import planning
from mamtra_eval.statistics.crossed import Components


def _plan(kind="mos", **changes):
    sizes = {"raters": 30, "items": 40, "systems": 4, "conditions": 4, "trial_s": [3.0] * 40,
             "rated": 40.0}  # fmt: skip
    return planning.plan(kinds.find(kind), **{**sizes, **changes})


def test_the_published_example():
    # listening.md B6 with its own components: 30 raters x 40 items, 10 votes each a system: 0.27.
    pilot = Components(0.45, 0.30, 0.20, 0.25, 0.75)
    found = _plan(pilot=pilot)
    assert found.votes_per_system == 300
    assert found.smallest == pytest.approx(0.27, abs=0.005)
    assert found.floor == pytest.approx(0.21, abs=0.005)
    assert not found.assumed


def test_time_and_cost():
    # 40 trials of 3 s: 2 min around them, 1.3 times the audio, 4 s an answer.
    found = _plan(hourly=12.0)
    assert found.minutes == pytest.approx(2 + 40 * (1.3 * 3 + 4) / 60, abs=0.05)
    assert found.cost == pytest.approx(30 * 12 * (2 + 40 * 7.9 / 60) / 60, abs=0.01)


def test_a_difference_that_no_votes_show_is_called_so():
    told = " ".join(_plan(difference=0.02).warnings)
    assert "0.02 can't be seen with 30 raters and 40 sentences" in told
    told = " ".join(_plan(difference=0.25).warnings)
    assert "less than 80 %" in told
    assert not any("seen" in one for one in _plan(difference=0.5).warnings)


def test_small_and_long_tests_are_warned_of():
    assert any("fewer than ten" in one for one in _plan(raters=5).warnings)
    assert any("loses raters" in one for one in _plan(trial_s=[10.0] * 120).warnings)


def test_preferences_have_votes_of_a_pair_and_no_points():
    found = _plan("ab", systems=3, conditions=4, rated=20.0)
    assert found.smallest is None
    assert found.votes_per_system == 30 * 20 / 4 * 2
    assert found.votes_needed["0.55"] == 783


def test_mushra_counts_every_clip_of_a_trial_and_its_own_points():
    found = _plan("mushra", systems=6, conditions=1, rated=10.0)
    assert found.votes_per_system == 300
    assert found.components.residual == pytest.approx(25 * 0.70)


def test_a_pilot_without_spreads_is_refused(tmp_path):
    with pytest.raises(UserError, match="no spreads of a pilot"):
        planning.of_pilot(tmp_path)
    values = {"power": {"components": {"rater": 0.4, "item": 0.3, "rater_system": 0.2,
                                       "item_system": 0.1, "residual": 0.6}}}  # fmt: skip
    (tmp_path / "listening.json").write_text(json.dumps(values))
    assert planning.of_pilot(tmp_path) == Components(0.4, 0.3, 0.2, 0.1, 0.6)
