"""The second opinion: by hand, as a property, and in a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results
from mamtra_eval import plan as planning
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.metrics import Item, Reading, opinion, second_wer
from mamtra_eval.metrics.wer import count_edits
from mamtra_eval.reader import RunReader
from mamtra_eval.store import Store

pytestmark = pytest.mark.slow

ITEM = Item("u", "text", Path("u.wav"))


def compare(text: str, first: str, second: str, other: str | None = None) -> Reading:
    readings = {
        "wer": count_edits(text, first, {"transcript": first}),
        "second_wer": count_edits(other or text, second, {"transcript": second}),
    }
    return opinion.create({}).derive(ITEM, readings)


@pytest.mark.parametrize(
    ("first", "second", "both", "agree"),
    [
        ("a b c d", "a b c d", 0, 1),
        ("a x c d", "a b c d", 0, 0),  # one alone
        ("a x c d", "a y c d", 1, 0),  # both, and heard otherwise
        ("a c d", "a x c d", 1, 0),  # missing to one, another word to the other
        ("a b c d e", "a b c d f g", 1, 0),  # one word more at least
        ("e a b c d", "a b c d e", 0, 0),  # at other places
        ("x b c y", "x b c y", 2, 1),
        ("", "", 4, 1),
    ],
)
def test_errors_that_both_find(first: str, second: str, both: int, agree: int) -> None:
    found = compare("a b c d", first, second)
    assert found.counts == {"errors": both, "words": 4, "agree": agree}
    assert found.evidence == {"agree": bool(agree), "second_transcript": second}


WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map(" ".join)


@given(WORDS, WORDS, WORDS)
def test_never_more_than_either_finds(text: str, first: str, second: str) -> None:
    both = compare(text, first, second).counts["errors"]
    assert both == compare(text, second, first).counts["errors"]
    for heard in (first, second):
        assert both <= count_edits(text, heard, {}).counts["errors"]
    assert compare(text, first, first).counts["errors"] == count_edits(text, first, {}).counts[
        "errors"]  # fmt: skip


def test_two_text_rules_can_t_be_compared() -> None:
    with pytest.raises(MeasurementError, match="one text rule"):
        compare("a b", "a b", "a", other="ab")


def test_a_second_recogniser_must_be_named() -> None:
    with pytest.raises(UserError, match=r"--set second\.backend=NAME"):
        second_wer.create({})


def _config(testset: Path, **settings: object) -> configuration.RunConfig:
    return configuration.build(
        {"testset": str(testset), "systems": {"r": "recorded", "n": "noise"}, **settings}
    )


def test_a_run_with_a_second_recogniser_has_both_opinions(
    make_list: Callable[..., Path], tmp_path: Path
) -> None:
    testset = make_list(n=3)
    settings = {"second": {"backend": "pocketsphinx", "grammar": "digits"}, "asr": {}}
    config = _config(testset, metrics=["opinion"], **settings)
    folder = pipeline.evaluate(config, tmp_path / "run")
    with RunReader(folder) as store:
        found = results.collect(store)
        readings = [row for row in store.readings() if row.metric == "opinion"]
    assert [metric.name for metric in found.metrics] == ["wer", "second_wer", "opinion"]
    assert "grammar:digits" in found.metrics[1].signature
    assert "grammar" not in found.metrics[0].signature
    assert len(readings) == 6
    assert all(row.reading for row in readings)
    for system in found.systems:
        agreed = system.values["opinion"]
        assert agreed.n == 3
        for name in ("wer", "second_wer"):
            assert agreed.estimate.value <= system.values[name].estimate.value
    # Naming the recogniser is enough; both sides are read by one rule.
    plan = planning.make(_config(testset, second={"backend": "supplied"}, asr={
        "normalizer": "f5_tts"}))  # fmt: skip
    assert {"second_wer", "opinion"} <= set(plan.metrics)
    assert "norm:f5-tts-1" in plan.metrics["second_wer"].signature()


def test_what_a_source_lacks_is_a_failure_row_and_can_be_retried(
    make_list: Callable[..., Path], tmp_path: Path
) -> None:
    testset = make_list(n=2)
    (testset.parent / "wavs" / "u1.wav").write_bytes(b"no audio")
    config = configuration.build(
        {"testset": str(testset), "systems": {"r": "recorded", "m": str(testset.parent / "wavs")},
         "metrics": ["failures"], "max_failures": 9}
    )  # fmt: skip
    folder = pipeline.evaluate(config, tmp_path / "run")
    with RunReader(folder) as store:
        found = results.collect(store)
    values = found.systems[0].values
    assert [metric.name for metric in found.metrics] == ["wer", "health", "failures"]
    # The clip that was never made counts as a failure, and as no kind of failure.
    assert (values["failures"].n, values["failures"].estimate.value) == (2, 1.0)
    assert values["failure_empty"].n == 1


def test_derived_metrics_whose_sources_are_left_out_are_left_out_with_a_note(
    make_list: Callable[..., Path],
) -> None:
    testset = make_list(n=1)
    (testset.parent / "testset.yaml").write_text(
        "name: s\nlanguage: zh\nlists: {all: {file: meta.lst}}\n"
    )
    plan = planning.make(_config(testset))
    assert "wer" not in plan.metrics
    assert any(note.startswith("failures was left out: ") for _, note in plan.notes)


def test_what_failed_for_want_of_a_source_is_worked_out_when_that_is_there(
    make_list: Callable[..., Path], tmp_path: Path
) -> None:
    config = _config(make_list(n=1), metrics=["failures"])
    folder = pipeline.evaluate(config, tmp_path / "run")
    with Store(folder) as store:
        before = {(row.key, row.metric): row.reading for row in store.readings()}
        key = next(key for key, metric in before if metric == "wer")
        store.fail_reading(key, "wer", "the worker process died")
        store.fail_reading(key, "failures", "wer: the worker process died")
    pipeline.evaluate(config, folder, retry_failed=True)
    with RunReader(folder) as reader:
        assert {(row.key, row.metric): row.reading for row in reader.readings()} == before


def test_the_set_s_own_recordings_give_the_recogniser_s_floor(
    make_list: Callable[..., Path], tmp_path: Path
) -> None:
    testset = make_list(n=2)
    base = {"testset": str(testset), "metrics": ["wer"], "floor": True}
    config = configuration.build({**base, "systems": {"n": "noise"}})
    with RunReader(pipeline.evaluate(config, tmp_path / "run")) as store:
        found = results.collect(store)
    assert [system.row.name for system in found.systems] == ["n", "ground-truth"]
    assert found.floor == "ground-truth"
    assert any("own floor" in note for note in found.notes)
    # One that is there is not added again, whatever it is called.
    named = configuration.build({**base, "floor": False, "systems": {"topline": "recorded"}})
    folder = pipeline.evaluate(named, tmp_path / "named")
    pipeline.evaluate(configuration.build({**base, "systems": {"n": "noise"}}), folder)
    with RunReader(folder) as store:
        assert [row.name for row in store.systems()] == ["topline", "n"]
    config = configuration.build({**base, "systems": {"r": "recorded"}})
    assert [*planning.make(config).systems] == ["r"]
    bare = tmp_path / "bare.lst"
    bare.write_text("u|p||zero one\n", encoding="utf-8")
    config = configuration.build({**base, "testset": str(bare), "systems": {"n": "noise"}})
    assert "There is no floor" in planning.make(config).notes[0][1]


def test_the_floor_takes_no_system_s_name(make_list: Callable[..., Path]) -> None:
    config = configuration.build(
        {"testset": str(make_list(n=1)), "floor": True, "systems": {"ground-truth": "noise"}}
    )
    with pytest.raises(UserError, match=r"ground-truth is the name of the floor.*of noise"):
        planning.make(config)


def test_a_clip_that_can_t_be_measured_is_no_failure_of_speech(
    make_list: Callable[..., Path], tmp_path: Path
) -> None:
    testset = make_list(n=2)
    lines = testset.read_text(encoding="utf-8").splitlines()
    testset.write_text("\n".join([lines[0], lines[1].rpartition("|")[0] + "|!!!"]) + "\n")
    config = _config(testset, metrics=["failures"], max_failures=9)
    with RunReader(pipeline.evaluate(config, tmp_path / "run")) as store:
        value = results.collect(store).systems[0].values["failures"]
    assert (value.n, value.n_failed) == (1, 1)


def test_an_earlier_derived_failure_is_mended_by_the_source_alone(
    make_list: Callable[..., Path], tmp_path: Path
) -> None:
    testset = make_list(n=1)
    folder = pipeline.evaluate(_config(testset, metrics=["failures"]), tmp_path / "run")
    with Store(folder) as store:
        before = {(row.key, row.metric): row.reading for row in store.readings()}
        key = next(key for key, metric in before if metric == "wer")
        store.fail_reading(key, "wer", "the worker process died")
        store.fail_reading(key, "failures", "wer: the worker process died")
    pipeline.evaluate(_config(testset, metrics=["wer"]), folder, retry_failed=True)
    with RunReader(folder) as reader:
        assert {(row.key, row.metric): row.reading for row in reader.readings()} == before


def test_derived_metrics_sign_what_they_are_worked_out_from(make_list: Callable[..., Path]) -> None:
    testset = make_list(n=1)
    plans = [
        planning.make(_config(testset, metrics=["failures"], asr={"normalizer": rule}))
        for rule in ("seed_tts", "f5_tts")
    ]
    signatures = {plan.signature("failures") for plan in plans}
    assert len(signatures) == 2
    assert not any("resample" in signature for signature in signatures)
