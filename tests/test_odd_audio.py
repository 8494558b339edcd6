"""Clips that something is wrong with, through the protocol's recogniser: a reading, or a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mamtra_eval import config as configuration
from mamtra_eval import pipeline, results
from mamtra_eval import plan as planning
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Reading
from mamtra_eval.reader import RunReader

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
NOISE = (0.1 * RNG.standard_normal(16000 * 2)).astype(np.float32)
ODD = {
    "plain": None,
    "stereo": None,
    "hz8000": None,
    "float64": None,
    "nan": "not finite",
    "minutes10": None,
    "empty": "unreadable|no audio|not readable|empty",
    "header": "unreadable|no audio|not readable|empty|no samples|without samples",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> results.Results:
    pytest.importorskip("transformers")
    from tiny_whisper import write_model

    root = tmp_path_factory.mktemp("odd")
    clips = root / "clips"
    clips.mkdir()
    soundfile.write(clips / "plain.wav", NOISE, 16000)
    soundfile.write(clips / "stereo.wav", np.stack([NOISE, NOISE], axis=1), 16000)
    soundfile.write(clips / "hz8000.wav", NOISE[::2], 8000)
    soundfile.write(clips / "float64.wav", NOISE, 16000, subtype="DOUBLE")
    broken = NOISE.copy()
    broken[100] = np.nan
    soundfile.write(clips / "nan.wav", broken, 16000, subtype="FLOAT")
    soundfile.write(clips / "minutes10.wav", np.tile(NOISE, 300), 16000)
    (clips / "empty.wav").write_bytes(b"")
    soundfile.write(clips / "header.wav", NOISE[:0], 16000)
    soundfile.write(root / "prompt.wav", NOISE, 16000)
    lines = [f"{name}|a prompt|prompt.wav|zero one two" for name in ODD]
    (root / "meta.lst").write_text("\n".join(lines), encoding="utf-8")
    model = write_model(root / "model")
    config = configuration.build(
        {"testset": str(root / "meta.lst"), "systems": {"odd": str(clips)},
         "metrics": ["wer", "health", "failures"], "max_failures": 9,
         "asr": {"backend": "whisper_hf", "model": str(model), "resample": "fft"}}
    )  # fmt: skip
    with RunReader(pipeline.evaluate(config, root / "run")) as store:
        return results.collect(store)


def _reading(found: results.Results, name: str, metric: str) -> Any:
    (clip,) = (row for row in found.clips if row.key.utterance == name)
    return clip.error or found.readings[clip.key, metric]


@pytest.mark.parametrize(("name", "reason"), ODD.items())
def test_a_reading_or_a_reason(found: results.Results, name: str, reason: str | None) -> None:
    reading = _reading(found, name, "wer")
    if reason is None:
        assert isinstance(reading, Reading)
        return
    assert isinstance(reading, str)
    assert any(word in reading for word in reason.split("|")), reading


def test_every_clip_is_counted(found: results.Results) -> None:
    (system,) = found.systems
    value = system.values["wer"]
    assert value.n == sum(reason is None for reason in ODD.values())
    assert value.n + value.n_failed == len(ODD)
    assert system.values["wer_incl_failed"].n == len(ODD)
    # The clip with NaN is there and could not be heard, so what it says is not known.
    assert system.values["failures"].n == len(ODD) - 1


def test_stereo_and_other_rates_are_heard_like_the_plain_clip(found: results.Results) -> None:
    plain = _reading(found, "plain", "wer").evidence["transcript"]
    assert plain
    assert _reading(found, "stereo", "wer").evidence["transcript"] == plain
    assert _reading(found, "float64", "wer").evidence["transcript"] == plain


def test_of_ten_minutes_30_s_are_heard_and_it_is_said(found: results.Results) -> None:
    reading = _reading(found, "minutes10", "wer")
    assert reading.evidence["truncated"] == "only the first 30 s of 600.0 s were heard"
    kinds = _reading(found, "minutes10", "failures").evidence["kinds"]
    assert "over_30_s" in kinds


def test_a_language_that_the_recogniser_does_not_know_is_refused_before_the_first_clip(
    tmp_path: Path,
) -> None:
    (tmp_path / "testset.yaml").write_text(
        "name: s\nlanguage: zh\nlists: {all: {file: meta.lst}}\n"
    )
    (tmp_path / "meta.lst").write_text("u|你好|p.wav|今天天气很好\n", encoding="utf-8")
    soundfile.write(tmp_path / "p.wav", NOISE, 16000)
    config = configuration.build(
        {"testset": str(tmp_path / "meta.lst"), "systems": {"n": "noise"}, "metrics": ["wer"]}
    )
    with pytest.raises(UserError, match=r"the recogniser knows en.*--set asr\.backend=NAME"):
        planning.make(config)
