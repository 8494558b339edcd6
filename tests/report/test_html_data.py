"""What the page is told of a run: verdicts with their margins, outlines, recordings."""

from __future__ import annotations

import json

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results
from mamtra_eval.reader import RunReader
from mamtra_eval.report import _html_data
from mamtra_eval.report import html as report

TEXT = "one two three four five six seven eight nine ten"


@pytest.fixture
def run(tmp_path):
    """Build a run of transcripts with a margin or without: ``run(margins)``."""
    ids = [f"u{n}" for n in range(20)]
    (tmp_path / "meta.lst").write_text("".join(f"{u}|{TEXT}\n" for u in ids))
    systems = {}
    for name, text in (("teacher", TEXT), ("alike", TEXT), ("worse", "oh oh oh oh five six")):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps({"id": u, "text": text}) for u in ids))
        systems[name] = f"transcripts:{path}"

    def build(margins):
        given = {"testset": str(tmp_path / "meta.lst"), "systems": systems, "margins": margins}
        with RunReader(pipeline.evaluate(configuration.build(given), tmp_path / "run")) as store:
            return _html_data.build(results.collect(store))

    return build


def _differences(data):
    return {one["name"]: one["figures"]["wer"]["difference"] for one in data["systems"]}


def test_verdicts_and_margins_reach_the_page(run):
    data = json.loads(report.encode(run({"wer": 0.05})))
    found = _differences(data)
    assert found["teacher"] is None
    assert (found["alike"]["verdict"], found["worse"]["verdict"]) == ("equivalent", "inferior")
    assert found["worse"]["margin"] == 0.05
    assert "the 90 % interval" in data["verdicts"]
    assert "declared before the numbers: WER, mean of utterances 5 pt." in data["verdicts"]


def test_without_margins_nothing_is_said_of_them(run):
    data = run({})
    assert data["verdicts"] is None
    assert _differences(data)["worse"]["verdict"] is None


def test_transcripts_have_no_audio(run):
    data = run({})
    assert data["audio"] == "none"
    assert {clip["audio"] for clip in data["clips"]} == {None}
    assert {clip["envelope"] for clip in data["clips"]} == {None}


def test_recordings_and_outlines_reach_the_page(make_list, tmp_path):
    given = {"testset": str(make_list(n=1)), "systems": {"r": "recorded"}, "metrics": ["health"]}
    with RunReader(pipeline.evaluate(configuration.build(given), tmp_path / "run")) as store:
        (clip,) = _html_data.build(results.collect(store))["clips"]
    assert clip["ground_truth"] == "../set/wavs/u0.wav"
    assert clip["prompt"] == "../set/prompt.wav"
    assert len(clip["envelope"]) == 100
