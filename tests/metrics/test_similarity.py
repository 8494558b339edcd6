import os
import re
from dataclasses import replace
from io import BytesIO
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


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache of prompts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


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


def with_encoder(**options):
    metric = similarity.create(options)
    metric.__dict__["_encoder"] = CountingEncoder()
    return metric


def test_a_prompt_is_embedded_once_for_all_processes_and_runs(cache, tmp_path):
    clip = write(tmp_path / "clip.wav", np.full(1600, 0.9))
    prompt = write(tmp_path / "prompt.wav", np.full(1600, 0.1))
    elsewhere = write(tmp_path / "other-name.wav", np.full(1600, 0.1))
    first, second = with_encoder(), with_encoder()
    value = first.measure(item(clip, prompt)).counts
    assert second.measure(item(clip, elsewhere)).counts == value
    assert (first._encoder.calls, second._encoder.calls) == (2, 1)

    other = with_encoder(resample="sinc")
    other.measure(item(clip, prompt))
    without = with_encoder(cache=False)
    without.measure(item(clip, prompt))
    assert (other._encoder.calls, without._encoder.calls) == (2, 2)


def _npy(array):
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


DAMAGED = [b"", b"nonsense", b"\x93NUMPY\x01\x00", b"PK\x03\x04", _npy(np.array(["a"])),
           _npy(np.zeros(2, np.float32)), _npy(np.ones((1, 2), np.float32))]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_cache_is_made_anew(cache, tmp_path, content):
    clip = write(tmp_path / "clip.wav", np.full(1600, 0.9))
    prompt = write(tmp_path / "prompt.wav", np.full(1600, 0.1))
    value = with_encoder().measure(item(clip, prompt)).counts
    (kept,) = cache.rglob("*.npy")
    kept.write_bytes(content)
    assert with_encoder().measure(item(clip, prompt)).counts == value
    again = with_encoder()
    again.measure(item(clip, prompt))
    assert again._encoder.calls == 1


def test_a_cache_that_can_t_be_written_is_done_without(monkeypatch, tmp_path):
    file = tmp_path / "a-file"
    file.write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    clip = write(tmp_path / "clip.wav", np.full(1600, 0.9))
    assert with_encoder().measure(item(clip, clip)).counts["cosine"] == pytest.approx(1.0)


class BatchingEncoder(CountingEncoder):
    """Notes the lengths of what it gets together."""

    batch_size = 3

    def __init__(self):
        super().__init__()
        self.batches = []

    def embed_many(self, clips):
        self.batches.append([len(samples) for samples in clips])
        if any(samples[0] == 0 for samples in clips):
            raise RuntimeError("out of memory")
        return super().embed_many(clips)


def test_only_clips_of_one_length_are_embedded_together(tmp_path):
    sizes = [1600, 800, 1600, 1600, 800, 1600, 400]
    prompt = write(tmp_path / "prompt.wav", np.full(1600, 0.1))
    paths = [write(tmp_path / f"{i}.wav", np.full(n, 0.1 * (i + 1))) for i, n in enumerate(sizes)]
    items = [item(path, prompt) for path in paths]
    items += [item(tmp_path / "gone.wav", prompt), item(paths[0], None)]

    metric = similarity.Similarity(encoder := BatchingEncoder())
    found = metric.measure_many(items)
    alone = similarity.Similarity(CountingEncoder())
    for index, reading in enumerate(found[: len(sizes)]):
        assert reading.counts == alone.measure(items[index]).counts
    assert "gone.wav" in str(found[-2])
    assert "no prompt" in str(found[-1])
    assert all(len(set(batch)) == 1 and len(batch) <= 3 for batch in encoder.batches)
    assert max(map(len, encoder.batches)) == 3


def test_a_batch_that_fails_as_a_whole_costs_only_the_clip_that_did_it(tmp_path):
    prompt = write(tmp_path / "prompt.wav", np.full(1600, 0.1))
    bad = write(tmp_path / "bad.wav", np.zeros(1600))
    good = write(tmp_path / "good.wav", np.full(1600, 0.5))
    metric = similarity.Similarity(BatchingEncoder())
    found = metric.measure_many([item(good, prompt), item(bad, prompt), item(good, prompt)])
    assert found[0].counts == found[2].counts
    assert str(found[1]) == "out of memory"
