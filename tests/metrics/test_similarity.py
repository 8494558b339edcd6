import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_voice import RATE_HZ, speak

from mamtra_eval import audio
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.metrics import Item, similarity
from mamtra_eval.speakers import SpeakerEncoder, ge2e
from mamtra_eval.testset import TestSet, Utterance

needs_weights = pytest.mark.skipif(
    not ge2e.BUNDLED_WEIGHTS.is_file(), reason="weights were not fetched at build time"
)


class CountingEncoder(SpeakerEncoder):
    """Embeds into (level, 1), scaled; remembers how often it was asked."""

    def __init__(self):
        self.calls = 0

    def embed(self, samples_16k):
        self.calls += 1
        vector = np.array([np.abs(samples_16k).max(), 1.0], dtype=np.float32)
        return vector / np.linalg.norm(vector)

    def signature(self):
        return "encoder:counting"


@pytest.fixture
def counting():
    metric = similarity.create({})
    metric.__dict__["_encoder"] = CountingEncoder()
    return metric


def write(path, samples, rate=RATE_HZ):
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path


def item(path, prompt):
    return Item("u", "some text", path, prompt_audio=prompt)


def test_cosine_and_cached_prompt(counting, tmp_path):
    loud = write(tmp_path / "loud.wav", np.full(1600, 0.9))
    prompt = write(tmp_path / "prompt.wav", np.full(1600, 0.1))
    value = counting.measure(item(loud, prompt)).counts["cosine"]
    assert value == pytest.approx((0.09 + 1) / np.sqrt(1.81 * 1.01), abs=1e-4)
    assert counting.measure(item(loud, prompt)).counts == {"cosine": value}
    assert counting._encoder.calls == 3
    assert counting.measure(item(prompt, prompt)).counts["cosine"] == pytest.approx(1.0, abs=1e-6)


def test_replaced_prompt_is_read_again(counting, tmp_path):
    clip = write(tmp_path / "clip.wav", np.full(1600, 0.9))
    prompt = write(tmp_path / "prompt.wav", np.full(1600, 0.1))
    before = counting.measure(item(clip, prompt)).counts["cosine"]
    write(prompt, np.full(1600, 0.9))
    os.utime(prompt, ns=(1, 1))
    after = counting.measure(item(clip, prompt)).counts["cosine"]
    assert after == pytest.approx(1.0, abs=1e-6)
    assert before < 0.9


def test_without_a_prompt_there_is_no_reading(counting, tmp_path):
    clip = write(tmp_path / "clip.wav", np.full(1600, 0.9))
    with pytest.raises(MeasurementError, match="no prompt"):
        counting.measure(item(clip, None))
    with pytest.raises(MeasurementError, match=r"prompt: .*gone\.wav"):
        counting.measure(item(clip, tmp_path / "gone.wav"))


def test_a_set_without_prompts_is_refused_before_any_clip_is_made(counting):
    without = TestSet("some", Path("some.lst"), "en", (Utterance("u", "some text"),))
    with pytest.raises(UserError, match=r"some\.lst: .*no utterance"):
        counting.check(without)
    utterance = Utterance("u", "some text", prompt_audio=Path("prompt.wav"))
    counting.check(replace(without, utterances=(*without.utterances, utterance)))


def test_unknown_encoder_names_the_known():
    with pytest.raises(UserError, match=re.escape("Did you mean ge2e?")):
        similarity.create({"encoder": "ge2"})


def test_signature_names_encoder_and_weights():
    assert "encoder:ge2e|weights:39373b86" in similarity.create({}).signature()


@needs_weights
def test_silence_has_no_similarity(tmp_path):
    metric = similarity.create({})
    voice = write(tmp_path / "voice.wav", speak(1, 2.0))
    silence = write(tmp_path / "silence.wav", np.zeros(RATE_HZ))
    with pytest.raises(MeasurementError, match=r"^no voiced frame"):
        metric.measure(item(silence, voice))
    with pytest.raises(MeasurementError, match=r"^prompt: no voiced frame"):
        metric.measure(item(voice, silence))


@needs_weights
def test_stereo_and_44100_hz_agree(tmp_path):
    metric = similarity.create({})
    clip, prompt = speak(1, 3.0), write(tmp_path / "prompt.wav", speak(2, 3.0))
    plain = write(tmp_path / "plain.wav", clip)
    stereo = write(tmp_path / "stereo.wav", np.stack([clip, clip], axis=1))
    fast = write(tmp_path / "fast.wav", audio.resample(clip, RATE_HZ, 44100), 44100)
    cosines = [metric.measure(item(path, prompt)).counts["cosine"]
               for path in (plain, stereo, fast)]  # fmt: skip
    assert cosines[1] == pytest.approx(cosines[0], abs=1e-6)
    assert cosines[2] == pytest.approx(cosines[0], abs=0.01)
