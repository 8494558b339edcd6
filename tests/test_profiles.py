"""What is read out of a profile: sessions, slopes and crossings, from rows that are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mamtra_eval import profiles
from mamtra_eval.models import layout
from mamtra_eval.models.config import preset
from mamtra_eval.models.layout import Ratio
from mamtra_eval.profiles import Session
from mamtra_eval.profiling.rows import MEASURED, ProfileKey, ProfileRow

CONTEXTS = (100, 200, 400, 800)
CPU = {"device_type": "cpu", "device": "a processor", "kv": "fp32", "state": "fp32",
       "weights": "fp32"}  # fmt: skip


def step(system: str, context: int, seconds: float, noise: float = 0.0, n: int = 40,
         session: str = "s") -> ProfileRow:  # fmt: skip
    rng = np.random.default_rng([context, len(system)])
    samples = (seconds + noise * rng.standard_normal(n)).tolist()
    key = ProfileKey(session, system, "time.step", "", context, 1, "replay")
    return ProfileRow(key, "s", MEASURED, float(np.median(samples)), n=n,
                      detail={"samples": samples})  # fmt: skip


def config(ratio: str) -> dict[str, object]:
    shape = preset("mini")
    kept = layout.transformer_layers(Ratio.parse(ratio), shape.layers)
    return shape.with_layout(kept).to_dict()


META: dict[str, Any] = {
    "baseline": "t",
    "systems": {
        "t": {"target": "shape:mini", "config": config("1:0"), "bits": None},
        "h": {"target": "shape:mini:1:1", "config": config("1:1"), "bits": None},
    },
    "sessions": {"s": CPU},
}


def session(fixed: float, slope: float, noise: float = 0.0) -> Session:
    """A teacher of 10 us and 10 ns a token, and a hybrid."""
    rows = [step("t", c, 10e-6 + 10e-9 * c, noise) for c in CONTEXTS]
    rows += [step("h", c, fixed + slope * c, noise) for c in CONTEXTS]
    [found] = profiles.sessions(rows, META)
    return found


def crossing(found: Session) -> profiles.Crossing:
    [one] = found.crossings("time.step", workload="replay")
    return one


def test_lines_cross_where_they_do() -> None:
    one = crossing(session(13e-6, 5e-9))  # 3 us more, 5 ns less a token
    assert one.at == pytest.approx(600)
    assert (one.low, one.high) == (pytest.approx(600), pytest.approx(600))
    assert not one.beyond


def test_a_crossing_beyond_what_was_measured_says_so() -> None:
    one = crossing(session(20e-6, 5e-9))
    assert one.at == pytest.approx(2000)
    assert one.beyond


def test_a_line_that_never_falls_below() -> None:
    assert crossing(session(11e-6, 10e-9 + 1e-12)).at is None


def test_a_line_that_always_lies_below() -> None:
    assert crossing(session(9e-6, 5e-9)).at == 0


def test_noise_widens_the_interval_around_the_crossing() -> None:
    calm, noisy = crossing(session(13e-6, 5e-9, 1e-8)), crossing(session(13e-6, 5e-9, 2e-7))
    assert calm.low is not None and calm.high is not None  # noqa: PT018
    assert noisy.low is not None
    assert calm.low <= 600 <= calm.high
    assert noisy.low < calm.low


def test_slopes() -> None:
    found = session(13e-6, 5e-9)
    fixed, per_token = found.slope("h", "time.step", workload="replay") or (0, 0)
    assert (fixed, per_token) == (pytest.approx(13e-6), pytest.approx(5e-9))
    assert found.slope("h", "time.step", workload="fixed") is None


def test_sessions_are_apart_and_devices_come_first() -> None:
    rows = [step("t", c, 1.0) for c in CONTEXTS] + [step("t", 100, 0.5, session="g")]
    meta = {**META, "sessions": {"s": CPU, "g": {**CPU, "device_type": "cuda"}, "none": CPU}}
    found = profiles.sessions(rows, meta)
    assert [one.key for one in found] == ["g", "s"]
    assert found[0].value("t", "time.step", 100, workload="replay") == 0.5
    assert found[1].value("t", "time.step", 100, workload="replay") == 1.0
    assert found[1].contexts("time.step") == list(CONTEXTS)
    assert found[1].systems == ("t",)


def test_without_the_baseline_nothing_is_compared() -> None:
    rows = [step("h", c, 1.0) for c in CONTEXTS]
    [found] = profiles.sessions(rows, META)
    assert found.baseline is None
    assert found.crossings("time.step", workload="replay") == []


def test_a_row_with_an_error_is_no_value() -> None:
    key = ProfileKey("s", "t", "time.step", "", 100, 1, "replay")
    [found] = profiles.sessions([ProfileRow(key, "s", MEASURED, None, n=0, error="no room")], META)
    assert found.value("t", "time.step", 100, workload="replay") is None
    assert found.contexts("time.step") == []
    row = found.get("t", "time.step", 100, workload="replay")
    assert row is not None
    assert row.error == "no room"


def test_no_profile_has_no_sessions() -> None:
    assert profiles.sessions([], {}) == []


def test_times_of_other_turns_are_no_crossing() -> None:
    rows = [step("t", c, 10e-6 + 10e-9 * c) for c in CONTEXTS]
    rows += [step("h", c, 13e-6 + 5e-9 * c) for c in CONTEXTS]
    apart = [replace(row, detail={**row.detail, "turn": row.key.system}) for row in rows]
    [found] = profiles.sessions(apart, META)
    assert found.crossings("time.step", workload="replay") == []


def test_a_quantised_variant_is_no_ratio() -> None:
    rows = [step(name, c, 1e-6 * c) for name in ("t", "h") for c in CONTEXTS]
    quantised = {**META["systems"], "h": {**META["systems"]["h"], "bits": 4}}
    [found] = profiles.sessions(rows, {**META, "systems": quantised})
    assert found.crossings("time.step", workload="replay") == []


def test_single_samples_have_no_interval() -> None:
    rows = [step("t", c, 10e-6 + 10e-9 * c, n=1) for c in CONTEXTS]
    rows += [step("h", c, 13e-6 + 5e-9 * c, n=1) for c in CONTEXTS]
    [found] = profiles.sessions(rows, META)
    one = crossing(found)
    assert one.at == pytest.approx(600)
    assert (one.low, one.high, one.single) == (None, None, True)
