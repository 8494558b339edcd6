import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_voice import RATE_HZ, add_noise, make, speak

from mamtra_eval import audio, features
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.metrics import Item, dnsmos
from mamtra_eval.testset import TestSet, Utterance

TESTS = Path(__file__).parent.parent
GOLDEN = json.loads((TESTS / "conformance" / "dnsmos.json").read_text())["signals"]
NAMES = ("ovrl", "sig", "bak", "p808")


@pytest.fixture(scope="module")
def metric():
    return dnsmos.create({})


def item(samples):
    made = Item("u", "some text", Path("none.wav"))
    made.__dict__["samples_16k"] = samples
    return made


def signal(entry):
    if "recipe" in entry:
        return make(**entry["recipe"])
    return recording(entry["recording"])


def recording(name):
    return soundfile.read(TESTS.parent / "testsets" / name, dtype="float32")[0]


@pytest.mark.parametrize("name", GOLDEN)
def test_scores_are_the_original_packages(metric, name):
    entry = GOLDEN[name]
    samples = signal(entry)
    pcm = (samples * 32768).astype("<i2").tobytes()
    assert hashlib.sha256(pcm).hexdigest() == entry["samples_sha256"], "the input has changed"
    counts = metric.measure(item(samples)).counts
    assert counts == {count: pytest.approx(entry[count], abs=1e-3) for count in NAMES}


def test_shared_computation_equals_the_network_run_window_by_window(metric):
    onnxruntime = pytest.importorskip("onnxruntime")
    samples = dnsmos.lengthen(speak(3, 12.3))
    starts = dnsmos.window_starts(len(samples))
    session = onnxruntime.InferenceSession(
        str(dnsmos.find_network("sig_bak_ovr.onnx")), providers=["CPUExecutionProvider"]
    )
    windows = [samples[s * RATE_HZ :][: dnsmos.WINDOW][None] for s in starts]
    expected = np.concatenate([session.run(None, {"input_1": window})[0] for window in windows])
    assert len(starts) == 3
    np.testing.assert_allclose(metric._signal.scores(samples, starts), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [
        (9.01, [0]),
        (9.99, [0]),
        (10.0, [0]),
        (10.99, [0]),
        (11.0, [0, 1]),
        (16.0, [0, 1, 2, 3, 4, 5, 6]),
        (31.0, [0, 1, 2, 3, 4, 5, 6]),
        (34.5, [0, 1, 2, 3, 4, 5, 6, 24]),
    ],
)
def test_windows_are_those_of_the_package(seconds, starts):
    assert dnsmos.window_starts(round(seconds * RATE_HZ)) == starts


def test_groups_are_consecutive_and_bounded():
    starts = [0, 1, 2, 5, 6, *range(24, 100)]
    groups = dnsmos._groups(starts)
    assert [start for group in groups for start in group] == starts
    assert [len(group) for group in groups] == [3, 2, 32, 32, 12]


def test_grouping_changes_nothing(metric, monkeypatch):
    samples = speak(4, 12.5)
    whole = metric.measure(item(samples)).counts
    monkeypatch.setattr(dnsmos, "WINDOWS_AT_ONCE", 2)
    assert metric.measure(item(samples)).counts == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("n", [1, 160, 20000, 72080, 144159, 144160])
def test_short_clips_are_doubled(n):
    longer = dnsmos.lengthen(np.arange(n, dtype=np.float32))
    assert 144160 <= len(longer) < 2 * 144160
    assert (longer == np.arange(len(longer)) % n).all()


def test_noise_lowers_the_scores(metric):
    clip = recording("mini-en/recordings/rms-001.flac")[:37000]  # four times that: one window
    noisy = [add_noise(clip, snr_db) for snr_db in (60, 40, 20, 10, 0)]
    readings = [metric.measure(item(samples)).counts for samples in noisy]
    for name in ("ovrl", "bak"):
        scores = [reading[name] for reading in readings]
        assert scores == sorted(scores, reverse=True), name
    assert readings[0]["p808"] > readings[1]["p808"] > readings[-1]["p808"]  # ragged in between
    assert readings[0]["ovrl"] - readings[-1]["ovrl"] > 1.0


def test_order_of_clips_changes_nothing(metric):
    clips = [item(speak(seed, 4.6)) for seed in (1, 2)]
    forward = [metric.measure(clip) for clip in clips]
    assert [metric.measure(clip) for clip in reversed(clips)] == forward[::-1]


def test_stereo_and_44100_hz_agree(metric, tmp_path):
    clip = recording("mini-en/recordings/rms-001.flac")[:37000]
    soundfile.write(tmp_path / "stereo.wav", np.stack([clip, clip], axis=1), RATE_HZ)
    fast = audio.resample(clip, RATE_HZ, 44100)
    soundfile.write(tmp_path / "fast.wav", fast, 44100, subtype="FLOAT")
    plain = metric.measure(item(clip)).counts
    for name, tolerance in (("stereo", 1e-3), ("fast", 0.15)):
        copy = Item("u", "some text", tmp_path / f"{name}.wav")
        assert metric.measure(copy).counts == pytest.approx(plain, abs=tolerance)


def test_silence_is_scored_and_nothing_is_not(metric):
    counts = metric.measure(item(np.zeros(10000, dtype=np.float32))).counts
    assert all(np.isfinite(value) for value in counts.values())
    with pytest.raises(MeasurementError, match="no samples"):
        metric.measure(item(np.zeros(0, dtype=np.float32)))


def test_options_and_signature():
    assert dnsmos.create({"threads": "2"}).signature().endswith("|threads:2")
    assert "sig_bak_ovr:269fbebd|model_v8:9246480c" in dnsmos.create({}).signature()
    with pytest.raises(UserError, match="at least 1"):
        dnsmos.create({"threads": 0})


def test_missing_or_other_network_says_what_to_install(monkeypatch):
    testset = TestSet("some", Path("some.lst"), "en", (Utterance("u", "some text"),))
    dnsmos.create({}).check(testset)
    monkeypatch.setattr(dnsmos, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install speechmos==0\.0\.1\.1"):
        dnsmos.create({}).check(testset)
    monkeypatch.undo()
    monkeypatch.setitem(dnsmos.SHA256, "model_v8.onnx", "0" * 64)
    with pytest.raises(UserError, match="not the network"):
        dnsmos.find_network("model_v8.onnx")


def test_mel_filters_have_equal_area_and_cover_the_band():
    filters = features.mel_filters(16000, 400, 40)
    assert filters.shape == (40, 201)
    centres = np.argmax(filters, axis=1) * 40.0
    assert (np.diff(centres) > 0).all()
    # Wide filters, where the bins are fine enough to sum: height 2 / width, area 1.
    assert filters[30:].sum(axis=1) * 40.0 == pytest.approx(np.ones(10), abs=0.02)
