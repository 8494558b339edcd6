"""The Seed-TTS-eval speaker encoder: two independent networks, the published names, the refusals.

WavLM is compared with transformers' own, ECAPA-TDNN with a NumPy version written here from the
paper's formulas. Both run with random weights at small sizes; the true sizes have shapes only.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tiny_wavlm import (
    PREFIX,
    TINY,
    State,
    numpy_ecapa,
    official_shapes,
    peer_states,
    random_state,
    save,
    transformers_wavlm,
)
from voices import voice

from mamtra_eval import audio
from mamtra_eval.batching import by_equal_size, in_batches
from mamtra_eval.errors import MeasurementError, MissingExtra, UserError
from mamtra_eval.speakers import _wavlm
from mamtra_eval.speakers import wavlm as plugin
from mamtra_eval.speakers._ecapa import SpeakerNetwork

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def state() -> State:
    return random_state()


@pytest.fixture(scope="module")
def checkpoint(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("wavlm") / "tiny.pth", state)


def make(path: Path, batch_size: int = 1) -> plugin.WavLMEncoder:
    return plugin.WavLMEncoder(str(path), "cpu", batch_size, sizes=TINY)


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> plugin.WavLMEncoder:
    return make(checkpoint)


# WavLM against transformers


@pytest.fixture(scope="module")
def peer(state: State) -> Any:
    """transformers' WavLM with the same weights."""
    pytest.importorskip("transformers")
    return transformers_wavlm(state)


@pytest.mark.parametrize("block", [512, 7])
def test_hidden_states_are_those_of_transformers(
    encoder: plugin.WavLMEncoder, peer: Any, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_wavlm, "BLOCK", block)
    clip = voice(1.5)  # 74 frames: distances beyond the last bucket's border
    with torch.inference_mode():
        ours = encoder._network.feature_extract["model"](torch.from_numpy(clip)[None])
    theirs = peer_states(peer, clip)
    assert len(ours) == len(theirs) == TINY[0].layers + 1
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == (1, 74, 32)
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)
    spread = [float((a - b).abs().max()) for a, b in pairwise(ours)]
    assert min(spread) > 0.1, "all layers must do something, or nothing was compared"


def test_distances_fall_into_the_buckets_of_the_large_network() -> None:
    distances = torch.tensor([-1, 0, 1, 79, 80, 81, 799, 800, 10**6, -79, -81, -(10**6)])
    expected = [1, 0, 161, 239, 240, 240, 319, 319, 319, 79, 80, 159]
    assert _wavlm.distance_buckets(distances, 320, 800).tolist() == expected


# ECAPA-TDNN against NumPy


def test_the_embedding_is_that_of_two_other_implementations(
    encoder: plugin.WavLMEncoder, peer: Any, state: State
) -> None:
    embeddings = []
    for clip in (voice(1.2), voice(0.9, seed=1)):
        expected = numpy_ecapa(peer_states(peer, clip), state)
        found = encoder.embed(clip)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
        embeddings.append(found)
    assert np.dot(*embeddings) < 0.98, "two unlike clips must not be one point"


# The names and shapes of wavlm_large_finetune.pth


@pytest.fixture(scope="module")
def large() -> SpeakerNetwork:
    """The true network, with shapes and no numbers."""
    return plugin.create({})._empty().eval()


def test_the_large_network_has_the_names_of_the_checkpoint(large: SpeakerNetwork) -> None:
    found = {name: tuple(tensor.shape) for name, tensor in large.state_dict().items()}
    assert found == official_shapes()
    # The published file has 711 tensors, its classifier among them, in 1,301,926,579 bytes; with
    # 5994 speakers (VoxCeleb2) 269 kB of it are left for the names and the container.
    assert len(found) == 711 - 1
    bytes_of_numbers = sum(t.numel() * t.element_size() for t in large.state_dict().values())
    assert 0 < 1_301_926_579 - bytes_of_numbers - 5994 * 256 * 4 < 711 * 512
    wavlm = large.feature_extract["model"].parameters()
    assert sum(parameter.numel() for parameter in wavlm) == 315_453_120


def test_the_large_network_fits_together(large: SpeakerNetwork) -> None:
    states = large.feature_extract["model"](torch.empty(2, 16000, device="meta"))
    assert [tuple(one.shape) for one in states] == [(2, 49, 1024)] * 25
    assert large.embed_states(states).shape == (2, 256)


# Loading


def test_a_full_checkpoint_loads_in_evaluation_mode(
    encoder: plugin.WavLMEncoder, state: State
) -> None:
    encoder.check()
    network = encoder._network
    assert not any(module.training for module in network.modules())
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0)


def test_half_precision_weights_work_in_float32(
    encoder: plugin.WavLMEncoder, state: State, tmp_path: Path
) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    made = make(save(tmp_path / "half.pth", half))
    assert np.dot(made.embed(voice(1)), encoder.embed(voice(1))) > 0.999
    assert {p.dtype for p in made._network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_weight": None}, "missing: feature_weight"),
        ({"bn.running_mean": None, "bn.bias": None}, r"missing: bn\.bias, bn\.running_mean"),
        ({"other.weight": torch.zeros(1)}, r"unexpected: other\.weight"),
        ({"linear.bias": torch.zeros(3)}, r"misshapen: linear\.bias \(3,\) instead of \(10,\)"),
        (
            {"feature_weight": torch.zeros(13), "linear.bias": None, "x": torch.zeros(1)},
            r"missing: linear\.bias; unexpected: x; misshapen: feature_weight \(13,\)",
        ),
    ],
)
def test_tensors_must_be_those_of_the_network(
    state: State, tmp_path: Path, change: dict[str, torch.Tensor | None], message: str
) -> None:
    changed = {k: v for k, v in {**state, **change}.items() if v is not None}
    path = save(tmp_path / "changed.pth", changed)
    for attempt in (make(path).check, lambda: make(path).embed(voice(1))):
        with pytest.raises(MissingExtra, match=message) as caught:
            attempt()
        assert caught.value.where == str(path)


def test_many_missing_tensors_are_counted(state: State, tmp_path: Path) -> None:
    head = {name: tensor for name, tensor in state.items() if not name.startswith(PREFIX)}
    n = len(state) - len(head)
    with pytest.raises(MissingExtra, match=rf"missing: ({PREFIX}\S+, ){{4}}\S+ and {n - 5} more"):
        make(save(tmp_path / "head.pth", head)).check()


class Program:
    """What a hostile checkpoint would run when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path, trace = tmp_path / "no.pth", tmp_path / "trace"
    for write in (
        lambda: path.write_bytes(b""),
        lambda: path.write_text("<html>Sign in</html>"),
        lambda: torch.save({"state": {}}, path),
        lambda: torch.save({"model": {"a": 1}}, path),
        lambda: torch.save({"model": {"a": Program(trace)}}, path),
    ):
        write()
        with pytest.raises(MissingExtra, match="no checkpoint with tensors under 'model'"):
            make(path).check()
    assert not trace.exists()


def test_an_older_container_of_torch_loads_too(state: State, tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"model": state}, path, _use_new_zipfile_serialization=False)
    make(path).check()


# Embeddings


def cosine(a: audio.Samples, b: audio.Samples) -> float:
    return float(np.dot(a.astype(np.float64), b))


def test_an_embedding_depends_on_the_clip_alone(encoder: plugin.WavLMEncoder) -> None:
    clip = voice(1.0)
    first = encoder.embed(clip)
    assert first.shape == (10,)
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-6)
    encoder.embed(voice(0.7, seed=1))
    np.testing.assert_array_equal(encoder.embed(clip), first)


def test_loudness_does_not_matter_down_to_the_norm_s_epsilon(encoder: plugin.WavLMEncoder) -> None:
    clip = voice(1.0)
    whole = encoder.embed(clip)
    for gain in (3.0, 0.5, 0.1):
        assert cosine(whole, encoder.embed(clip * np.float32(gain))) > 1 - 1e-6
    assert cosine(whole, encoder.embed(clip + np.float32(0.2))) > 1 - 1e-6
    # 80 dB down, the 1e-5 that is added to the variance outweighs it.
    assert cosine(whole, encoder.embed(clip * np.float32(1e-4))) < 1 - 1e-4


def test_batches_do_not_change_embeddings(checkpoint: Path) -> None:
    encoder = make(checkpoint, batch_size=3)
    clips = [voice(seconds, seed) for seed, seconds in enumerate((1.0, 0.5, 1.0, 1.0, 0.5, 1.0))]
    batches = by_equal_size([len(clip) for clip in clips], encoder.batch_size)
    together = in_batches(encoder.embed_many, clips, batches)
    for clip, found in zip(clips, together, strict=True):
        assert isinstance(found, np.ndarray)
        assert cosine(found, encoder.embed(clip)) > 1 - 1e-6
    with pytest.raises(ValueError, match=r"one length only, not of \[16000, 8000\]"):
        encoder.embed_many(clips[:2])


def test_the_file_format_does_not_matter(encoder: plugin.WavLMEncoder, tmp_path: Path) -> None:
    pcm = np.round(voice(1.0) * 32768) / 32768
    found = {}
    for name, subtype in (("a.wav", "PCM_16"), ("a.flac", "PCM_16"), ("b.wav", "PCM_24"),
                          ("b.flac", "PCM_24"), ("c.wav", "FLOAT")):  # fmt: skip
        soundfile.write(tmp_path / name, pcm, 16000, subtype=subtype)
        found[name] = encoder.embed(audio.read(tmp_path / name).samples)
    for other in found.values():
        np.testing.assert_array_equal(other, found["a.wav"])
    fine = encoder.embed(voice(1.0))  # what 16 bits have rounded off
    assert cosine(fine, found["a.wav"]) > 1 - 5e-5


def test_clips_without_a_voice(encoder: plugin.WavLMEncoder) -> None:
    silent, constant = np.zeros(16000, np.float32), np.full(16000, 0.25, np.float32)
    for clip in (silent, constant, voice(0.0999), np.zeros(0, np.float32)):
        with pytest.raises(MeasurementError, match="no voice to encode"):
            encoder.embed(clip)
    assert encoder.embed(voice(0.1)).shape == (10,)
    broken = voice(1.0)
    broken[5] = np.nan
    with pytest.raises(MeasurementError, match="no direction"):
        encoder.embed(broken)


def test_one_clip_does_not_spoil_its_batch(encoder: plugin.WavLMEncoder) -> None:
    broken = voice(1.0)
    broken[5] = np.nan
    clips = [voice(1.0), np.zeros(16000, np.float32), broken, voice(1.0, seed=1)]
    first, silent, nan, last = encoder.embed_many(clips)
    assert isinstance(silent, MeasurementError)
    assert isinstance(nan, MeasurementError)
    assert cosine(first, encoder.embed(clips[0])) > 1 - 1e-6
    assert cosine(last, encoder.embed(clips[3])) > 1 - 1e-6


# Options, signature, absent weights


def test_the_signature_names_weights_and_batches(
    checkpoint: Path, state: State, tmp_path: Path
) -> None:
    sha = audio.sha256(checkpoint)[:8]
    expected = f"encoder:wavlm-large-ecapa|weights:{sha}|precision:fp32"
    assert plugin.create({"weights": str(checkpoint)}).signature() == expected
    batched = plugin.create({"weights": str(checkpoint), "batch_size": "4"})
    assert batched.signature() == f"{expected}|batch:4"
    assert batched.batch_size == 4
    other = save(tmp_path / "other.pth", {**state, "feature_weight": torch.ones(4)})
    assert plugin.create({"weights": str(other)}).signature() != expected


def test_options_are_checked(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="at least 1, not 0"):
        plugin.create({"batch_size": 0})
    with pytest.raises(UserError, match="weights"):
        plugin.create({"wieghts": "x"})
    nowhere = plugin.WavLMEncoder(str(checkpoint), "cuda:99", sizes=TINY)
    with pytest.raises(MissingExtra, match=r"onto cuda:99 .*speaker\.device=cpu"):
        nowhere.embed(voice(1))


def test_absent_weights_are_named_with_the_command_that_fetches_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    encoder = plugin.create({})
    target = tmp_path / "mamtra-eval" / "weights" / "wavlm_large_finetune.pth"
    for attempt in (encoder.check, encoder.signature, lambda: encoder.embed(voice(1))):
        with pytest.raises(MissingExtra) as caught:
            attempt()
        assert caught.value.where == str(target)
        assert f"-o '{target}' 'https://huggingface.co/k2-fsa/TTS_eval_models/" in str(caught.value)
        assert "speaker.weights" in str(caught.value)
    with pytest.raises(MissingExtra, match=r"no file with the weights wavlm_large_finetune\.pth"):
        plugin.create({"weights": str(tmp_path / "no.pth")}).check()
    (listed,) = plugin.weights()
    assert listed.path == target
    assert listed.find() is None


def test_nothing_heavy_is_imported_to_be_made_and_signed(checkpoint: Path) -> None:
    options = {"weights": str(checkpoint)}
    code = (
        f"import sys; from mamtra_eval.speakers import wavlm; "
        f"print(wavlm.create({options!r}).signature(), 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split()[-1] == "False"
