"""Levels, ends, degradations: against closed forms and the standard's own numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from mamtra_eval.audio import Clip
from mamtra_eval.errors import MeasurementError
from mamtra_eval.listening.building import loudness
from mamtra_eval.listening.building.loudness import Level, at_rate, common_target, equalised, lufs
from mamtra_eval.listening.building.signals import HUGGINS_HZ, huggins, low_pass, mnru

RATE_HZ = 48000
LEVEL = Level(RATE_HZ)


def tone(hertz: float, seconds: float, peak: float = 1.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    return peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz)


def test_loudness_of_the_standards_sine():
    # ITU-R BS.1770-4: a 997 Hz sine of full scale in one channel has -3.01 LKFS; meters are allowed
    # 0.1 LU (EBU Tech 3341).
    assert lufs(tone(997, 5), RATE_HZ) == pytest.approx(-3.01, abs=0.1)


@pytest.mark.parametrize("rate_hz", [16000, 24000, 44100])
def test_loudness_hardly_depends_on_the_rate(rate_hz):
    assert lufs(tone(500, 3, 0.3, rate_hz), rate_hz) == pytest.approx(
        lufs(tone(500, 3, 0.3), RATE_HZ), abs=0.1
    )


def test_what_has_no_loudness_is_told():
    with pytest.raises(MeasurementError, match=r"0.30 s: loudness is defined from 0.4 s on"):
        lufs(tone(500, 0.3), RATE_HZ)
    with pytest.raises(MeasurementError, match="too quiet"):
        lufs(tone(500, 2, 1e-6), RATE_HZ)
    with pytest.raises(MeasurementError, match="digital silence"):
        at_rate(Clip(np.zeros(48000, np.float32), RATE_HZ), LEVEL)
    with pytest.raises(MeasurementError, match="not finite"):
        at_rate(Clip(np.array([0.1, np.nan], np.float32), RATE_HZ), LEVEL)


def test_one_peaky_clip_lowers_the_target_of_all_and_none_is_limited():
    # A clip of -30 LUFS with a peak of -5 dBFS can be made 4 dB louder under a ceiling of -1.
    assert common_target([(-30.0, -5.0), (-20.0, -9.0)], LEVEL) == pytest.approx(-26.0)
    assert common_target([(-30.0, -12.0)], LEVEL) == pytest.approx(-23.0)
    assert common_target([(-30.0, -5.0)], Level(RATE_HZ, None)) is None


def test_ends_get_the_same_pauses_and_the_middle_stays():
    speech = np.concatenate([tone(300, 0.5, 0.3), np.zeros(24000), tone(300, 0.5, 0.3)])
    short = np.concatenate([np.zeros(4800), speech, np.zeros(4800)])
    long = np.concatenate([np.zeros(48000), speech, 1e-5 * np.ones(48000)])
    one, other = equalised(short, LEVEL), equalised(long, LEVEL)
    assert len(one) == len(other) == pytest.approx(len(speech) + 0.3 * RATE_HZ, abs=2 * 480)
    assert not one[: round(0.1 * RATE_HZ)].any()
    assert not one[-round(0.2 * RATE_HZ) :].any()
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_files_have_sixteen_bits_and_no_metadata():
    rng = np.random.default_rng(0)
    data = loudness.encode(tone(500, 0.5, 0.5), LEVEL, "wav", rng)
    assert len(data) == 44 + 2 * 24000  # a header of 44 bytes has room for nothing else
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == RATE_HZ
    assert samples.max() == pytest.approx(16384, abs=1)
    silence = np.frombuffer(loudness.encode(np.zeros(5000), LEVEL, "wav", rng)[44:], np.int16)
    assert {*silence.tolist()} == {-1, 0, 1}  # dither of one step and no more
    with pytest.raises(MeasurementError, match="over full scale"):
        loudness.encode(tone(500, 0.5, 1.1), LEVEL, "wav", rng)


@pytest.mark.parametrize("cutoff_hz", [3500.0, 7000.0])
def test_anchors_are_three_decibels_down_at_their_cut_off(cutoff_hz):
    impulse = np.zeros(RATE_HZ)
    impulse[100] = 1.0
    gain_db = 20 * np.log10(np.abs(np.fft.rfft(low_pass(impulse, RATE_HZ, cutoff_hz))) + 1e-12)
    assert gain_db[round(cutoff_hz)] == pytest.approx(-3.01, abs=0.05)
    assert gain_db[round(0.5 * cutoff_hz)] == pytest.approx(0.0, abs=0.01)
    assert gain_db[round(1.5 * cutoff_hz)] < -30


def test_a_rate_below_the_cut_off_is_left_alone():
    samples = tone(300, 0.1, rate_hz=8000)
    assert low_pass(samples, 8000, 7000.0) is samples


@pytest.mark.parametrize("q_db", [0.0, 12.0, 30.0])
def test_modulated_noise_lies_q_decibels_below_the_speech(q_db):
    speech = tone(300, 4, 0.3)
    noise = mnru(speech, q_db, np.random.default_rng(0)) - speech
    ratio_db = 10 * np.log10(np.mean(speech**2) / np.mean(noise**2))
    assert ratio_db == pytest.approx(q_db, abs=0.1)
    assert not noise[speech == 0].any()


def test_the_pitch_of_the_headphone_check_is_between_the_ears_alone():
    both = huggins(RATE_HZ, 2, 3, np.random.default_rng(1))
    interval, pause = RATE_HZ, RATE_HZ // 2
    parts = [both[start : start + interval] for start in range(0, len(both), interval + pause)]
    for number, part in enumerate(parts, start=1):
        left, right = (np.fft.rfft(part[:, ear]) for ear in (0, 1))
        near = slice(round(0.97 * HUGGINS_HZ), round(1.03 * HUGGINS_HZ))
        away = slice(2000, 8000)
        phase = np.real(np.vdot(left[near], right[near])) / np.sum(np.abs(left[near]) ** 2)
        assert phase < -0.9 if number == 2 else phase > 0.999
        assert np.real(np.vdot(left[away], right[away])) / np.sum(np.abs(left[away]) ** 2) > 0.99
    levels = [np.sqrt(np.mean(part**2)) for part in parts]
    assert max(levels) / min(levels) < 1.01
