"""Text to phones: known words, what flite itself says, and any text at all."""

from __future__ import annotations

import gzip
import shutil
import string
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.frontend import lexicon, morphology, transcribe, unknown
from mamtra_eval.frontend.phones import SILENCE, SYMBOLS, Phone, from_id, to_id

TESTSET = Path(__file__).parents[2] / "testsets" / "mini-en"


def symbols(text: str) -> str:
    return " ".join(phone.symbol for phone in transcribe(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # as `flite -voice rms -ps` says them
        ("cat", "k ae t"),
        ("Hello", "hh ax l ow"),
        ("the cat", "dh ax k ae t"),
        ("the apple", "dh iy ae p ax l"),
        ("the hour", "dh iy aw er"),
        ("the one", "dh ax w ah n"),
        ("a dog", "ax d ao g"),
        ("vitamin A is", "v ay t ax m ax n ey ih z"),
        ("yes, no.", "y eh s pau n ow"),
        ("to read", "t ax r iy d"),
        ("the record", "dh ax r eh k er d"),
        ("to record", "t ax r ax k ao r d"),
    ],
)
def test_known_texts(text: str, expected: str) -> None:
    assert symbols(text) == expected


def test_the_first_phone_of_a_word_is_marked() -> None:
    assert transcribe("a cat. No") == [
        Phone("ax", True), Phone("k", True), Phone("ae", False), Phone("t", False),
        Phone(SILENCE, False), Phone("n", True), Phone("ow", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("zorblax's", "z ao r b l ae k s ax z"),
        ("smartphone", "s m aa r t f ow n"),
        ("googled", "g uw g ax l d"),
        ("pdf", "p iy d iy eh f"),
        ("zzz", "z iy z iy z iy"),
    ],
)
def test_unknown_words(word: str, expected: str) -> None:
    assert symbols(word) == expected


def test_words_are_spelt_where_espeak_is_held_by_somebody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def held(path: str) -> bool:
        return True

    monkeypatch.setattr("mamtra_eval.systems.espeak._is_loaded", held)
    assert unknown.pronounce(["zab"]) == {"zab": "z iy ey b iy".split()}  # noqa: SIM905 -- phones


@pytest.mark.parametrize("letter", string.ascii_lowercase)
def test_every_letter_has_a_name(letter: str) -> None:
    assert unknown.spelt(letter)


def test_the_lexicon_is_sorted_reproducible_and_in_the_table() -> None:
    packed = resources.files("mamtra_eval.frontend").joinpath("lexicon.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("ascii").splitlines()
    words = [line.split()[0] for line in lines]
    assert packed[4:8] == bytes(4)  # no time of making
    assert words == sorted(set(words))
    assert len(words) > 100_000
    assert {phone for line in lines for phone in line.split()[1:]} == set(SYMBOLS)


def test_possessives_that_were_left_out_of_the_lexicon_are_derived() -> None:
    assert lexicon.pronounce("wood's") is None
    assert symbols("wood's") == "w uh d z"
    assert morphology.plural(["b", "ah", "s"]) == ["b", "ah", "s", "ax", "z"]
    assert morphology.past(["w", "aa", "n", "t"]) == ["w", "aa", "n", "t", "ax", "d"]


def test_espeaks_names_are_all_known() -> None:
    names = " ".join([*unknown.PHONES, *unknown.SPECIAL])
    assert set(unknown.translate(names)) <= set(SYMBOLS)
    assert len(unknown.translate(names)) >= len(unknown.PHONES)


@given(st.integers(0, 128))
def test_ids_go_round(number: int) -> None:
    try:
        phone = from_id(number)
    except ValueError:
        return
    assert to_id(phone) == number


def test_ids_never_change() -> None:
    ids = [to_id(Phone(s, True)) for s in ("aa", "ax", "zh")]
    assert ids == [64, 69, 103]
    assert [to_id(Phone("aa", False)), to_id(Phone(SILENCE, False))] == [0, 128]


TEXTS = st.text(max_size=80) | st.text(string.printable, max_size=80)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
@example("$" + "9" * 5000 + ".25")
@example("1" + ",111" * 3000 + ",1")
@example("a" * 20_000)
@example("1." * 10_000)
@example("A." * 5_000 + "'" * 5_000)
def test_any_text_gives_phones_or_the_callers_error(text: str) -> None:
    try:
        phones = transcribe(text)
    except UserError:
        return
    assert phones
    assert phones[0].symbol != SILENCE
    assert phones[-1].symbol != SILENCE
    assert [from_id(to_id(phone)) for phone in phones] == phones


@settings(deadline=None, max_examples=60)
@given(st.text(string.ascii_letters, min_size=1, max_size=40))
def test_any_letters_give_a_phone(word: str) -> None:
    assert transcribe(word)


def distance(left: list[str], right: list[str]) -> int:
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(before + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_phones_are_nearly_those_of_flite() -> None:
    files = ("sentences.txt", "prompts.txt")
    texts = [line for name in files for line in (TESTSET / name).read_text("utf-8").splitlines()]
    errors = total = 0
    for text in texts:
        command = ["flite", "-voice", "kal16", "-ps", "-t", text, "-o", "none"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        errors += distance(said[1:-1], symbols(text).split())
        total += len(said) - 2
    assert total > 2000
    assert errors / total < 0.04
