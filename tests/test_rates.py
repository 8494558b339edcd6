"""Resampling as published protocols have it, against the implementations that these use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import config as configuration
from mamtra_eval import plan as planning
from mamtra_eval import rates
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Item

GOLDEN = Path(__file__).parent / "conformance" / "sinc_resample.json"
RATES = st.sampled_from([8000, 11025, 16000, 22050, 24000, 44100, 48000])


def _noise(n: int, seed: int = 0) -> rates.Samples:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


@given(st.integers(0, 300), RATES, RATES)
def test_fft_is_scipys(n: int, from_hz: int, to_hz: int) -> None:
    samples = _noise(n)
    found = rates.fft(samples, from_hz, to_hz)
    length = int(n * to_hz / from_hz)
    assert found.dtype == np.float32
    assert len(found) == length
    if length:
        expected = scipy.signal.resample(samples.astype(np.float64), length)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("case", json.loads(GOLDEN.read_text())["cases"],
                         ids=lambda case: f"{case['from_hz']}-{case['to_hz']}")  # fmt: skip
def test_sinc_is_torchaudios(case: dict[str, Any]) -> None:
    n = np.arange(160)
    samples = (np.sin(0.3 * n) + 0.5 * np.cos(1.1 * n)).astype(np.float32)
    found = rates.sinc(samples, case["from_hz"], case["to_hz"])
    np.testing.assert_allclose(found, case["samples"], atol=1e-6)


@given(st.integers(0, 2000), RATES)
def test_sinc_has_as_many_samples_as_fit(n: int, from_hz: int) -> None:
    assert len(rates.sinc(_noise(n), from_hz, 16000)) == -(-n * 16000 // from_hz)


@pytest.mark.parametrize("method", rates.METHODS)
def test_a_tone_below_both_limits_stays_what_it_is(method: str) -> None:
    def tone(rate: int) -> rates.Samples:
        return np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)

    found = rates.resample(tone(24000), 24000, 16000, method)
    middle = slice(1000, 15000)
    np.testing.assert_allclose(found[middle], tone(16000)[middle], atol=2e-3)


def test_each_way_is_named_and_chosen_by_an_option(make_list: Any) -> None:
    values = {
        "testset": str(make_list(1)), "systems": {"r": "recorded"},
        "metrics": ["wer", "similarity"], "asr": {"resample": "fft"},
        "speaker": {"resample": "sinc"},
    }  # fmt: skip
    plan = planning.make(configuration.build(values))
    assert plan.signature("wer").endswith("|resample:fft")
    assert plan.signature("similarity").endswith("|resample:sinc-hann-6-0.99")
    plain = planning.make(configuration.build({**values, "asr": {}}))
    assert "|resample:soxr-HQ-" in plain.signature("wer")
    with pytest.raises(UserError, match="no way to resample named 'linear'"):
        planning.make(configuration.build({**values, "asr": {"resample": "linear"}}))


def test_a_clip_is_resampled_once_a_way(mini: Path) -> None:
    item = Item("u", "words", mini / "recordings" / "awb-001.flac")
    assert item.at_16k("fft") is item.at_16k("fft")
    assert item.samples_16k is item.at_16k("soxr")
