"""Planted overlaps are found, whatever was done to them; what is unrelated is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval import audio, catalogue, contamination
from mamtra_eval.contamination import fingerprint, manifests
from mamtra_eval.contamination.texts import TextIndex, units
from mamtra_eval.errors import UserError

LONG = "the old ship sailed slowly past the quiet harbour while nobody watched"
Cli = Callable[..., object]


@pytest.fixture
def testset(tmp_path: Path) -> Path:
    """A list of three: a long text, a short one, and Chinese."""
    rows = [f"long|{LONG}", "short|Good morning", "zh|今天天气很好我们去公园散步吧"]
    (tmp_path / "meta.lst").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path / "meta.lst"


def found(testset: Path, *lines: str) -> list[tuple[str, str, str]]:
    manifest = testset.parent / "train.txt"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    report = contamination.check(catalogue.load(str(testset)), manifest)
    return [(one.utterance, one.how, one.where) for one in report.findings]


def test_texts_are_found_whatever_their_case_and_punctuation(testset: Path) -> None:
    lines = ("else", LONG.upper().replace(" ", ",  ") + "!", "ＧＯＯＤ morning.")
    assert found(testset, *lines) == [
        ("long", "exact", "train.txt:2"), ("short", "exact", "train.txt:3"),
    ]  # fmt: skip


def test_a_text_inside_a_longer_line_is_found_by_its_n_grams(testset: Path) -> None:
    lines = (
        "x",
        f"and so {LONG} at all",
        "你说今天天气很好我们去公园散步吧好吗",
        "good morning all",
    )
    assert found(testset, *lines) == [
        ("long", "n-grams", "train.txt:2"), ("zh", "n-grams", "train.txt:3"),
    ]  # fmt: skip


def test_other_word_order_and_few_shared_words_are_not_found(testset: Path) -> None:
    assert found(testset, " ".join(reversed(LONG.split())), "morning good", LONG[:30]) == []


def test_the_share_counts_each_n_gram_once_over_all_lines() -> None:
    index = TextIndex([("k", "a b c d e")], 3)
    for line in ("a b c", "a b c", "x b c d y"):
        index.show(line, "w")
    assert index.share("k") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.jsonl", json.dumps({"text": LONG, "audio_filepath": "a.wav"})),
        ("m.jsonl", json.dumps({"sentence": LONG, "audio": {"path": "a.wav"}})),
        ("m.tsv", f"path\tsentence\na.wav\t{LONG}"),
        ("m.lst", f"u|{LONG}|a.wav"),
    ],
)
def test_manifests(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content + "\n")
    (line,) = manifests.read(tmp_path / name)
    assert (line.text, line.audio) == (LONG, tmp_path / "a.wav")


def test_a_kaldi_folder(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(f"u1 {LONG}\n")
    (tmp_path / "wav.scp").write_text("u1 a.wav\n")
    lines = [*manifests.read(tmp_path)]
    assert [(one.text, one.audio) for one in lines] == [(LONG, None), ("", tmp_path / "a.wav")]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("m.jsonl", '{"text": "a"}\n{', "line 2: no JSON"),
        ("m.jsonl", '{"other": 1}', "line 1: none of text"),
        ("m.tsv", "text\tpath\na", "line 2: 1 columns"),
    ],
)
def test_a_line_that_says_nothing_is_told(
    name: str, content: str, what: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=what):
        list(manifests.read(tmp_path / name))


def _altered(how: str, clip: audio.Clip, stem: Path) -> Path:
    samples, rate = clip.samples, clip.sample_rate_hz
    path, subtype = stem.with_suffix(".wav"), "PCM_16"
    if how == "flac":
        path = stem.with_suffix(".flac")
    elif how == "ogg":
        path, subtype = stem.with_suffix(".ogg"), "VORBIS"
    elif how == "8 bit":
        subtype = "PCM_U8"
    elif how == "resampled":
        samples, rate = audio.resample(samples, rate, 11025), 11025
    elif how == "gain":
        samples = 0.25 * samples
    elif how == "cut":
        samples = samples[int(0.3 * rate) : -int(0.2 * rate)]
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.mark.parametrize("how", ["flac", "ogg", "8 bit", "resampled", "gain", "cut"])
def test_copies_of_a_recording_are_found_and_no_others(how: str, tmp_path: Path) -> None:
    testset = catalogue.load("mini-en").first(8)
    item = testset.utterances[5]
    assert item.ground_truth is not None
    copy = _altered(how, audio.read(item.ground_truth), tmp_path / "copy")
    others = catalogue.load("mini-en").utterances[20:24]
    rows = [{"audio": str(copy)}, *({"audio": str(one.ground_truth)} for one in others)]
    manifest = tmp_path / "train.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    report = contamination.check(testset, manifest, audio=True)
    assert [(one.utterance, one.what, one.where) for one in report.findings] == [
        (item.id, "ground truth", "train.jsonl:1")
    ]
    assert report.findings[0].how == ("exact" if how == "flac" else "fingerprint")
    assert report.recordings == 5


def test_a_recording_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"audio": "none.wav"}')
    report = contamination.check(
        catalogue.load("mini-en").first(1), tmp_path / "m.jsonl", audio=True
    )
    assert (report.unreadable, report.findings) == (1, [])
    assert "1 recordings could not be read" in contamination.render(report)


def _noise(seed: int, seconds: float) -> fingerprint.Fingerprint:
    samples = np.random.default_rng(seed).standard_normal(int(8000 * seconds))
    return fingerprint.of((0.1 * samples).astype(np.float32), 8000)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(1.5, 3.0), st.floats(1.5, 3.0))
def test_a_fingerprint_is_its_own_and_comparison_is_symmetric(
    seed: int, one: float, other: float
) -> None:
    first, second = _noise(seed, one), _noise(seed + 1, other)
    itself = fingerprint.compare(first, first)
    assert itself is not None
    assert (itself.error_rate, itself.offset) == (0.0, 0)
    there, back = fingerprint.compare(first, second), fingerprint.compare(second, first)
    assert there is not None
    assert back is not None
    assert there.error_rate == back.error_rate > 0.3


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = units(text)
    assert units(" ".join(once)) == once


def test_the_command_tells_writes_a_list_and_exits_with_1(testset: Path, cli: Cli) -> None:
    manifest = testset.parent / "train.txt"
    manifest.write_text(LONG + "\n")
    clean = testset.parent / "clean.lst"
    done = cli("contamination", testset, "--training", manifest, "--json", "--exclude-list", clean)
    assert done.returncode == 1, done.stderr  # type: ignore[attr-defined]
    assert json.loads(done.stdout)["utterances"] == ["long"]  # type: ignore[attr-defined]
    assert [line.partition("|")[0] for line in clean.read_text().splitlines()] == ["short", "zh"]
    manifest.write_text("nothing of it\n")
    done = cli("contamination", testset, "--training", manifest)
    assert done.returncode == 0  # type: ignore[attr-defined]
    assert "Nothing of it was found" in done.stdout  # type: ignore[attr-defined]
