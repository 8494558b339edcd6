"""The encoder of CV3-Eval: Kaldi's features, a second network, the published names, the refusals.

The features are compared with values of Kaldi's own code, the network with a NumPy version written
from the paper. Networks run with random weights at small sizes; the true sizes have shapes only.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_eres2net import (
    BASE,
    THREE,
    NumPyNetwork,
    State,
    loud,
    official_shapes,
    random_state,
    save,
    signal,
)
from voices import voice

from mamtra_eval import audio
from mamtra_eval.batching import by_equal_size, in_batches
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError
from mamtra_eval.speakers import _fbank
from mamtra_eval.speakers import eres2net as plugin
from mamtra_eval.speakers._eres2net import ERes2Net, ERes2NetConfig

REPOSITORY = Path(__file__).parent.parent.parent
ENGLISH = "iic/speech_eres2net_sv_en_voxceleb_16k"
CHINESE = "iic/speech_eres2net_sv_zh-cn_16k-common"


@pytest.fixture(scope="module")
def state() -> State:
    return random_state(BASE)


@pytest.fixture(scope="module")
def checkpoint(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("eres2net") / "tiny.ckpt", state)


def make(path: Path, batch_size: int = 1) -> plugin.ERes2NetEncoder:
    return plugin.ERes2NetEncoder(
        weights=str(path), device="cpu", batch_size=batch_size, config=BASE
    )


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> plugin.ERes2NetEncoder:
    return make(checkpoint)


# Features against Kaldi

# From kaldi-native-fbank 1.23.0 (Kaldi's feature code): FbankOptions with samp_freq 16000, dither 0
# and num_bins 80, all else by default; of signal(), every eighth band of four frames.
KALDI = {
    0: [-7.9385, 0.9625, -4.2798, -3.9157, -1.5914, -3.1648, -1.2272, -0.4398, -0.5198, 1.0813],
    7: [-11.9011, -6.5529, -4.1911, -3.8545, -2.034, -1.2731, -0.7916, -0.8556, 0.9938, 0.2809],
    12: [-7.3736, -8.2298, -5.7779, -2.9501, -2.3484, -3.386, -5.9032, -2.2537, -4.8542, -4.7619],
    17: [-9.2713, -5.9339, -4.2896, -3.8232, 4.7754, -2.4003, -0.6156, 0.0302, 0.3855, 0.9738],
}
KALDI_MEAN = -3.71894


def test_features_are_those_of_kaldi() -> None:
    found = _fbank.log_mel(signal())
    assert found.shape == (18, 80)
    assert found.dtype == np.float32
    for frame, expected in KALDI.items():
        np.testing.assert_allclose(found[frame, ::8], expected, atol=2e-4)
    assert found.mean() == pytest.approx(KALDI_MEAN, abs=1e-5)
    np.testing.assert_allclose(found[10], math.log(2.0**-23), atol=1e-6)  # a frame of zeros


def test_features_are_those_of_a_second_frame_by_frame_computation() -> None:
    """By the definition: a discrete Fourier sum, and triangles band by band."""
    clip = voice(0.1, seed=3)
    cosines = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512)

    def mel(hz: float) -> float:
        return 1127.0 * math.log(1.0 + hz / 700.0)

    step = (mel(8000.0) - mel(20.0)) / 81
    found = _fbank.log_mel(clip)
    for t in (0, len(found) - 1):
        x = clip[160 * t : 160 * t + 400].astype(np.float64)
        x = x - x.mean()
        x = np.array([x[i] - 0.97 * x[max(i - 1, 0)] for i in range(400)])
        x *= [(0.5 - 0.5 * math.cos(2 * math.pi * i / 399)) ** 0.85 for i in range(400)]
        power = np.abs(cosines @ x) ** 2
        for band in (0, 1, 33, 79):
            centre = mel(20.0) + (band + 1) * step
            energy = sum(
                power[k] * max(0.0, 1.0 - abs(mel(k * 31.25) - centre) / step) for k in range(257)
            )
            assert found[t, band] == pytest.approx(math.log(energy), abs=1e-5)


@pytest.mark.parametrize("n", [400, 559, 560, 561, 1679, 1680])
def test_only_whole_frames_count(n: int) -> None:
    clip = voice(1.0)
    whole = _fbank.log_mel(clip)
    found = _fbank.log_mel(clip[:n])
    assert len(found) == 1 + (n - 400) // 160
    np.testing.assert_array_equal(found, whole[: len(found)])
    with pytest.raises(ValueError, match="399 samples are less than a frame of 400"):
        _fbank.log_mel(clip[:399])


def test_a_gain_and_an_offset_drop_out_above_the_floor() -> None:
    clip = loud()
    bands, centred = _fbank.log_mel(clip), _fbank.centred_log_mel(clip)
    assert bands.min() + math.log(0.25**2) > math.log(_fbank.FLOOR), "one is at the floor"
    np.testing.assert_allclose(centred.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(centred, bands - bands.mean(axis=0), atol=1e-5)
    for gain in (4.0, 0.25):  # powers of two: the samples lose nothing
        other = _fbank.centred_log_mel(clip * np.float32(gain))
        np.testing.assert_allclose(other, centred, atol=1e-6)
    # An offset is rounded with the samples; the frame's mean takes the rest of it out.
    np.testing.assert_allclose(_fbank.centred_log_mel(clip + 0.25), centred, atol=1e-3)
    quiet = _fbank.centred_log_mel(clip * np.float32(1e-4))
    assert np.abs(quiet - centred).max() > 1.0, "at the floor, loudness does matter"


# The network against NumPy


@pytest.mark.parametrize("config", [BASE, THREE], ids=["two slices", "three slices"])
@pytest.mark.parametrize("n_frames", [9, 30, 41])
def test_the_network_is_that_of_a_second_implementation(
    config: ERes2NetConfig, n_frames: int
) -> None:
    state = random_state(config)
    network = ERes2Net(config).double().eval()
    network.load_state_dict(state)
    features = 3 * np.random.default_rng(n_frames).standard_normal((2, n_frames, config.bands))
    with torch.inference_mode():
        found = network(torch.from_numpy(features)).numpy()
    expected = np.stack([NumPyNetwork(state, config).embed(one) for one in features])
    assert found.shape == (2, config.embedding)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())
    uncut = NumPyNetwork(state, config, ceiling=math.inf).embed(features[0])
    assert np.abs(uncut - expected[0]).max() > 1e-3 * np.abs(expected).max(), "no ceiling reached"


def test_an_embedding_is_the_network_s_of_the_features_at_length_one(
    encoder: plugin.ERes2NetEncoder, state: State
) -> None:
    embeddings = []
    for clip in (voice(0.5), voice(0.4, seed=1)):
        features = _fbank.log_mel(clip).astype(np.float64)
        expected = NumPyNetwork(state, BASE).embed(features - features.mean(axis=0))
        found = encoder.embed(clip)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-4)
        embeddings.append(found)
    assert np.dot(*embeddings) < 0.98, "two unlike clips must not be one point"


# The names and shapes of the published checkpoints

PUBLISHED = {
    ENGLISH: (32, 192, 2, 32, 2),
    CHINESE: (64, 192, 4, 24, 3),
    "iic/speech_eres2net_base_200k_sv_zh-cn_16k-common": (32, 512, 2, 32, 2),
    "iic/speech_eres2net_base_sv_zh-cn_3dspeaker_16k": (32, 512, 2, 32, 2),
    "iic/speech_eres2net_large_sv_zh-cn_3dspeaker_16k": (64, 512, 2, 32, 2),
}
"""Channels, dimensions, expansion, width and slices, as 3D-Speaker's infer_sv.py makes them."""


@pytest.mark.parametrize("model", PUBLISHED)
def test_a_published_model_has_the_names_of_its_checkpoint(model: str) -> None:
    network = plugin.create({"model": model})._empty().eval()
    found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert found == official_shapes(*PUBLISHED[model])
    assert network(torch.empty(2, 50, 80, device="meta")).shape == (2, PUBLISHED[model][1])
    assert set(plugin.MODELS) == set(PUBLISHED)


@pytest.mark.parametrize(
    ("model", "parameters", "n_tensors", "file_bytes"),
    # Parameters by 3D-Speaker's README (6.61 M), and of the files as others have found them.
    [(ENGLISH, 6_610_688, 587, 26_725_867), (CHINESE, 55_165_024, 809, 221_210_095)],
)
def test_the_numbers_fill_the_published_file(
    model: str, parameters: int, n_tensors: int, file_bytes: int
) -> None:
    network = plugin.create({"model": model})._empty()
    state = network.state_dict()
    assert sum(one.numel() for one in network.parameters()) == parameters
    assert len(state) == n_tensors
    # What is left is for names and container, less than 512 bytes a tensor.
    of_numbers = sum(one.numel() * one.element_size() for one in state.values())
    assert 0 < file_bytes - of_numbers < 512 * n_tensors


# Loading


def test_a_full_checkpoint_loads_in_evaluation_mode(
    encoder: plugin.ERes2NetEncoder, state: State
) -> None:
    encoder.check()
    network = encoder._network
    assert not any(module.training for module in network.modules())
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bn1.bias": None}, r"missing: bn1\.bias"),
        ({"seg_2.weight": torch.zeros(1)}, r"unexpected: seg_2\.weight"),
        ({"seg_1.bias": torch.zeros(3)}, r"misshapen: seg_1\.bias \(3,\) instead of \(10,\)"),
        (
            {"bn1.bias": torch.zeros(13), "seg_1.bias": None, "x": torch.zeros(1)},
            r"missing: seg_1\.bias; unexpected: x; misshapen: bn1\.bias \(13,\)",
        ),
    ],
)
def test_tensors_must_be_those_of_the_network(
    state: State, tmp_path: Path, change: dict[str, torch.Tensor | None], message: str
) -> None:
    changed = {k: v for k, v in {**state, **change}.items() if v is not None}
    path = save(tmp_path / "changed.ckpt", changed)
    for attempt in (make(path).check, lambda: make(path).embed(voice(1))):
        with pytest.raises(MissingExtra, match=message) as caught:
            attempt()
        assert caught.value.where == str(path)
        assert "name it as speaker.model" in str(caught.value)


class Program:
    """What a hostile checkpoint would run when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path, trace = tmp_path / "no.ckpt", tmp_path / "trace"
    for write in (
        lambda: path.write_bytes(b""),
        lambda: path.write_text("<html>Sign in</html>"),
        lambda: torch.save([1.0], path),
        lambda: torch.save({"a": 1}, path),
        lambda: torch.save({"model": {"a": torch.zeros(1)}}, path),
        lambda: torch.save({"a": Program(trace)}, path),
    ):
        write()
        with pytest.raises(MissingExtra, match="no checkpoint of tensors by name"):
            make(path).check()
    assert not trace.exists()


def test_an_older_container_of_torch_loads_too(state: State, tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    make(path).check()


# Embeddings


def cosine(a: audio.Samples, b: audio.Samples) -> float:
    return float(np.dot(a.astype(np.float64), b))


def test_an_embedding_depends_on_the_clip_alone(encoder: plugin.ERes2NetEncoder) -> None:
    clip = voice(1.0)
    first = encoder.embed(clip)
    assert first.shape == (10,)
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-6)
    encoder.embed(voice(0.7, seed=1))
    np.testing.assert_array_equal(encoder.embed(clip), first)


def test_loudness_does_not_matter_down_to_the_floor(encoder: plugin.ERes2NetEncoder) -> None:
    clip = loud()
    whole = encoder.embed(clip)
    for gain in (4.0, 0.3, 0.25):
        assert cosine(whole, encoder.embed(clip * np.float32(gain))) > 1 - 1e-6
    assert cosine(whole, encoder.embed(clip * np.float32(1e-4))) < 1 - 1e-4


def test_batches_do_not_change_embeddings(checkpoint: Path) -> None:
    encoder = make(checkpoint, batch_size=3)
    clips = [voice(seconds, seed) for seed, seconds in enumerate((0.6, 0.3, 0.6, 0.6, 0.3, 0.6))]
    batches = by_equal_size([len(clip) for clip in clips], encoder.batch_size)
    together = in_batches(encoder.embed_many, clips, batches)
    for clip, found in zip(clips, together, strict=True):
        assert isinstance(found, np.ndarray)
        assert cosine(found, encoder.embed(clip)) > 1 - 1e-6
    with pytest.raises(ValueError, match=r"one length only, not of \[9600, 4800\]"):
        encoder.embed_many(clips[:2])


def test_the_file_format_does_not_matter(encoder: plugin.ERes2NetEncoder, tmp_path: Path) -> None:
    pcm = np.round(voice(1.0) * 32768) / 32768
    found = {}
    for name, subtype in (("a.wav", "PCM_16"), ("a.flac", "PCM_16"), ("b.wav", "PCM_24"),
                          ("b.flac", "PCM_24"), ("c.wav", "FLOAT")):  # fmt: skip
        soundfile.write(tmp_path / name, pcm, 16000, subtype=subtype)
        found[name] = encoder.embed(audio.read(tmp_path / name).samples)
    for other in found.values():
        np.testing.assert_array_equal(other, found["a.wav"])


def test_clips_without_a_voice(encoder: plugin.ERes2NetEncoder) -> None:
    silent, constant = np.zeros(16000, np.float32), np.full(16000, 0.25, np.float32)
    for clip in (silent, constant, voice(1.0)[:1679], np.zeros(0, np.float32)):
        with pytest.raises(MeasurementError, match="no voice to encode"):
            encoder.embed(clip)
    assert encoder.embed(voice(1.0)[:1680]).shape == (10,)
    for wrong in (np.nan, np.inf):
        broken = voice(1.0)
        broken[500] = wrong
        with pytest.raises(MeasurementError, match="no direction"):
            encoder.embed(broken)


def test_one_clip_does_not_spoil_its_batch(encoder: plugin.ERes2NetEncoder) -> None:
    broken = voice(1.0)
    broken[500] = np.nan
    clips = [voice(1.0), np.zeros(16000, np.float32), broken, voice(1.0, seed=1)]
    first, silent, nan, last = encoder.embed_many(clips)
    assert isinstance(silent, MeasurementError)
    assert isinstance(nan, MeasurementError)
    assert cosine(first, encoder.embed(clips[0])) > 1 - 1e-6
    assert cosine(last, encoder.embed(clips[3])) > 1 - 1e-6


# Options, signature, absent weights


def test_the_signature_names_model_weights_and_batches(
    checkpoint: Path, state: State, tmp_path: Path
) -> None:
    sha = audio.sha256(checkpoint)[:8]
    rest = f"weights:{sha}|features:kaldi-fbank-80|precision:fp32"
    made = plugin.create({"weights": str(checkpoint)})
    assert made.signature() == f"encoder:eres2net|model:{ENGLISH}|{rest}"
    batched = plugin.create(
        {"weights": str(checkpoint), "batch_size": "4", "model": CHINESE.replace("iic/", "damo/")}
    )
    assert batched.signature() == f"encoder:eres2net|model:{CHINESE}|{rest}|batch:4"
    assert batched.batch_size == 4
    assert made.on_device
    other = save(tmp_path / "other.ckpt", {**state, "bn1.bias": torch.ones(8)})
    assert plugin.create({"weights": str(other)}).signature() != made.signature()


def test_options_are_checked(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="at least 1, not 0"):
        plugin.create({"batch_size": 0})
    with pytest.raises(UserError, match="weights"):
        plugin.create({"wieghts": "x"})
    with pytest.raises(UserError, match=rf"no model .*'iic/speech_eres2net'.*Known: .*{CHINESE}"):
        plugin.create({"model": "iic/speech_eres2net"})
    nowhere = plugin.ERes2NetEncoder(weights=str(checkpoint), device="cuda:99", config=BASE)
    with pytest.raises(MissingExtra, match=r"onto cuda:99 .*speaker\.device=cpu"):
        nowhere.embed(voice(1))


def test_absent_weights_are_named_with_the_command_that_fetches_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    encoder = plugin.create({})
    folder = tmp_path / "models" / ENGLISH.replace("/", "--") / "snapshots"
    target = folder / "v1.0.2" / "pretrained_eres2net.ckpt"
    for attempt in (encoder.check, encoder.signature, lambda: encoder.embed(voice(1))):
        with pytest.raises(MissingExtra) as caught:
            attempt()
        assert caught.value.where == str(target)
        command = f"modelscope download {ENGLISH} pretrained_eres2net.ckpt --revision v1.0.2"
        assert command in str(caught.value)
        assert "speaker.weights" in str(caught.value)
    with pytest.raises(MissingExtra, match=r"there is no file with the weights pretrained_eres2"):
        plugin.create({"weights": str(tmp_path / "no.ckpt")}).check()
    with pytest.raises(MissingExtra, match=rf"{CHINESE} pretrained_eres2net_aug\.ckpt --rev"):
        plugin.create({"model": CHINESE}).check()
    (listed,) = plugin.weights()
    assert listed.path == target
    assert listed.find() is None


@pytest.mark.parametrize(
    "place",
    [
        f"models/{ENGLISH.replace('/', '--')}/snapshots/v1.0.2",
        f"models/{ENGLISH.replace('/', '--')}/snapshots/master",
        f"models/{ENGLISH}", f"hub/models/{ENGLISH}", f"hub/{ENGLISH}", ENGLISH,
    ],
)  # fmt: skip
def test_every_place_of_modelscopes_downloader_is_looked_into(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    monkeypatch.delenv("MODELSCOPE_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    put = tmp_path / ".cache" / "modelscope" / place / "pretrained_eres2net.ckpt"
    put.parent.mkdir(parents=True)
    put.write_bytes(b"1")
    assert "|weights:6b86b273|" in plugin.create({}).signature()
    (listed,) = plugin.weights()
    assert listed.find() == put


def test_nothing_heavy_is_imported_to_be_made_and_signed(checkpoint: Path) -> None:
    options = {"weights": str(checkpoint)}
    code = (
        f"import sys; from mamtra_eval.speakers import eres2net; "
        f"print(eres2net.create({options!r}).signature(), 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[-1] == "False"
