import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from synthetic_voice import RATE_HZ, make, speak, to_16_bits

from mamtra_eval import audio
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.speakers import ge2e
from mamtra_eval.torch_threads import torch_threads

TESTS = Path(__file__).parent.parent
GOLDEN = json.loads((TESTS / "conformance" / "ge2e.json").read_text())["signals"]
VOICES = ("awb", "rms", "slt", "kal16")

needs_weights = pytest.mark.skipif(
    not ge2e.BUNDLED_WEIGHTS.is_file(), reason="weights were not fetched at build time"
)


@pytest.fixture(scope="module")
def encoder():
    return ge2e.create({})


@pytest.fixture(scope="module")
def original():
    """As the package that the weights come from levels its audio."""
    return ge2e.create({"level": "raise"})


def signal(entry):
    if "recipe" in entry:
        return make(**entry["recipe"])
    return recording(entry["recording"])


def recording(name):
    samples, rate = soundfile.read(TESTS.parent / "testsets" / name, dtype="float32")
    assert rate == RATE_HZ
    return samples


def cosine(a, b):
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


@needs_weights
@pytest.mark.parametrize("name", GOLDEN)
def test_embedding_is_the_original_packages(original, name):
    entry = GOLDEN[name]
    samples = signal(entry)
    pcm = (samples * 32768).astype("<i2").tobytes()
    assert hashlib.sha256(pcm).hexdigest() == entry["samples_sha256"], "the input has changed"
    embedding = original.embed(samples)
    assert embedding.dtype == np.float32
    assert embedding.shape == (256,)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5)
    assert cosine(embedding, entry["embedding"]) >= 0.9999


@needs_weights
def test_one_voice_is_nearer_to_itself_than_to_others(encoder):
    clips = {v: [recording(f"mini-en/recordings/{v}-00{i}.flac") for i in (1, 2, 3)]
             for v in VOICES}  # fmt: skip
    embeddings = {v: [encoder.embed(clip) for clip in clips[v]] for v in VOICES}
    same = [cosine(e[i], e[j]) for e in embeddings.values() for i, j in ((0, 1), (0, 2), (1, 2))]
    other = [cosine(a, b) for v in VOICES for w in VOICES if v < w
             for a in embeddings[v] for b in embeddings[w]]  # fmt: skip
    assert np.mean(same) > np.mean(other) + 0.2
    assert min(same) > max(other) - 0.05


@needs_weights
@pytest.mark.parametrize("gain", [0.05, 0.25, 2.0])
def test_level_does_not_matter(encoder, gain):
    clip = 0.4 * recording("mini-en/recordings/rms-001.flac")
    assert cosine(encoder.embed(clip), encoder.embed(clip * np.float32(gain))) > 0.9999


@needs_weights
def test_in_the_original_level_matters_above_30_db_below_full_scale(original):
    clip = recording("mini-en/recordings/rms-001.flac")  # -18 dBFS
    quiet = clip * np.float32(0.1)
    assert cosine(original.embed(quiet), original.embed(quiet / 4)) > 0.9999
    assert cosine(original.embed(quiet), original.embed(to_16_bits(quiet))) > 0.99
    # What its manual warns of: the spectrogram is not logarithmic.
    assert 0.85 < cosine(original.embed(clip), original.embed(quiet)) < 0.95


@needs_weights
def test_order_of_clips_changes_nothing(encoder):
    clips = [speak(seed, 2.5) for seed in (1, 2, 3)]
    forward = [encoder.embed(clip) for clip in clips]
    backward = [encoder.embed(clip) for clip in reversed(clips)][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))


@needs_weights
def test_other_rate_agrees(encoder):
    clip = recording("mini-en/recordings/awb-001.flac")
    there_and_back = audio.resample(audio.resample(clip, RATE_HZ, 44100), 44100, RATE_HZ)
    assert cosine(encoder.embed(clip), encoder.embed(there_and_back)) > 0.99


@needs_weights
def test_threads_are_restored(encoder):
    with torch_threads(2):
        encoder.embed(speak(1, 1.0))
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), torch_threads(1):
            _ = 1 / 0
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("n", [0, 100, 479, 480, 16000])
def test_no_voice_is_an_error(encoder, n):
    with pytest.raises(MeasurementError, match="no voiced frame"):
        encoder.embed(np.zeros(n, dtype=np.float32))


def test_smoothing_needs_a_majority_of_eight():
    flags = np.zeros(40, dtype=bool)
    flags[10:14] = True
    assert not ge2e.smooth_flags(flags).any()
    flags[14] = True
    # Frames 11 and 10 have all five among their voters (3 before, 4 after); 3 more to each side.
    assert np.flatnonzero(ge2e.smooth_flags(flags)).tolist() == list(range(7, 17))
    assert ge2e.smooth_flags(np.ones(5, dtype=bool)).tolist() == [True] * 5
    assert ge2e.smooth_flags(np.ones(2, dtype=bool)).tolist() == [False] * 2


@pytest.mark.parametrize(
    ("n_samples", "starts"),
    [
        (1, [0]),
        (160 * 160, [0]),
        (160 * (77 + 120) - 1, [0]),
        (160 * (77 + 120), [0, 77]),
        (160 * 400, [0, 77, 154, 231]),
    ],
)
def test_windows_that_are_mostly_padding_are_left_out(n_samples, starts):
    assert ge2e.window_starts(n_samples) == starts


def test_missing_weights_say_what_to_install(encoder, monkeypatch, tmp_path):
    monkeypatch.setattr(ge2e, "BUNDLED_WEIGHTS", tmp_path / "none.pt")
    monkeypatch.setattr(ge2e, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install --no-deps resemblyzer==0\.1\.4"):
        ge2e.create({}).embed(speak(1, 1.0))
    with pytest.raises(UserError, match="not installed"):
        ge2e.create({}).check()


def test_weights_of_the_package_are_found_without_importing_it(monkeypatch, tmp_path):
    package = tmp_path / "resemblyzer"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "pretrained.pt").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ge2e, "BUNDLED_WEIGHTS", tmp_path / "none.pt")
    monkeypatch.setattr(ge2e, "WEIGHTS_SHA256", hashlib.sha256(b"weights").hexdigest())
    assert ge2e.find_weights() == package / "pretrained.pt"
    (package / "pretrained.pt").write_bytes(b"others")
    with pytest.raises(UserError, match="SHA-256"):
        ge2e.find_weights()


def test_unknown_option_is_refused():
    with pytest.raises(UserError, match="option of speaker encoder ge2e"):
        ge2e.create({"mode": "3"})
    with pytest.raises(UserError, match="Did you mean even"):
        ge2e.create({"level": "evn"})


def test_creating_and_signing_import_no_torch():
    code = (
        "import sys\n"
        "from mamtra_eval.registry import create\n"
        "for name in ('similarity', 'dnsmos', 'health'):\n"
        "    print(create('metrics', name, {}).signature())\n"
        "assert not {'torch', 'onnxruntime', 'webrtcvad', 'speechmos'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          cwd=TESTS.parent)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "weights:39373b86" in done.stdout
