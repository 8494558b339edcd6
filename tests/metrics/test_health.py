from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_voice import RATE_HZ, add_noise, speak

from mamtra_eval import audio
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Item, health
from mamtra_eval.metrics import _health_checks as checks

MINI_EN = Path(__file__).parent.parent.parent / "testsets" / "mini-en"
TEN_WORDS = "one two three four five six seven eight nine ten"


def item(samples, text=TEN_WORDS, rate=RATE_HZ, language="en"):
    made = Item("u", text, Path("none.wav"), language=language)
    made.__dict__["clip"] = audio.Clip(np.asarray(samples, dtype=np.float32), rate)
    return made


def flags(samples, text=TEN_WORDS, rate=RATE_HZ, language="en", **options):
    reading = health.create(options).measure(item(samples, text, rate, language))
    raised = reading.evidence["flags"]
    assert reading.counts["flagged"] == float(bool(raised))
    assert {flag for flag in health.TITLES if reading.counts[flag]} == set(raised)
    return set(raised)


def lines(name):
    rows = [line.split("|") for line in (MINI_EN / name).read_text().splitlines() if line]
    return [(MINI_EN / row[4], row[3]) for row in rows]


def test_no_recording_is_flagged():
    metric = health.create({})
    for path, text in lines("meta.lst")[::2] + lines("digits.lst")[::2]:
        reading = metric.measure(Item("u", text, path))
        assert reading.evidence["flags"] == [], (path.name, reading.evidence)


@pytest.mark.parametrize("rate", [8000, 24000, 44100])
def test_other_rates_are_not_flagged(rate):
    path, text = lines("meta.lst")[0]
    assert flags(audio.resample(audio.read(path).samples, RATE_HZ, rate), text, rate) == set()


@pytest.mark.parametrize("snr_db", [30, 15])
def test_noise_alone_is_not_flagged(snr_db):
    for path, text in lines("meta.lst")[:8]:
        assert flags(add_noise(audio.read(path).samples, snr_db), text) == set()


def test_synthetic_speech_is_not_flagged():
    for seed in range(8):
        assert flags(speak(seed, 4.0)) == set()


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(3 * RATE_HZ),
        np.full(3 * RATE_HZ, 1e-3),
        speak(1, 3.0) * 0.002,
        np.random.default_rng(0).normal(0, 1e-5, 3 * RATE_HZ),
    ],
)
def test_silent(samples):
    assert "silent" in flags(samples)


def test_digital_silence_has_finite_evidence():
    evidence = health.create({}).measure(item(np.zeros(100))).evidence
    assert evidence["peak_dbfs"] == evidence["rms_dbfs"] == checks.FLOOR_DBFS


def test_clipped():
    clip = speak(1, 4.0)
    assert flags(np.clip(clip * 12, -1, 1)) == {"clipped"}
    assert flags(np.clip(clip * 12, -1, 1) * 0.5) == {"clipped"}
    assert flags(clip / np.abs(clip).max()) == set()


def test_low_tone_at_full_scale_is_not_clipped():
    tone = np.sin(2 * np.pi * 50 * np.arange(48000) / 48000)
    share, run = checks.clipping(tone.astype(np.float32))
    assert 0.01 < share < 0.011
    assert run < 8
    assert "clipped" not in flags(tone * 0.99, rate=48000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value):
    clip = speak(1, 4.0)
    clip[5000:5010] = value
    reading = health.create({}).measure(item(clip))
    assert reading.evidence["flags"] == ["not_finite"]
    assert reading.evidence["not_finite_samples"] == 10


def test_too_short():
    assert "too_short" in flags(speak(1, 0.9))
    assert "too_short" in flags(speak(1, 1.0)[3000:4280], "hi")
    assert flags(speak(1, 0.9)[:8000], "hi") == set()


def test_speaking_rate():
    clip = speak(1, 4.0)
    assert flags(clip, "one two three four " * 5 + "five") == set()
    assert flags(clip, " ".join(f"word{'abcdefghij'[i % 10]}" for i in range(32))) == {
        "speaking_rate"
    }
    slow = np.concatenate([speak(1, 3.0), np.zeros(16000), speak(2, 1.5)])
    assert flags(slow, "only three words") == {"speaking_rate"}


def test_chinese_is_counted_by_characters():
    assert flags(speak(1, 4.0), "今天的天气很好我们去公园走走吧", language="zh") == set()
    reading = health.create({}).measure(item(speak(1, 4.0), "今天 OK，天气很好", language="zh"))
    assert reading.evidence["characters"] == 7
    assert reading.evidence["characters_per_s"] == pytest.approx(1.8, abs=0.1)
    assert "speaking_rate" in flags(speak(1, 4.0), "一二三四五六七八九十" * 5, language="zh")


def test_runaway():
    assert "runaway" in flags(speak(1, 9.0), "just three words")
    assert "runaway" not in flags(speak(1, 9.0))


@pytest.mark.parametrize("period_s", [0.5, 0.9])
def test_repeated_tail(period_s):
    n, found = round(period_s * RATE_HZ), 0
    cases = lines("meta.lst")[:16]
    for path, text in cases:
        clip = audio.read(path).samples
        end = np.flatnonzero(np.abs(clip) > 0.02)[-1]
        looped = np.concatenate([clip[:end], *[clip[end - n : end]] * 3])
        found += "repeated_tail" in flags(add_noise(looped, 40), text)
    assert found >= 0.8 * len(cases)


def test_a_tail_may_repeat_if_the_text_does():
    digit = audio.read(MINI_EN / "recordings" / "rms-d001.flac").samples[3000:12000]
    looped = np.concatenate([digit] * 4)
    assert "repeated_tail" in flags(looped, "five seven six one")
    assert "repeated_tail" not in flags(looped, "five five five five")


def test_held_sound_is_no_loop():
    path, text = lines("meta.lst")[0]
    tone = 0.2 * np.sin(2 * np.pi * 180 * np.arange(RATE_HZ) / RATE_HZ)
    held = np.concatenate([audio.read(path).samples[:40000], tone]).astype(np.float32)
    assert "repeated_tail" not in flags(held, text)


@pytest.mark.parametrize("where", ["head", "tail", "within"])
def test_long_silence(where):
    clip, pause = speak(1, 3.0), np.zeros(round(2.2 * RATE_HZ))
    parts = {"head": [pause, clip], "tail": [clip, pause], "within": [clip, pause, clip]}[where]
    assert flags(np.concatenate(parts)) == {"long_silence"}
    assert flags(np.concatenate(parts), max_silence_s=4) == set()


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", 0),
        ("... — !", 0),
        ("two words", 2),
        ("don't stop", 2),
        ("in 1984, 3.5", 7),
        ("internationalisation", 2),
        ("你好 world", 3),
    ],
)
def test_units_of_text(text, units):
    assert checks.count_units(text) == units


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("one two two", True),
        ("bye bye, bye!", True),
        ("one two one two", True),
        ("call 100", True),
        ("好的哈哈", True),
        ("one two three", False),
        ("two two one", False),
        ("", False),
    ],
)
def test_text_that_repeats(text, repeats):
    assert checks.text_repeats_at_end(text) is repeats


def test_without_text_only_the_sound_is_judged():
    assert flags(speak(1, 30.0), "") == set()


def test_gain_changes_no_flag():
    clip = speak(1, 4.0)
    assert flags(clip * 0.1) == flags(clip) == set()


def test_signature_names_what_was_changed():
    assert health.create({}).signature() == "metric:health|version:1"
    changed = health.create({"max_silence_s": "3", "clipped_run": 8}).signature()
    assert changed == "metric:health|version:1|max_silence_s:3.0"
    with pytest.raises(UserError, match="max_silence_s"):
        health.create({"max_silence": "3"})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.floats(width=32) | st.sampled_from([0.0, 1.0, -1.0, 3e38]), min_size=1, max_size=3000
    ),
    st.sampled_from([8000, 16000, 48000]),
    st.text(max_size=20),
)
def test_any_samples_give_a_reading(samples, rate, text):
    reading = health.create({}).measure(item(samples, text, rate))
    assert all(value in (0.0, 1.0) for value in reading.counts.values())
    numbers = [value for value in reading.evidence.values() if isinstance(value, float)]
    assert np.isfinite(numbers).all()


def test_written_file_is_read(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(800, np.nan), RATE_HZ, subtype="FLOAT")
    reading = health.create({}).measure(Item("u", "hello", tmp_path / "nan.wav"))
    assert {"not_finite", "silent", "too_short"} <= set(reading.evidence["flags"])
