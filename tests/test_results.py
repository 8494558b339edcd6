"""From rows to figures, on rows whose figures can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mamtra_eval import results
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.report import _format as form
from mamtra_eval.report import _html_data, leaderboard
from mamtra_eval.results import Results
from mamtra_eval.rows import ClipKey, MetricRow, SystemRow
from mamtra_eval.statistics.bootstrap import Estimate
from mamtra_eval.store import Store
from mamtra_eval.testset import Utterance

FIGURES = (
    Figure("rate", "errors", "words", unit="fraction", higher_is_better=False, title="Rate"),
    Figure("pooled", "errors", "words", "pooled", unit="fraction", higher_is_better=False),
    Figure("all", "errors", "words", unit="fraction", higher_is_better=False, failed=1.0),
    Figure("all_pooled", "errors", "words", "pooled", unit="fraction", higher_is_better=False,
           failed=1.0, headline=False),
    Figure("over", "errors", "words", "share_above", unit="fraction", headline=False, at=0.5),
    Figure("up_to", "errors", "words", "mean_up_to", unit="fraction", headline=False, at=0.5),
    Figure("worst", "errors", "words", "max", unit="fraction", headline=False),
    Figure("middle", "errors", "words", "median", unit="fraction", headline=False),
)  # fmt: skip
# (errors, words) by utterance and repeat; None failed.
ROWS = {
    "base": {"a": [(0, 4), (2, 4)], "b": [(1, 10), (1, 10)], "c": [(3, 2), (3, 2)]},
    "sys": {"a": [(4, 4), (4, 4)], "b": [None, (5, 10)], "c": [None, None]},
}
WORDS = {"a": 4.0, "b": 10.0, "c": 2.0}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Results]:
    with Store(tmp_path / "run") as store:
        store.add_utterances(
            [Utterance(name, f"text {name}") for name in WORDS], dict.fromkeys(WORDS, "")
        )
        store.add_metric(MetricRow("m", "sig:1", "a note", FIGURES))
        for name, words in WORDS.items():
            store.add_failed_counts("m", name, {"words": words})
        for system, utterances in ROWS.items():
            store.add_system(SystemRow(system, "recorded", "x", system, {}))
            for utterance, repeats in utterances.items():
                for repeat, counts in enumerate(repeats):
                    _add(store, ClipKey(system, utterance, repeat), counts)
        store.set_meta("testset", {"name": "t", "language": "en", "sha256": "ab" * 32, "n": 3,
                                   "repeats": 2, "seed": 0})  # fmt: skip
        store.set_meta("baseline", "base")
        store.set_meta("statistics", {"level": 0.95, "resamples": 1000, "seed": 0})
        yield results.collect(store)


def _add(store: Store, key: ClipKey, counts: tuple[int, int] | None) -> None:
    store.add_clip(key, 0)
    store.finish_clip(key, path=f"clips/{key.utterance}.wav", sha256="", duration_s=1.0,
                      sample_rate_hz=16000, synthesis_s=0.1)  # fmt: skip
    if counts is None:
        store.fail_reading(key, "m", "it <b>broke</b> | here")
    else:
        reading = Reading({"errors": counts[0], "words": counts[1]}, {"transcript": "t"})
        store.add_reading(key, "m", reading, 0.1)


def _value(run: Results, system: str, figure: str) -> results.Value:
    return {item.row.name: item for item in run.systems}[system].values[figure]


def test_mean_is_over_utterances_and_pooled_over_words(run: Results) -> None:
    rate, pooled = _value(run, "base", "rate"), _value(run, "base", "pooled")
    assert rate.estimate is not None
    assert pooled.estimate is not None
    assert rate.estimate.value == pytest.approx((0.25 + 0.1 + 1.5) / 3)  # 150 % is not clipped
    assert pooled.estimate.value == pytest.approx(10 / 32)
    assert (rate.n, rate.n_failed) == (6, 0)


def test_spread_is_over_utterances_and_says_how_many_enter(run: Results) -> None:
    found = {name: _value(run, "base", name) for name in ("over", "up_to", "worst", "middle")}
    values = {name: value.estimate.value for name, value in found.items() if value.estimate}
    expected = {"over": 1 / 3, "up_to": (0.25 + 0.1) / 2, "worst": 1.5, "middle": 0.25}
    assert values == pytest.approx(expected)
    assert {name: value.n for name, value in found.items()} == {
        "over": 6, "up_to": 6, "worst": 6, "middle": 6,
    }  # fmt: skip
    half = _value(run, "sys", "up_to")  # 1.0 does not enter, 0.5 does
    assert half.estimate is not None
    assert (half.estimate.value, half.n, half.n_failed) == (0.5, 3, 3)
    assert half.estimate.low is None  # one utterance alone entered
    assert half.difference is None  # over other utterances than the baseline's
    assert _value(run, "sys", "over").difference is not None


def test_failed_clips_are_left_out_of_one_reading_and_count_in_the_other(run: Results) -> None:
    without, with_all = _value(run, "sys", "rate"), _value(run, "sys", "all")
    assert without.estimate is not None
    assert with_all.estimate is not None
    assert without.estimate.value == pytest.approx((1.0 + 0.5) / 2)
    assert (without.n, without.n_failed) == (3, 3)
    assert with_all.estimate.value == pytest.approx((1.0 + 0.75 + 1.0) / 3)
    assert (with_all.n, with_all.n_failed) == (6, 0)
    pooled = _value(run, "sys", "all_pooled").estimate
    assert pooled is not None
    assert pooled.value == pytest.approx((8 + 10 + 5 + 4) / 32)


def test_differences_are_paired_over_the_utterances_of_both(run: Results) -> None:
    value = _value(run, "sys", "rate")
    assert value.difference is not None
    assert value.n_paired == 2  # c has no reading
    assert value.difference.value == pytest.approx((0.75 + 0.4) / 2)
    assert _value(run, "base", "rate").difference is None


def test_a_system_that_fails_everywhere_has_no_value_but_a_row(tmp_path: Path) -> None:
    with Store(tmp_path / "run") as store:
        store.add_utterances([Utterance("a", "text")], {"a": ""})
        store.add_metric(MetricRow("m", "sig:1", "", FIGURES[:1]))
        store.add_system(SystemRow("s", "recorded", "x", "s", {}))
        store.add_clip(ClipKey("s", "a", 0), 0)
        store.fail_clip(ClipKey("s", "a", 0), "missing")
        store.set_meta("testset", {"name": "t", "language": "en", "sha256": "ab" * 32, "n": 1,
                                   "repeats": 1, "seed": 0})  # fmt: skip
        store.set_meta("baseline", "s")
        store.set_meta("statistics", {"level": 0.95, "resamples": 1000, "seed": 0})
        run = results.collect(store)
        assert _value(run, "s", "rate").estimate is None
        assert run.n_failed == 1
        assert "0/1" in leaderboard.render(run)
        assert _html_data.build(run)["clips"][0]["error"] == "missing"


def test_costs_are_sums_over_what_was_made(tmp_path: Path) -> None:
    clips = {  # seconds of speech, of making (a batch: the first clip has all), what was counted
        "a": (2.0, 1.5, {"tokens": 50.0, "cache_bytes": 2.0**20, "cut": 0.0}),
        "b": (1.0, 0.0, {"tokens": 25.0, "cache_bytes": 3 * 2.0**20, "cut": 1.0}),
    }
    with Store(tmp_path / "run") as store:
        store.add_utterances([Utterance(name, "x") for name in clips], dict.fromkeys(clips, ""))
        store.add_metric(MetricRow("m", "sig:1", "", FIGURES[:1]))
        for system in ("spoken", "read", "plain"):
            store.add_system(SystemRow(system, "x", "x", system, {}))
            for name, (duration_s, synthesis_s, cost) in clips.items():
                key = ClipKey(system, name, 0)
                store.add_clip(key, 0)
                store.finish_clip(
                    key, path=f"{name}.wav", sha256="", duration_s=duration_s,
                    sample_rate_hz=16000, synthesis_s=None if system == "read" else synthesis_s,
                    cost=cost if system == "spoken" else None,
                )  # fmt: skip
        store.set_meta("testset", {"name": "t", "language": "en", "sha256": "ab" * 32, "n": 2,
                                   "repeats": 1, "seed": 0})  # fmt: skip
        store.set_meta("baseline", "read")
        store.set_meta("statistics", {"level": 0.95, "resamples": 1000, "seed": 0})
        run = results.collect(store)
    spoken, read, plain = (system.cost for system in run.systems)
    assert spoken == results.Cost(rtf=0.5, tokens_per_s=50.0, cache_bytes=2 * 2.0**20, cut=1)
    assert read == results.Cost(None, None, None, None)
    assert plain == results.Cost(0.5, None, None, None)
    text = leaderboard.render(run)
    assert "| spoken | 0.500 | 50 | 2.00 MiB | 1 |" in text
    assert "| plain | 0.500 | – | – | – |" in text
    assert "| read | 0" not in text
    assert [system["costs"] for system in _html_data.build(run)["systems"]] == [
        ["0.500", "50", "2.00 MiB", "1"], None, ["0.500", "–", "–", "–"],
    ]  # fmt: skip


def test_what_is_pending_is_not_failed(tmp_path: Path) -> None:
    with Store(tmp_path / "run") as store:
        store.add_utterances([Utterance("a", "x"), Utterance("b", "y")], {"a": "", "b": ""})
        store.add_metric(MetricRow("m", "sig:1", "", FIGURES))
        for utterance in "ab":
            store.add_failed_counts("m", utterance, {"words": 4.0})
        store.add_system(SystemRow("s", "recorded", "x", "s", {}))
        _add(store, ClipKey("s", "a", 0), (1, 4))
        store.add_clip(ClipKey("s", "b", 0), 0)  # planned, not made
        store.set_meta("testset", {"name": "t", "language": "en", "sha256": "ab" * 32, "n": 2,
                                   "repeats": 1, "seed": 0})  # fmt: skip
        store.set_meta("baseline", "s")
        store.set_meta("statistics", {"level": 0.95, "resamples": 1000, "seed": 0})
        run = results.collect(store)
    assert (run.n_failed, run.n_pending) == (0, 1)
    incl = _value(run, "s", "all")
    assert incl.estimate is not None
    assert (incl.estimate.value, incl.n, incl.n_failed) == (0.25, 1, 0)
    text = leaderboard.render(run)
    assert "(1/2)" in text
    assert "Unfinished: 1 clips" in text


def test_a_run_without_a_plan_is_explained(tmp_path: Path) -> None:
    with Store(tmp_path / "run") as store, pytest.raises(UserError, match="no plan"):
        results.collect(store)


def test_the_leaderboard_is_a_table_with_coverage_and_footnotes(run: Results) -> None:
    lines = leaderboard.render(run).splitlines()
    header = next(line for line in lines if line.startswith("| System"))
    row = next(line for line in lines if line.startswith("| sys"))
    assert header.count("|") == row.count("|")
    assert "Rate ↓[^1]" in header
    assert "75.0 %" in row
    assert "(3/6)" in row
    assert any(line.startswith("[^1]: `sig:1` a note") for line in lines)
    failure = next(line for line in lines if line.startswith("- sys, b"))
    assert "&lt;b&gt;broke&lt;/b&gt; \\| here" in failure


@pytest.mark.parametrize(
    ("low", "high", "higher", "expected"),
    [(0.1, 0.2, True, "better"), (0.1, 0.2, False, "worse"), (-0.2, -0.1, False, "better"),
     (-0.1, 0.2, True, "undecided"), (0.0, 0.2, True, "undecided"),
     (None, None, True, "undecided")],
)  # fmt: skip
def test_a_verdict_needs_an_interval_without_zero(
    low: float | None, high: float | None, higher: bool, expected: str
) -> None:
    figure = Figure("f", "x", higher_is_better=higher)
    assert form.verdict(figure, Estimate(0.1, low, high)) == expected


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [("fraction", 0.0374, "3.7 %"), ("cosine", 0.9046, "0.905"), ("mos", 2.957, "2.96")],
)
def test_amounts_in_their_unit(unit: str, value: float, expected: str) -> None:
    assert form.amount(Figure("f", "x", unit=unit), value) == expected
