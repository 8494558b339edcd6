"""The scripts that train the mini family: what they make of sentences, phones and students."""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow


def test_every_student_is_a_valid_run(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    family = scripts["family"]
    given = argparse.Namespace(
        teacher=tmp_path / "teacher", data=tmp_path, out=tmp_path / "out", seed=1,
        set=["optimizer.steps=7", "precision=fp32"],
    )  # fmt: skip
    runs = {name: family.configure(name, given) for name in family.STUDENTS}
    assert {run.optimizer.steps for run in runs.values()} == {7}
    assert {run.precision for run in runs.values()} == {"fp32"}
    assert {run.seed for run in runs.values()} == {1}
    assert runs["1-11"].student.ratio == "1:11"
    assert runs["1-1-front"].student.placement == "Front"
    weights = {n: (r.loss.ce, r.loss.kl, r.loss.hidden) for n, r in runs.items()}
    assert weights["1-1"] == (1, 1, 1)
    assert weights["1-1-undistilled"] == (1, 0, 0)
    assert weights["1-1-without-ce"] == (0, 1, 1)


def test_sentences_leave_the_test_set_out(scripts: dict[str, ModuleType]) -> None:
    sentences = scripts["sentences"]
    reserved = sentences.reserved()
    assert {"i will call you back as soon as i get home", "eight eight one"} <= reserved
    made = sentences.sentences(300, 0, reserved)
    assert len(set(made)) == 300
    assert not {text.strip(".?! ").lower() for text in made} & reserved
    assert made == sentences.sentences(300, 0, reserved)


def test_held_out_lists_are_what_the_script_makes(scripts: dict[str, ModuleType]) -> None:
    held_out = scripts["held_out"]
    rows = (held_out.FOLDER / "open.lst").read_text("utf-8").splitlines()
    assert [row.split("|")[3] for row in rows] == held_out.open_sentences(["Not one of them."])
    strings = held_out.digit_strings(["one two three"])
    assert len(set(strings)) == 200
    assert not set(strings) & set(held_out.open_sentences([]))
    with pytest.raises(SystemExit, match="trained on"):
        held_out.digit_strings([strings[7].upper() + "."])
    with pytest.raises(SystemExit, match="trained on"):
        held_out.open_sentences([held_out.open_sentences([])[0].lower()])
    voices = [row.partition("-")[0] for row in rows]
    assert {voice: voices.count(voice) for voice in voices} == dict.fromkeys(voices[:4], 50)


def test_words_begin_where_the_dictionary_says(scripts: dict[str, ModuleType]) -> None:
    sequences = scripts["sequences"]
    words = {"the": ["dh", "ax"], "dog": ["d", "ao", "g"]}
    said = ["pau", "dh", "iy", "d", "aa", "g", "pau"]  # vowels differ from the dictionary's
    marks = sequences.starts("The dog.", said, words)
    assert [symbol for symbol, mark in zip(said, marks, strict=True) if mark] == ["dh", "d"]


def test_codes_belong_to_the_phone_they_fall_on(scripts: dict[str, ModuleType]) -> None:
    split = scripts["sequences"].split
    assert split([1, 2, 3, 4, 5], [0.05, 0.12, 0.12, 0.16]) == [[1], [2, 3], [], [4, 5]]


def test_noise_moves_a_code_by_one_level_or_anywhere(scripts: dict[str, ModuleType]) -> None:
    sequences, rng = scripts["sequences"], random.Random(0)
    code = 3 + 8 * 7 + 64 * 0 + 512 * 4
    seen = [sequences.noisy(code, rng, 1.0) for _ in range(3000)]
    assert all(0 <= other < 4096 for other in seen)
    neighbours = {code + 1, code - 1, code - 8, code, code + 64, code + 512, code - 512}
    share = sum(other in neighbours for other in seen) / len(seen)
    assert share == pytest.approx(2 / 3, abs=0.03)
    assert sequences.noisy(code, rng, 0.0) == code


def test_statistics_of_the_report(scripts: dict[str, ModuleType]) -> None:
    low, high = scripts["right_voice"].wilson(81, 263)  # Newcombe (1998), table I, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    placements = scripts["placements"]
    left, right = [1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 6.0, 7.0, 8.0, 7.5]
    assert placements.rank_correlation(left, right) == pytest.approx(0.9)
    assert placements.folder_of("BlockBeg") == "1-1"
    assert {placements.folder_of(p) for p in placements.PAPER} <= set(scripts["family"].STUDENTS)
