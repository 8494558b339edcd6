"""The mini codec: its quantizer, its inversion, and what its shipped weights do to speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval import audio
from mamtra_eval.audio import Clip
from mamtra_eval.codecs import mini
from mamtra_eval.codecs._fsq import FiniteScalarQuantizer
from mamtra_eval.codecs.griffin_lim import griffin_lim
from mamtra_eval.codecs.mini_mel import HOP, N_FFT, SAMPLE_RATE_HZ, invert, log_mel
from mamtra_eval.systems._mini_voices import CODEC

RECORDINGS = Path(__file__).parents[2] / "testsets" / "mini-en" / "recordings"


@pytest.fixture(scope="module")
def codec() -> mini.MiniCodec:
    return mini.load(CODEC)


@pytest.mark.parametrize("levels", [(8, 8, 8, 8), (8, 5, 5, 5), (2, 3)])
def test_every_code_is_the_code_of_its_values(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    codes = torch.arange(quantizer.codes)
    values = quantizer.from_codes(codes)
    assert values.min() == -1
    assert values.max() == 1
    assert len(values.unique(dim=0)) == quantizer.codes
    assert torch.equal(quantizer.to_codes(values), codes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=4, max_size=4))
def test_quantized_values_are_on_the_grid_and_pass_gradients(numbers: list[float]) -> None:
    quantizer = FiniteScalarQuantizer((8, 8, 8, 8))
    x = torch.tensor(numbers, requires_grad=True)
    y = quantizer(x)
    torch.testing.assert_close(quantizer.from_codes(quantizer.to_codes(y)), y.detach())
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, 2 * torch.sigmoid(x) * (1 - torch.sigmoid(x)).detach())


def test_griffin_lim_finds_a_signal_with_the_given_magnitudes() -> None:
    time_s = torch.arange(8000) / SAMPLE_RATE_HZ
    signal = 0.3 * torch.sin(2 * torch.pi * 220 * time_s) + 0.1 * torch.sin(9000 * time_s)
    window = torch.hann_window(N_FFT)

    def magnitudes(samples: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(
            samples, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True
        )
        return spectrum.abs()

    wanted = magnitudes(signal)
    error = {
        n: float((magnitudes(griffin_lim(wanted, N_FFT, HOP, n)) - wanted).norm() / wanted.norm())
        for n in (1, 32)
    }
    assert error[32] < 0.15
    assert error[32] < error[1]


def test_inverted_features_are_the_features() -> None:
    clip = audio.read(RECORDINGS / "rms-001.flac")
    samples = audio.resample(clip.samples, clip.sample_rate_hz, SAMPLE_RATE_HZ)
    mel = log_mel(samples)
    again = log_mel(invert(mel).numpy())[: len(mel)]
    loud = mel[: len(again)] > mel.max() - 5
    assert (again - mel[: len(again)]).abs()[loud].mean() < 0.25


def test_a_recording_comes_back_alike_and_the_same_each_time(codec: mini.MiniCodec) -> None:
    clip = audio.read(RECORDINGS / "slt-001.flac")
    codes = codec.encode(clip)
    assert len(codes) == pytest.approx(clip.duration_s * mini.TOKENS_PER_S, abs=1)
    assert all(0 <= code < 4096 for code in codes)
    made = codec.decode(codes, voice=3)
    assert made.sample_rate_hz == SAMPLE_RATE_HZ
    assert made.duration_s == pytest.approx(clip.duration_s, abs=0.05)
    assert np.array_equal(made.samples, codec.decode(codes, voice=3).samples)
    samples = audio.resample(clip.samples, clip.sample_rate_hz, SAMPLE_RATE_HZ)
    mel, wrong = log_mel(samples), codec.mel(codes, 0)
    right = codec.mel(codes, 3)[: len(mel)]
    assert (right - mel).abs().mean() < 0.5
    assert (wrong[: len(mel)] - mel).abs().mean() > (right - mel).abs().mean()


def test_no_tokens_are_no_samples(codec: mini.MiniCodec) -> None:
    assert len(codec.decode([], voice=0).samples) == 0
    assert codec.encode(Clip(np.zeros(1, np.float32), 16_000))
