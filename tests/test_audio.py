from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval import audio
from mamtra_eval.audio import AudioError, Clip


def _sine(rate: int, seconds: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_bit_depth_rate_and_channel_count_arrives_as_the_same_sine(
    tmp_path: Path, subtype: str, rate: int, channels: int
) -> None:
    sine = _sine(rate)
    soundfile.write(tmp_path / "a.wav", np.stack([sine] * channels, axis=1), rate, subtype=subtype)
    clip = audio.read(tmp_path / "a.wav")
    assert clip.sample_rate_hz == rate
    assert clip.samples.dtype == np.float32
    tolerance = 0.01 if subtype == "PCM_U8" else 1e-4
    np.testing.assert_allclose(clip.samples, sine, atol=tolerance)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = np.full(100, 0.5), np.full(100, -0.25)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16000, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav").samples, 0.125)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"RIFFnonsense", "not readable"), (b"\x00" * 4096, "not readable")],
)
def test_what_is_no_audio_is_named_with_its_reason(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        audio.read(path)
    assert "bad.wav" in str(caught.value)


def test_missing_file_and_folder_are_no_audio(tmp_path: Path) -> None:
    for path in (tmp_path / "none.wav", tmp_path):
        with pytest.raises(AudioError, match="no such file"):
            audio.read(path)


def test_a_header_that_announces_hours_is_refused_without_reading(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros(3601 * 100, np.float32), 100)
    with pytest.raises(AudioError, match="longer than 3600 s"):
        audio.read(tmp_path / "long.wav")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.0, 0.3, 1.0, 2.5]))
def test_written_clips_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int,
                                 scale: float) -> None:  # fmt: skip
    samples = np.random.default_rng(seed).uniform(-scale, scale, 500).astype(np.float32)
    path = audio.write(Clip(samples, 24000), tmp_path_factory.mktemp("clip") / "a.b")
    assert path.name.startswith("a.b.")
    np.testing.assert_allclose(audio.read(path).samples, samples, atol=2**-23)


def test_sixteen_bit_audio_is_kept_exactly_in_sixteen_bits(tmp_path: Path) -> None:
    pcm = np.array([-32768, -1, 0, 1, 32767], dtype=np.int16)
    path = audio.write(Clip((pcm / np.float32(32768)).astype(np.float32), 16000), tmp_path / "a")
    assert soundfile.info(path).subtype == "PCM_16"
    np.testing.assert_array_equal(soundfile.read(path, dtype="int16")[0], pcm)


def test_what_is_not_finite_survives_for_health_to_find(tmp_path: Path) -> None:
    samples = np.array([0.0, np.nan, np.inf, -2.0], dtype=np.float32)
    path = audio.write(Clip(samples, 16000), tmp_path / "a")
    np.testing.assert_array_equal(audio.read(path).samples, samples)


def test_a_clip_from_a_file_is_copied_byte_for_byte(tmp_path: Path) -> None:
    source = tmp_path / "source.wav"
    soundfile.write(source, _sine(22050), 22050, subtype="PCM_24")
    clip = Clip(audio.read(source).samples, 22050, source)
    assert audio.write(clip, tmp_path / "copy").read_bytes() == source.read_bytes()


def test_resampling_keeps_a_tone_and_its_length() -> None:
    at_16k = audio.resample(_sine(44100), 44100, 16000)
    assert abs(len(at_16k) - 8000) <= 1
    middle = slice(1000, 7000)
    np.testing.assert_allclose(at_16k[middle], _sine(16000)[middle], atol=2e-3)
