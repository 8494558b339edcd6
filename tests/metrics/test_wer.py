from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import registry
from mamtra_eval.asr import Recognizer, Transcript
from mamtra_eval.audio import Samples
from mamtra_eval.errors import MeasurementError, UserError
from mamtra_eval.metrics import Item, Reading
from mamtra_eval.metrics.wer import WordErrorRate, count_edits
from mamtra_eval.testset import TestSet, Utterance

WORDS = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map(" ".join)


def _counts(reference: str, hypothesis: str) -> tuple[float, ...]:
    counts = count_edits(reference, hypothesis, {}).counts
    return tuple(counts[key] for key in ("substitutions", "deletions", "insertions", "words"))


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("the cat sat", "the cat sat", (0, 0, 0, 3)),
        ("the cat sat", "the bat sat", (1, 0, 0, 3)),
        ("the cat sat", "the sat", (0, 1, 0, 3)),
        ("the cat sat", "the big cat sat", (0, 0, 1, 3)),
        ("the cat sat", "", (0, 3, 0, 3)),
        ("one", "a b c d", (1, 0, 3, 1)),  # 400 %: not clipped
    ],
)
def test_known_edits(reference: str, hypothesis: str, expected: tuple[float, ...]) -> None:
    assert _counts(reference, hypothesis) == expected


def _levenshtein(first: list[str], second: list[str]) -> int:
    """Wagner and Fischer's table, as a second opinion."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


@given(WORDS.filter(bool), WORDS)
def test_edits_are_the_least_and_the_alignment_spells_both_sides(ref: str, hyp: str) -> None:
    reading = count_edits(ref, hyp, {})
    assert reading.counts["errors"] == _levenshtein(ref.split(), hyp.split())
    assert reading.counts["words"] == len(ref.split())
    alignment = reading.evidence["alignment"]
    assert [left for _, left, _ in alignment if left] == ref.split()
    assert [right for _, _, right in alignment if right] == hyp.split()
    assert sum(kind != "equal" for kind, _, _ in alignment) == reading.counts["errors"]


def _measure(path: Path, text: str, **options: str) -> Reading:
    metric = registry.create("metrics", "wer", options)
    reading = metric.measure(Item("u", text, path))
    assert isinstance(reading, Reading)
    return reading


def _rate(readings: list[Reading]) -> float:
    return sum(r.counts["errors"] for r in readings) / sum(r.counts["words"] for r in readings)


@pytest.mark.slow
def test_good_speech_is_understood_and_noise_is_not(mini: Path, tmp_path: Path) -> None:
    rows = [line.split("|") for line in (mini / "meta.lst").read_text().splitlines()[:16]]
    metric = registry.create("metrics", "wer", {})
    good = [metric.measure(Item(row[0], row[3], mini / row[4])) for row in rows]
    assert _rate(good) < 0.12  # asked for: under 15 %
    rng = np.random.default_rng(0)
    noise = []
    for row in rows[:6]:
        soundfile.write(tmp_path / "noise.wav", 0.2 * rng.standard_normal(48000), 16000)
        noise.append(metric.measure(Item(row[0], row[3], tmp_path / "noise.wav")))
    assert _rate(noise) > 0.9  # asked for: over 80 %


def test_the_grammar_reads_digits(mini: Path) -> None:
    rows = [line.split("|") for line in (mini / "digits.lst").read_text().splitlines()[:8]]
    good = [_measure(mini / row[4], row[3], grammar="digits") for row in rows]
    assert _rate(good) < 0.06


def test_a_clip_with_nan_is_refused_and_a_text_without_words(mini: Path, tmp_path: Path) -> None:
    path = tmp_path / "nan.wav"
    soundfile.write(path, np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    with pytest.raises(MeasurementError, match="not finite"):
        _measure(path, "words")
    with pytest.raises(MeasurementError, match="no words left"):
        _measure(mini / "recordings" / "awb-001.flac", "...")


def test_another_language_than_the_recogniser_knows_is_refused_before_the_run() -> None:
    metric = registry.create("metrics", "wer", {})
    chinese = TestSet("set", Path("meta.lst"), "zh", (Utterance("u", "你好"),))
    with pytest.raises(UserError, match=r"asr\.backend"):
        metric.check(chinese)


class _Hears(Recognizer):
    """Hears the same in every clip."""

    def __init__(self, text: str) -> None:
        self.text = text

    def signature(self) -> str:
        return "asr:fixed"

    def transcribe(self, samples_16k: Samples, language: str) -> Transcript:
        return Transcript(self.text)


def test_chinese_is_heard_in_simplified_characters(mini: Path) -> None:
    metric = WordErrorRate(_Hears("我說話。"), registry.create("normalize", "seed_tts", {}))
    path = mini / "recordings" / "awb-001.flac"
    reading = metric.measure(Item("u", "我说话！", path, language="zh"))
    assert isinstance(reading, Reading)
    assert (reading.counts["errors"], reading.counts["words"]) == (0, 3)
    assert reading.evidence["transcript"] == "我說話。"


def test_a_text_of_nothing_but_a_no_break_space_has_no_words(mini: Path) -> None:
    with pytest.raises(MeasurementError, match="no words left"):
        _measure(mini / "recordings" / "awb-001.flac", "\xa0.")


def test_a_failed_clip_counts_its_words() -> None:
    metric = registry.create("metrics", "wer", {})
    assert metric.failed_counts("Well, one two.", "en") == {"words": 3}
