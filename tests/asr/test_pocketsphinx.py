from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mamtra_eval import audio, registry
from mamtra_eval.asr.pocketsphinx import PocketSphinx
from mamtra_eval.errors import MeasurementError, UserError


def _samples(mini: Path, *names: str) -> list[audio.Samples]:
    return [audio.read(mini / "recordings" / f"{name}.flac").samples for name in names]


@pytest.mark.slow
def test_transcripts_do_not_depend_on_what_was_heard_before(mini: Path) -> None:
    clips = _samples(mini, "awb-001", "slt-001", "rms-001", "kal16-001", "slt-002", "awb-002")
    fresh = [PocketSphinx().transcribe(clip, "en").text for clip in clips]
    one = PocketSphinx()
    assert [one.transcribe(clip, "en").text for clip in clips] == fresh
    noise = np.random.default_rng(0).normal(0, 0.3, 48000).astype(np.float32)
    one.transcribe(noise, "en")
    assert [one.transcribe(clip, "en").text for clip in clips[::-1]] == fresh[::-1]


def test_scores_too_are_the_same_to_the_bit(mini: Path) -> None:
    # Hypotheses seldom move; the decoder's score shows any state that is left.
    def score(recognizer: PocketSphinx, clip: audio.Samples) -> float:
        recognizer.transcribe(clip, "en")
        return float(recognizer._decoder.hyp().score)

    first, second = _samples(mini, "awb-001", "slt-001")
    used = PocketSphinx()
    score(used, second)
    assert score(used, first) == score(PocketSphinx(), first)


def test_a_grammar_is_followed_and_stands_in_the_signature(mini: Path) -> None:
    recognizer = PocketSphinx(grammar="digits")
    (clip,) = _samples(mini, "rms-d001")
    heard = recognizer.transcribe(clip, "en").text.split()
    digits = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
    assert heard
    assert set(heard) <= digits
    assert "grammar:digits-" in recognizer.signature()
    assert "lm:en-us" in PocketSphinx().signature()


def test_too_short_and_silent_audio_give_an_empty_transcript() -> None:
    recognizer = PocketSphinx()
    assert recognizer.transcribe(np.zeros(0, np.float32), "en").text == ""
    assert recognizer.transcribe(np.zeros(1000, np.float32), "en").text == ""
    assert recognizer.transcribe(np.zeros(16000, np.float32), "en").text == ""


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MeasurementError, match=r"asr\.backend"):
        PocketSphinx().transcribe(np.zeros(16000, np.float32), "zh")
    with pytest.raises(UserError, match="Did you mean digits"):
        registry.create("asr", "pocketsphinx", {"grammar": "digit"})
    with pytest.raises(UserError, match="no such grammar file"):
        registry.create("asr", "pocketsphinx", {"grammar": str(tmp_path / "a.jsgf")})
