"""Word error rates of transcripts that came from elsewhere: no audio, no recogniser."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results
from mamtra_eval import plan as planning
from mamtra_eval.errors import UserError
from mamtra_eval.reader import RunReader
from mamtra_eval.results import Results

GOLDEN = Path(__file__).parent.parent / "conformance" / "seed_tts_wer.json"
CASES = [
    case
    for case in json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
    if "\n" not in case["reference"]  # a list has one line an utterance
]
List = Callable[..., Path]


def _write(path: Path, rows: list[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _evaluate(out: Path, testset: Path, systems: dict[str, str], *settings: str) -> Results:
    config = configuration.build({"testset": str(testset), "systems": systems}, settings)
    with RunReader(pipeline.evaluate(config, out)) as store:
        return results.collect(store)


def _value(found: Results, system: str, figure: str) -> float:
    value = {item.row.name: item for item in found.systems}[system].values[figure].estimate
    assert value is not None
    return value.value


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_number_is_that_of_the_official_scripts(language: str, tmp_path: Path) -> None:
    cases = [case for case in CASES if case["language"] == language]
    texts = "".join(f"u{n:03}|{case['reference']}\n" for n, case in enumerate(cases))
    (tmp_path / "meta.lst").write_text(texts, encoding="utf-8")
    # A list in Chinese characters is taken for Chinese, one without for English.
    rows = [{"id": f"u{n:03}", "text": case["hypothesis"]} for n, case in enumerate(cases)]
    whole = _write(tmp_path / "whole.jsonl", [*reversed(rows), {"id": "stranger", "text": "x"}])
    part = _write(tmp_path / "part.jsonl", [*rows[:-3]])
    systems = {"whole": f"transcripts:{whole}", "part": f"transcripts:{part}"}
    found = _evaluate(tmp_path / "run", tmp_path / "meta.lst", systems)
    rates = [case["wer"] for case in cases]
    assert _value(found, "whole", "wer") == pytest.approx(math.fsum(rates) / len(rates), abs=1e-9)
    # The official scripts take the mean over what is there; here the rest is said to be missing.
    assert _value(found, "part", "wer") == pytest.approx(
        math.fsum(rates[:-3]) / (len(rates) - 3), abs=1e-9
    )
    lacking = {item.row.name: item for item in found.systems}["part"]
    assert (lacking.n_done, lacking.n_failed) == (len(cases) - 3, 3)
    assert lacking.values["wer"].n == len(cases) - 3
    assert _value(found, "part", "wer_incl_failed") == pytest.approx(
        (math.fsum(rates[:-3]) + 3) / len(rates), abs=1e-9
    )
    [clip] = [c for c in found.clips if c.key.system == "part" and c.key.utterance == "u000"]
    assert (clip.path, clip.duration_s) == ("clips/part/u000.txt", None)
    assert [metric.name for metric in found.metrics] == ["wer"]
    assert found.metrics[0].signature.startswith("asr:supplied|norm:seed-tts-2|edit:jiwer-")


def test_repeats_have_lines_of_their_own(make_list: List, tmp_path: Path) -> None:
    rows = [
        {"id": "u0", "text": "zero one two"},
        {"id": "u0", "text": "zero one", "repeat": 1},
        {"id": "u1.wav", "text": "zero one two"},
        {"id": "u1", "text": "", "repeat": 1},
    ]
    file = _write(tmp_path / "two.jsonl", [*rows])
    found = _evaluate(tmp_path / "run", make_list(2), {"t": f"transcripts:{file}"}, "repeats=2")
    assert _value(found, "t", "wer") == pytest.approx((1 / 3 + 1) / 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"id": "u0", "text": "a"}\n{"id": "u0", "text": "b"}\n', r":2: a second transcript"),
        (b'{"id": "u0", "text": 5}\n', ":1: id and text must be texts"),
        (b'{"id": "u0", "text": "a", "repeat": true}\n', "repeat a number"),
        (b'{"id": "u0", "text": "\\ud800"}\n', "no text"),
        (b"\n[1]\n", ":2: no JSON object"),
        (b"u0 zero one\n", "no JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"id": "other", "text": "a"}\n', "none of the test set's utterances"),
        (b"", "none of the test set's utterances"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    content: bytes, message: str, make_list: List, tmp_path: Path
) -> None:
    (tmp_path / "t.jsonl").write_bytes(content)
    with pytest.raises(UserError, match=message):
        _evaluate(tmp_path / "run", make_list(1), {"t": f"transcripts:{tmp_path / 't.jsonl'}"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("systems", "settings", "message"),
    [
        ({"t": "FILE", "e": "espeak"}, [], "in one run"),
        ({"t": "FILE"}, ["metrics=[wer,health]"], "the metric wer alone, not wer, health"),
        ({"t": "FILE"}, ["metrics=[]"], "not none"),
        ({"t": "FILE"}, ["asr.grammar=digits"], r"asr\.grammar would change nothing"),
        ({"t": "FILE"}, ["asr.backend=whisper"], r"asr\.backend would change nothing"),
        ({"t": "transcripts"}, [], "needs a file"),
        ({"t": "transcripts:/nowhere.jsonl"}, [], "can't be read"),
        ({"e": "espeak"}, ["asr.backend=supplied"], "can't hear audio"),
    ],
)
def test_what_makes_no_sense_with_transcripts_is_refused(
    systems: dict[str, str], settings: list[str], message: str, make_list: List, tmp_path: Path
) -> None:
    file = _write(tmp_path / "t.jsonl", [{"id": "u0", "text": "zero one two"}])
    systems = {n: t.replace("FILE", f"transcripts:{file}") for n, t in systems.items()}
    with pytest.raises(UserError, match=message):
        _evaluate(tmp_path / "run", make_list(1), systems, *settings)
    assert not (tmp_path / "run").exists()


def test_the_grammar_of_a_list_is_for_recognisers_that_hear(tmp_path: Path) -> None:
    rows = [{"id": "awb-d001", "text": "eight eight one"}]
    file = _write(tmp_path / "t.jsonl", [*rows])
    config = {"testset": "mini-en/digits", "limit": 1, "systems": {"t": f"transcripts:{file}"}}
    plan = planning.make(configuration.build(config))
    assert plan.testset.options["asr"]
    assert plan.metric_options == {"wer": {"backend": "supplied"}}


def test_transcripts_and_speech_do_not_meet_in_a_run_that_grows(
    make_list: List, tmp_path: Path
) -> None:
    testset = make_list(1)
    file = _write(tmp_path / "t.jsonl", [{"id": "u0", "text": "zero one two"}])
    speech = {"r": "recorded"}
    _evaluate(tmp_path / "a", testset, speech, "metrics=[health]")
    with pytest.raises(UserError, match="transcripts and systems that speak"):
        _evaluate(tmp_path / "a", testset, {"t": f"transcripts:{file}"})
    again = _evaluate(tmp_path / "a", testset, speech, "metrics=[health]")
    assert [metric.name for metric in again.metrics] == ["health"]
    _evaluate(tmp_path / "b", testset, {"t": f"transcripts:{file}"})
    with pytest.raises(UserError, match="transcripts and systems that speak"):
        _evaluate(tmp_path / "b", testset, speech, "metrics=[health]")


def test_neither_prompts_nor_recordings_need_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "meta.lst").write_text("u0|a prompt|gone.wav|zero one two\n")
    file = _write(tmp_path / "t.jsonl", [{"id": "u0", "text": "zero one two"}])
    found = _evaluate(tmp_path / "run", tmp_path / "meta.lst", {"t": f"transcripts:{file}"})
    assert _value(found, "t", "wer") == 0.0
    with pytest.raises(UserError, match=r"gone\.wav is missing"):
        _evaluate(tmp_path / "other", tmp_path / "meta.lst", {"n": "noise"})


def test_a_pipe_is_refused(make_list: List, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="no regular file"):
        _evaluate(tmp_path / "run", make_list(1), {"t": f"transcripts:{tmp_path / 'pipe'}"})


def test_the_text_rule_of_a_list_holds_for_transcripts_too(tmp_path: Path) -> None:
    (tmp_path / "meta.lst").write_text("u0|twenty one\n")
    (tmp_path / "testset.yaml").write_text(
        "name: s\nlanguage: en\nlists:\n  all: {file: meta.lst, asr: {normalizer: whisper}}\n"
    )
    file = _write(tmp_path / "t.jsonl", [{"id": "u0", "text": "21"}])
    found = _evaluate(tmp_path / "run", tmp_path / "meta.lst", {"t": f"transcripts:{file}"})
    assert _value(found, "t", "wer") == 0.0
    assert "resample" not in found.metrics[0].signature  # nothing was


def test_the_command_takes_the_file(cli: Any, make_list: List, tmp_path: Path) -> None:
    file = _write(tmp_path / "a,b.jsonl", [{"id": f"u{n}", "text": "zero two"} for n in range(3)])
    testset = make_list(3)
    done = cli("evaluate", "it=transcripts", "--transcripts", file, "--testset", testset, "--json")
    assert done.returncode == 0, done.stderr
    [system] = json.loads(done.stdout)["systems"]
    assert system["name"] == "it"
    assert system["metrics"]["wer"]["value"] == pytest.approx(1 / 3)
    based = cli("evaluate", "it=transcripts", "--transcripts", file, "--testset", testset,
                "--baseline", "transcripts", "--limit", 2)  # fmt: skip
    assert based.returncode == 0, based.stderr
    wrong = cli("evaluate", "espeak", "--transcripts", file, "--testset", testset)
    assert wrong.returncode == 2
    assert "is for the target transcripts" in wrong.stderr
