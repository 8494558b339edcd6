"""What forbids comparing two runs, and what a reader is only warned of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from written_runs import run

from mamtra_eval import comparable, merging
from mamtra_eval.comparable import Severity, Subject
from mamtra_eval.parts import Part
from mamtra_eval.rundata import RunData

START = {"device": "cpu", "processor": "P", "packages": {"torch": "2.0"}}
DRIFT = "Drift: wer of golden clip c has errors 2; it was 1"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    data = run(tmp_path_factory.mktemp("one") / "a", {"t": 0}, n=3)
    return replace(data, starts=(START,))


def _testset(**values: object) -> Callable[[RunData], dict[str, Any]]:
    return lambda data: {"testset": {**data.testset, **values}}


def _signature(change: Callable[[str], str]) -> Callable[[RunData], dict[str, Any]]:
    return lambda data: {
        "metrics": tuple(replace(row, signature=change(row.signature)) for row in data.metrics)
    }


CASES: list[tuple[Callable[[RunData], dict[str, Any]], Severity, Subject]] = [
    (_testset(sha256="0"), Severity.DIFFERS, Subject.TESTSET),
    (_testset(repeats=2), Severity.DIFFERS, Subject.REPEATS),
    (_signature(lambda text: text + "|x:1"), Severity.DIFFERS, Subject.SIGNATURE),
    (_testset(seed=1), Severity.CAUTION, Subject.SEED),
    (lambda _: {"recipe": "seed-tts"}, Severity.CAUTION, Subject.RECIPE),
    (lambda _: {"margins": {"wer": 0.1}}, Severity.CAUTION, Subject.MARGINS),
    (lambda _: {"version": "0.0"}, Severity.CAUTION, Subject.VERSION),
    (lambda _: {"distributed": "ray"}, Severity.CAUTION, Subject.DISTRIBUTED),
    (lambda _: {"part": Part(1, 2)}, Severity.CAUTION, Subject.SHARD),
    (lambda _: {"notes": (DRIFT,)}, Severity.CAUTION, Subject.DRIFT),
    (lambda data: {"batches": {**(data.batches or {}), "mode": "fast"}},
     Severity.CAUTION, Subject.BATCHES),
    (lambda data: {"batches": {**(data.batches or {}), "system t": [4]}},
     Severity.CAUTION, Subject.BATCHES),
    (lambda _: {"starts": ({**START, "device": "GPU"},)}, Severity.CAUTION, Subject.DEVICE),
    (lambda _: {"starts": ({**START, "packages": {}},)}, Severity.CAUTION, Subject.PACKAGES),
]  # fmt: skip


@pytest.mark.parametrize(("change", "severity", "subject"), CASES)
def test_each_difference_is_a_reason(
    one: RunData,
    change: Callable[[RunData], dict[str, Any]],
    severity: Severity,
    subject: Subject,
) -> None:
    found = comparable.reasons(one, replace(one, **change(one)))
    assert {(each.severity, each.subject) for each in found} == {(severity, subject)}
    assert comparable.comparable(found) is (severity is Severity.CAUTION)


def test_other_weights_alone_are_told_as_such(one: RunData) -> None:
    def weights(digest: str) -> RunData:
        return replace(one, **_signature(lambda text: f"{text}|weights:{digest}")(one))

    found = comparable.reasons(weights("aa"), weights("bb"))
    assert {each.subject for each in found} == {Subject.WEIGHTS}
    assert not comparable.comparable(found)


def test_a_run_and_itself_differ_in_nothing(one: RunData) -> None:
    assert comparable.reasons(one, one) == []
    assert one.batches is not None
    assert {"mode", "system t", "metric wer"} <= one.batches.keys()


def test_what_only_one_run_knows_is_no_reason(one: RunData) -> None:
    assert comparable.reasons(one, replace(one, batches=None, starts=())) == []


def test_a_merged_table_says_what_is_marked_and_why(one: RunData) -> None:
    change = {**_signature(lambda text: text + "|x:1")(one), "version": "0.0"}
    notes = merging.merge([one, replace(one, **change)]).notes
    assert any("program version 0.0 instead of" in note for note in notes)
    assert any("wer (another metric signature)" in note for note in notes)


def test_the_command_lists_reasons_and_exits(tmp_path: Path, cli: Callable[..., Any]) -> None:
    for name, settings in (("a", {}), ("b", {"seed": 1}), ("c", {"repeats": 2})):
        run(tmp_path / name, {"t": 0}, n=2, **settings)
    a, b, c = (tmp_path / name / "out" for name in "abc")
    done = cli("compare", a, b)
    assert (done.returncode, done.stdout) == (
        0, "caution: synthesis seed 1 instead of 0\nComparable with caution.\n",
    )  # fmt: skip
    done = cli("compare", a, c, "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert not told["comparable"]
    assert told["reasons"][0]["subject"] == "number of repeats"
