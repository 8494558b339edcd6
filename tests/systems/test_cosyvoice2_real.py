"""CosyVoice 2 with the official source, on a model folder of random weights in its own layout.

Runs where two variables name a clone and a Python that has the package's dependencies (``mamtra-eval
env create cosyvoice2`` makes one); skips elsewhere, and says so::

    MAMTRA_EVAL_COSYVOICE_SOURCE=… MAMTRA_EVAL_COSYVOICE_PYTHON=… pytest tests/systems/test_cosyvoice2_real.py
"""  # noqa: E501 -- a command stays in one line

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.isolation.placing import diagnose
from mamtra_eval.systems import Request
from mamtra_eval.systems.cosyvoice2 import create

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent
SOURCE, PYTHON = (os.environ.get(f"MAMTRA_EVAL_COSYVOICE_{name}") for name in ("SOURCE", "PYTHON"))
pytestmark = pytest.mark.skipif(
    not (SOURCE and PYTHON),
    reason="MAMTRA_EVAL_COSYVOICE_SOURCE and MAMTRA_EVAL_COSYVOICE_PYTHON name no clone of "
    "CosyVoice and no Python for it",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real") / "CosyVoice2-0.5B"
    _python(HERE / "tiny_cosyvoice.py", SOURCE, folder)
    return folder


@pytest.fixture(scope="module")
def hybrid(model: Path) -> Path:
    out = model.parent / "1-1"
    _cli("convert", "cosyvoice2", model, out, "--ratio", "1:1")
    return out


def test_greedy_tokens_of_both_engines_and_of_the_packages_own_command_agree(model: Path) -> None:
    out = model.parent / "parity.json"
    _python(HERE / "cosyvoice_parity.py", SOURCE, model, _prompt(), out)
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    assert found["tokens"]["own"] == found["tokens"]["upstream"]
    for tokens in found["tokens"]["own"]:
        assert len(set(tokens)) > 10  # something is said, not one token over and over
    assert set(found["stopped"]) == {True, False}  # both ends were met
    assert found["largest_difference"] == {"own": 0.0, "upstream": 0.0}  # to inference_zero_shot
    assert found["largest_difference_streaming"] < 1e-6


def test_it_is_evaluated_from_text_and_prompt_to_audio(
    model: Path, hybrid: Path, tmp_path: Path
) -> None:
    common = f"cosyvoice2:env={PYTHON},model={model},source={SOURCE},text_frontend=rules"
    told = _cli(
        "evaluate", f"teacher={common}", f"1-1={common},checkpoint={hybrid}",
        f"upstream={common},engine=upstream", "--testset", "mini-en", "--limit", "2",
        "--metrics", "health,failures", "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    document = json.loads(told)
    assert {system["name"] for system in document["systems"]} == {"teacher", "1-1", "upstream"}
    clips = sorted((tmp_path / "run" / "clips").rglob("*.flac"))
    assert len(clips) == 6
    for path in clips:
        clip = audio.read(path)
        assert clip.sample_rate_hz == 24_000
        assert clip.duration_s > 0.5
        assert np.isfinite(clip.samples).all()
        assert np.abs(clip.samples).max() > 1e-3
    assert len({audio.sha256(path) for path in clips}) == 6


def test_it_streams_in_its_environment(model: Path) -> None:
    system = create({"env": str(PYTHON), "model": str(model), "source": str(SOURCE),
                     "text_frontend": "rules"})  # fmt: skip
    try:
        request = Request("u", "One short sentence.", "The prompt says this.", _prompt(), seed=3)
        pieces = list(system.stream(request))
        whole = system.speak(request)
    finally:
        system.close()
    assert len(pieces) > 1
    assert isinstance(whole, Clip)
    assert sum(len(piece.samples) for piece in pieces) == len(whole.samples)


def test_diagnosis_knows_this_environment(model: Path) -> None:
    checks = diagnose("cosyvoice2", {"env": str(PYTHON), "model": str(model),
                                     "source": str(SOURCE)})  # fmt: skip
    states = {check.name: check.state for check in checks}
    assert states["source of CosyVoice"] == "ok"
    assert states["weights of CosyVoice2-0.5B"] == "ok"
    assert states["transformers"] == "ok"
    gone = diagnose("cosyvoice2", {"env": str(PYTHON), "model": "/not/there"})
    assert any(check.state == "absent" for check in gone)


def _prompt() -> Path:
    return PACKAGE / "testsets" / "mini-en" / "prompts" / "awb-1.flac"


def _python(script: Path, *arguments: object) -> None:
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def _cli(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mamtra_eval", *map(str, arguments)],
        cwd=PACKAGE, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
