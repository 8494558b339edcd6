"""The commands as a user types them, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

Cli = Callable[..., Any]
MakeList = Callable[..., Path]
REPOSITORY = Path(__file__).parent.parent.parent


def test_json_is_one_document_with_the_promised_keys(cli: Cli, mini: Path, tmp_path: Path) -> None:
    done = cli("evaluate", "recorded", "espeak:voice=en-us+f3", "--testset", mini / "meta.lst",
               "--limit", 3, "--out", tmp_path / "run", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == {"run", "testset", "systems", "floor"}
    assert document["floor"] == "recorded"
    assert document["run"] == str(tmp_path / "run")
    assert document["testset"]["n"] == 3
    assert len(document["testset"]["sha256"]) == 64
    assert [system["name"] for system in document["systems"]] == [
        "recorded",
        "espeak:voice=en-us+f3",
    ]
    for system in document["systems"]:
        for name in ("wer", "wer_pooled", "similarity", "dnsmos", "health"):
            metric = system["metrics"][name]
            assert {"value", "low", "high", "level", "n", "n_failed", "unit", "signature"} <= set(
                metric
            )
            assert metric["low"] <= metric["value"] <= metric["high"]
            assert (metric["n"], metric["n_failed"], metric["level"]) == (3, 0, 0.95)
    good, low_end = (system["metrics"] for system in document["systems"])
    assert good["wer"]["value"] < 0.2 < low_end["wer"]["value"]
    assert good["similarity"]["value"] > low_end["similarity"]["value"] + 0.1
    assert (tmp_path / "run" / "leaderboard.md").is_file()
    assert (tmp_path / "run" / "report.html").is_file()
    again = cli("report", tmp_path / "run")
    assert again.returncode == 0
    assert "report.html" in again.stdout


def test_a_folder_and_a_list_are_all_it_takes(cli: Cli, mini: Path, tmp_path: Path) -> None:
    # The two arguments of the official scripts: wavs named <utt>.wav, and the list.
    wavs = tmp_path / "wavs"
    wavs.mkdir()
    rows = [line.split("|") for line in (mini / "meta.lst").read_text().splitlines()[:3]]
    for row in rows:
        samples, rate = soundfile.read(mini / row[4])
        soundfile.write(wavs / f"{row[0]}.wav", samples, rate)
    done = cli("evaluate", wavs, "--testset", mini / "meta.lst", "--limit", 3, "--metrics", "wer",
               "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["run"].startswith("reports/mini-en-")
    assert document["systems"][0]["name"] == "wavs"
    assert document["systems"][0]["metrics"]["wer"]["value"] < 0.2
    clips = list((tmp_path / document["run"] / "clips").rglob("*.wav"))
    before = [clip.stat().st_mtime_ns for clip in clips]
    again = cli("evaluate", wavs, "--testset", mini / "meta.lst", "--limit", 3, "--metrics", "wer",
                "--json")  # fmt: skip
    assert json.loads(again.stdout) == document
    assert [clip.stat().st_mtime_ns for clip in clips] == before  # found again, nothing made anew
    assert len(list((tmp_path / "reports").iterdir())) == 1


def _faulty(folder: Path, meta: Path) -> Path:
    wavs = folder / "faulty"
    wavs.mkdir()
    for source in sorted((meta.parent / "wavs").glob("*.wav")):
        (wavs / source.name).write_bytes(source.read_bytes())
    (wavs / "u0.wav").write_bytes(b"RIFF\x00")
    (wavs / "u1.wav").unlink()
    return wavs


def test_failures_decide_the_exit_code(cli: Cli, make_list: MakeList, tmp_path: Path) -> None:
    meta = make_list(4)
    arguments = ("evaluate", _faulty(tmp_path, meta), "--testset", meta, "--metrics", "health")
    strict = cli(*arguments)
    assert strict.returncode == 1
    assert "2 clips failed (allowed: 0)" in strict.stderr
    assert "2/4" in strict.stdout
    lenient = cli(*arguments, "--max-failures", 2, "--json")
    assert lenient.returncode == 0
    health = json.loads(lenient.stdout)["systems"][0]["metrics"]["health"]
    assert (health["n"], health["n_failed"]) == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("evaluate", "espeek", "--testset", "SET"), ["espeek", "Did you mean espeak"]),
        (("evaluate", "espeak:voise=x", "--testset", "SET"), ["voise", "Did you mean voice"]),
        (("evaluate", "espeak:voice", "--testset", "SET"), ["espeak:option=value"]),
        (("evaluate", "./nowhere", "--testset", "SET"), ["./nowhere", "no such folder"]),
        (("evaluate", "recorded", "--testset", "mini-em"), ["mini-em", "Did you mean"]),
        (("evaluate", "recorded", "--testset", "none.lst"), ["none.lst"]),
        (("evaluate", "recorded", "recorded", "--testset", "SET"), ["two systems are named"]),
        (("evaluate", "recorded", "--testset", "SET", "--metrics", "war"), ["Did you mean wer"]),
        (("evaluate", "recorded", "--testset", "SET", "--metrics", ""), ["metric"]),
        (("evaluate", "recorded", "--testset", "SET", "--limit", "0"), ["limit", "at least 1"]),
        (("evaluate", "recorded", "--testset", "SET", "--set", "asr.gramar=x"), ["grammar"]),
        (("evaluate", "recorded", "--testset", "SET", "--set", "nonsense"), ["key=value"]),
        (("evaluate", "recorded", "--testset", "SET", "--set", "sed=1"), ["Did you mean seed"]),
        (("evaluate", "recorded", "--testset", "SET", "--set", "seed=x"), ["seed"]),
        (("evaluate", "recorded", "--testset", "SET", "--set", "metrics=[wer"), ["wrong form"]),
        (
            ("evaluate", "recorded", "--testset", "SET", "--set", "execution.timeout_s=inf"),
            ["timeout_s", "between"],
        ),
        (("evaluate", "recorded", "--testset", "SET", "--set", "options.nope.a=1"), ["'nope'"]),
        (
            (
                "evaluate",
                "recorded",
                "--testset",
                "SET",
                "--metrics",
                "health",
                "--set",
                "asr.grammar=digits",
            ),
            ["'asr'"],
        ),
        (("evaluate", "recorded", "--testset", "SET", "--baseline", "x"), ["baseline"]),
        (("evaluate", "", "--testset", "SET"), ["empty"]),
        (("evaluate", "recorded:dir=", "--testset", "SET"), ["dir of recorded is empty"]),
        (("evaluate", "localhost:8000/v1", "--testset", "SET"), ["http://localhost:8000/v1"]),
        (("evaluate", "recorded", "--testset", "SET", "--set", "statistics.seed=-1"), ["seed"]),
        (
            ("evaluate", "recorded", "--testset", "SET", "--set", "statistics.levl=1"),
            ["Did you mean statistics.level"],
        ),
        (("testset", "import", "pyproject.toml", "--name", "../g"), ["no such file"]),
        (("run", "quickstrat"), ["Did you mean quickstart"]),
        (("run", "quickstart", "limit=many"), ["limit"]),
        (("report", "nowhere"), ["nowhere", "no run here"]),
        (("leaderboard", "nowhere"), ["nowhere", "no run here"]),
        (("list", "system"), ["Did you mean systems"]),
        (("testset", "check", "nowhere"), ["nowhere"]),
        (("testset", "import", "nowhere.tar"), ["nowhere.tar"]),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_code_2(
    cli: Cli, make_list: MakeList, arguments: tuple[str, ...], parts: list[str]
) -> None:
    meta = make_list(1)
    done = cli(*[str(meta) if argument == "SET" else argument for argument in arguments])
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    for part in parts:
        assert part in done.stderr


def test_debug_shows_the_traceback(cli: Cli) -> None:
    done = cli("report", "nowhere", "--debug")
    assert "Traceback" in done.stderr


def test_list_shows_everything_and_as_json(cli: Cli) -> None:
    text = cli("list").stdout
    for name in ("recorded", "espeak", "command", "http", "wer", "similarity", "dnsmos", "health",
                 "mini-en/digits", "pocketsphinx", "quickstart"):  # fmt: skip
        assert name in text
    listed = json.loads(cli("list", "metrics", "--json").stdout)["metrics"]
    assert {row["name"] for row in listed} == {
        *("wer", "similarity", "dnsmos", "health", "failures"),
        *("utmos", "utmosv2", "second_wer", "opinion"),
    }


def test_doctor_explains_each_line(cli: Cli) -> None:
    done = cli("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["pocketsphinx"]["state"] == "ok"
    assert checks["CUDA"]["state"] in {"ok", "absent"}
    for check in checks.values():
        assert check["state"] in {"ok", "absent", "unusable"} or check["fix"]
    for name in ("whisper", "whisper_hf", "faster_whisper", "paraformer", "wavlm", "utmos"):
        check = checks[f"weights of {name}"]
        assert check["state"] == "ok" or check["fix"].split()[0] in {
            "curl", "hf", "modelscope", "python"}  # fmt: skip


def test_a_preset_runs_with_overrides(cli: Cli, mini: Path, tmp_path: Path) -> None:
    done = cli("run", "digits", f"testset={mini / 'digits.lst'}", "metrics=[wer]",
               "--limit", 2, "--out", tmp_path / "run", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert len(document["systems"]) == 3
    signature = document["systems"][0]["metrics"]["wer"]["signature"]
    assert "grammar:digits-" in signature  # set by the test set
    assert "limit: 2" in (tmp_path / "run" / "run.yaml").read_text()


@pytest.mark.slow
def test_leaderboards_of_two_runs_apart(cli: Cli, make_list: MakeList, tmp_path: Path) -> None:
    meta = make_list(2)
    for run in ("a", "b"):
        cli(
            "evaluate",
            "recorded",
            "--testset",
            meta,
            "--metrics",
            "health",
            "--out",
            tmp_path / run,
        )
    both = ("leaderboard", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "both.md")
    done = cli(*both, "--apart")
    assert done.returncode == 0
    text = (tmp_path / "both.md").read_text()
    assert text.count("# set:") == 2
    assert "[^1-1]:" in text
    assert "[^2-1]:" in text
    assert cli(*both).returncode == 0
    merged = (tmp_path / "both.md").read_text()
    assert merged.count("# set:") == 1
    assert "| recorded of b |" in merged


def test_testset_check_finds_unreadable_recordings(
    cli: Cli, make_list: MakeList, tmp_path: Path
) -> None:
    meta = make_list(3)
    assert "utterances: 3" in cli("testset", "check", meta).stdout
    (meta.parent / "prompt.wav").write_bytes(b"x")
    done = cli("testset", "check", meta)
    assert done.returncode == 2
    assert "prompt.wav" in done.stderr


@pytest.mark.slow
def test_odd_audio_never_ends_a_run(cli: Cli, make_list: MakeList, tmp_path: Path) -> None:
    meta = make_list(6)
    wavs = tmp_path / "odd"
    wavs.mkdir()
    rng = np.random.default_rng(0)
    soundfile.write(wavs / "u0.wav", np.zeros(16000), 16000)
    soundfile.write(wavs / "u1.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    soundfile.write(wavs / "u2.wav", 0.1 * rng.standard_normal((8000, 2)), 8000)
    soundfile.write(wavs / "u3.wav", 0.1 * rng.standard_normal(10), 44100)
    soundfile.write(wavs / "u4.wav", np.zeros(0), 16000)
    soundfile.write(wavs / "u5.wav", 3 * rng.standard_normal(96000), 96000, subtype="FLOAT")
    done = cli("evaluate", wavs, "--testset", meta, "--json", "--max-failures", 6)
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)["systems"][0]["metrics"]
    assert metrics["health"]["n"] == 5  # all but the one without samples
    assert metrics["wer"]["n"] + metrics["wer"]["n_failed"] == 6
    assert metrics["wer_incl_failed"]["n"] == 6


def test_a_refused_command_leaves_no_folder(cli: Cli, make_list: MakeList, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = cli("evaluate", "recorded", "--testset", make_list(1), "--baseline", "x", "--out", out)
    assert done.returncode == 2
    assert not out.exists()


def test_a_template_may_hold_what_looks_like_an_interpolation(
    cli: Cli, make_list: MakeList, tmp_path: Path
) -> None:
    meta = make_list(1)
    source = meta.parent / "wavs" / "u0.wav"
    script = tmp_path / "speak.sh"
    script.write_text(f'#!/bin/sh\ntest "$2" = "\\${{HOME}}" && cp "{source}" "$1"\n')
    script.chmod(0o755)
    target = f"x=command:timeout_s=50,{script} {{out}} '${{{{HOME}}}}' {{text}}"
    done = cli("evaluate", target, "--testset", meta, "--metrics", "health", "--out",
               tmp_path / "run")  # fmt: skip
    assert done.returncode == 0, done.stderr
    again = cli("run", tmp_path / "run" / "run.yaml", "--out", tmp_path / "run")
    assert again.returncode == 0, again.stderr


def test_a_script_without_main_guard_is_told_so(make_list: MakeList, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(
        "from mamtra_eval.config import build\n"
        "from mamtra_eval import evaluate\n"
        f"evaluate(build({{'testset': {str(make_list(2))!r}, 'systems': {{'r': 'recorded'}},"
        " 'metrics': ['health']}))\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "__name__ == '__main__'" in done.stderr


def test_a_clip_changed_after_it_was_made_is_not_scored(
    cli: Cli, make_list: MakeList, tmp_path: Path
) -> None:
    meta, out = make_list(2), tmp_path / "run"
    cli("evaluate", "recorded", "--testset", meta, "--metrics", "health", "--out", out)
    clip = next((out / "clips").rglob("u0.wav"))
    clip.write_bytes(next((out / "clips").rglob("u1.wav")).read_bytes())
    done = cli("evaluate", "recorded", "--testset", meta, "--metrics", "wer", "--out", out)
    assert done.returncode == 1
    assert "not the one that was made" in (out / "leaderboard.md").read_text()


def test_missing_weights_refuse_the_run_instead_of_dropping_the_metric(
    make_list: MakeList, tmp_path: Path
) -> None:
    script = (
        "import sys; from mamtra_eval.speakers import ge2e; from pathlib import Path\n"
        "ge2e.BUNDLED_WEIGHTS = Path('none.pt'); ge2e.find_spec = lambda name: None\n"
        "sys.argv = ['mamtra-eval', 'evaluate', 'recorded', '--testset', sys.argv[1]]\n"
        "from mamtra_eval.cli import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(make_list(1))], cwd=tmp_path, capture_output=True,
        text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "pip install --no-deps resemblyzer==0.1.4" in done.stderr


@pytest.mark.slow
def test_what_is_left_out_is_said(cli: Cli, make_list: MakeList) -> None:
    meta = make_list(1)
    plain = meta.parent / "plain.lst"
    plain.write_text("u0|one two three\n")
    done = cli("evaluate", "recorded", "--testset", plain)
    assert done.returncode == 0
    assert "Note: similarity was left out" in done.stderr


@pytest.mark.parametrize(
    "shell", ["{command} | head -1", "{command} >&-", "PYTHONIOENCODING=ascii {command}"]
)
def test_the_reader_of_the_output_changes_nothing(
    shell: str, make_list: MakeList, tmp_path: Path
) -> None:
    arguments = f"evaluate recorded --testset {make_list(1)} --metrics health"
    command = f"{sys.executable} -m mamtra_eval {arguments}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell.format(command=command)], cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_broken_card_hides_no_other_set(cli: Cli, make_list: MakeList, tmp_path: Path) -> None:
    (tmp_path / "testsets" / "bad").mkdir(parents=True)
    (tmp_path / "testsets" / "bad" / "testset.yaml").write_text("name: [")
    assert cli("testset", "check", "mini-en").returncode == 0
    done = cli("testset", "check", "bad")
    assert done.returncode == 2
    assert "not a valid test set card" in done.stderr
