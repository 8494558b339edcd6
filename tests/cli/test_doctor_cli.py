"""``doctor TARGET``: what a system needs, and its sentence; real systems where they are cheap."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mamtra_eval import audio, catalogue, diagnosis, environments, smoke, targets
from mamtra_eval.cli import app
from mamtra_eval.diagnosis import Check
from mamtra_eval.environments import RECORD, lockfiles
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Item
from mamtra_eval.smoke import Smoke
from mamtra_eval.systems import Request, Words

TEXT = "I will call you back as soon as I get home."


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAMTRA_EVAL_ENVS", str(tmp_path / "envs"))
    return tmp_path / "envs"


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments])


def _document(*arguments: str) -> Any:
    return json.loads(_run(*arguments, "--json").stdout)


def test_a_healthy_system_passes() -> None:
    done = _run("recorded")
    assert done.exit_code == 0, done.output
    assert f"asked    {TEXT}" in done.stdout
    assert "heard    i will call you back as soon as i get home (WER 0 %)" in done.stdout
    assert "nothing is wrong with the sentence" in done.stdout


def test_a_voice_that_is_hard_to_understand_passes() -> None:
    document = _document("robot=espeak")
    assert (document["ok"], document["smoke"]["error"]) == (True, None), document
    assert document["smoke"]["healthy"] is True
    assert document["smoke"]["causes"] == []
    assert 1 < document["smoke"]["duration_s"] < 10


def test_what_is_understood_is_a_matter_of_the_bound(tmp_path: Path) -> None:
    half = Words("i will call you back")  # five of eleven words
    assert smoke.judge(Request("u", TEXT), half, tmp_path).healthy
    strict = smoke.judge(Request("u", TEXT), half, tmp_path, bound=0.5)
    assert strict.problems == ("not understood: 55 % of its words are wrong",)


def test_noise_is_not_understood() -> None:
    done = _run("noise")
    assert done.exit_code == 1
    assert "problem  not understood: " in done.stdout


def test_a_failing_clip_is_told_and_no_traceback(tmp_path: Path) -> None:
    done = _run("command:sh -c 'echo out of paper >&2; exit 3' {text} {out}")
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "failed   " in done.stdout
    assert "out of paper" in done.stdout
    assert "Traceback" not in done.output


def test_bad_options_are_told_as_they_are() -> None:
    done = _run("espeak:pich=1")
    assert done.exit_code == 1
    assert "failed   there is no option of espeak named 'pich'" in done.stdout


@pytest.mark.parametrize("target", ["espeek", "zonoss:model=x"])
def test_an_unknown_system_is_bad_input(target: str) -> None:
    done = _run(target)
    assert isinstance(done.exception, UserError)
    assert "Did you mean" in str(done.exception)


def test_without_the_sentence_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "speak", None)  # calling it is a TypeError
    done = _run("espeak", "--no-smoke")
    assert done.exit_code == 0, done.output
    assert "asked" not in done.stdout
    assert _document("espeak", "--no-smoke") == {
        "target": "espeak", "checks": [], "smoke": None, "ok": True,
    }  # fmt: skip


def test_what_is_absent_is_told_with_what_brings_it(tmp_path: Path) -> None:
    """No package, no source, no weights of CosyVoice are here."""
    done = _run(f"cosyvoice2:model={tmp_path / 'nothing'},source={tmp_path / 'none'}")
    assert done.exit_code == 1
    assert "absent   environment cosyvoice2: not made yet" in done.stdout
    assert "mamtra-eval env create cosyvoice2" in done.stdout
    assert "absent   weights of CosyVoice2-0.5B" in done.stdout
    assert "No sentence was tried" in done.stdout


def test_an_environment_that_was_named_and_not_made(tmp_path: Path) -> None:
    document = _document("zonos:env=llasa")
    [check] = document["checks"]
    assert (check["name"], check["state"]) == ("environment", "unusable")
    assert check["fix"] == "Make it with: mamtra-eval env create llasa"


def test_environments_are_listed(root: Path) -> None:
    digest = lockfiles.read(environments.locks()["zonos"]).digest
    for name, lock in (("zonos", digest), ("llasa", "another")):
        (root / name / "bin").mkdir(parents=True)
        (root / name / "bin" / "python").symlink_to(sys.executable)
        record = {"lock": lock, "python": "3.11.9", "torch": "torch==2.6.0"}
        (root / name / RECORD).write_text(json.dumps(record), "utf-8")
    found = {check.name: check for check in map(diagnosis.environment, ("zonos", "llasa")) if check}
    zonos, llasa = found["environment zonos"], found["environment llasa"]
    assert (zonos.state, zonos.fix) == ("ok", "")
    assert zonos.detail.endswith("Python 3.11.9, with torch==2.6.0 in place of its lock's")
    assert "its lock is another one now" in llasa.detail
    assert llasa.fix == "mamtra-eval env create llasa --recreate"
    assert diagnosis.environment("cosyvoice2") is None
    names = {check["name"] for check in json.loads(_run("--json").stdout)}
    assert {"environment zonos", "environment llasa", "torch"} <= names


def _judged(samples: np.ndarray, folder: Path, rate: int = 16_000) -> Smoke:
    return smoke.judge(Request("u", TEXT), _clip(samples, rate), folder)


def _clip(samples: np.ndarray, rate: int) -> audio.Clip:
    return audio.Clip(samples.astype(np.float32), rate)


def _recording() -> audio.Clip:
    first = catalogue.load("mini-en").utterances[0]
    assert first.ground_truth is not None
    return replace(audio.read(first.ground_truth), source=None)


def test_silence_is_no_speech(tmp_path: Path) -> None:
    silent = _judged(np.zeros(40_000), tmp_path)
    assert silent.problems[0].startswith("no speech: its peak is at -120.0 dBFS")
    assert "not understood: 100 % of its words are wrong" in silent.problems
    assert silent.heard == ""
    assert _judged(np.zeros(0), tmp_path).problems == ("the clip is empty: no speech",)


def test_each_fault_is_told_in_words(tmp_path: Path) -> None:
    good = _recording()
    rate, samples = good.sample_rate_hz, good.samples

    def faults(changed: np.ndarray) -> list[str]:
        path = audio.write(_clip(changed, rate), tmp_path / "changed")
        return smoke.faults(Item("u", TEXT, path))

    assert faults(samples) == []
    assert any(fault.startswith("clipped: ") for fault in faults(np.clip(samples * 50, -1, 1)))
    assert "too short for its text: it lasts 0.50 s" in faults(samples[: rate // 2])
    assert any(fault.startswith("too long for its text") for fault in faults(np.tile(samples, 15)))


def test_what_cannot_be_heard_is_an_error_beside_the_fault(tmp_path: Path) -> None:
    samples = _recording().samples.copy()
    samples[100] = np.nan
    found = _judged(samples, tmp_path)
    assert found.problems == ("it holds samples that are no numbers (NaN or infinite)",)
    assert "not finite" in (found.error or "")
    assert not found.healthy


def test_every_flag_has_words() -> None:
    from mamtra_eval.metrics import health

    evidence: Mapping[str, Any] = {
        "duration_s": 1.0, "peak_dbfs": -1.0, "rms_dbfs": -2.0, "clipped_run": 9,
        "longest_silence_s": 3.0,
    }  # fmt: skip
    told = [smoke.words(flag, evidence) for flag in health.TITLES]
    assert len(set(told)) == len(health.TITLES)


def test_transcripts_are_judged_by_their_words(tmp_path: Path) -> None:
    right = smoke.judge(Request("u", TEXT), Words(TEXT), tmp_path)
    assert (right.healthy, right.wer, right.duration_s) == (True, 0.0, None)
    wrong = smoke.judge(Request("u", TEXT), Words("nothing of the kind"), tmp_path)
    assert not wrong.healthy


BAD = Smoke(TEXT, problems=("not understood: 90 % of its words are wrong",))


@pytest.mark.parametrize(
    ("options", "other", "blamed"),
    [
        ({}, "with engine=upstream", "our decoder"),
        ({"engine": "upstream"}, "with engine=own", "the package's own loop"),
        ({"checkpoint": "out/1-1"}, "without the checkpoint", "the checkpoint is to blame"),
    ],
)
def test_causes_name_what_was_not_tested(options: dict[str, str], other: str, blamed: str) -> None:
    spec = targets.SystemSpec("x", "cosyvoice2", "", options)
    checks = [
        Check("torch", "ok", "2.9.0; tested with 2.7.1"),
        Check("inflect", "ok", "7.6.0"),
        Check("transformers", "unusable", "4.57.1: garbles the package's loop", "fix"),
    ]
    found = diagnosis.causes(spec, checks, BAD)
    assert found[:2] == [
        "torch 2.9.0; tested with 2.7.1", "transformers: 4.57.1: garbles the package's loop",
    ]  # fmt: skip
    assert found[2].startswith(f"try doctor {other}, too")
    assert blamed in found[2]
    assert len(found) == 3
    assert diagnosis.causes(spec, checks, Smoke(TEXT, error="no such file")) == found[:2]
    assert diagnosis.causes(spec, checks, Smoke(TEXT)) == []
    assert diagnosis.causes(targets.SystemSpec("x", "espeak", ""), [], BAD) == []
