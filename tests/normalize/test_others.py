"""The text rules beside Seed-TTS-eval's, and what all rules have in common."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import registry
from mamtra_eval.errors import MissingExtra
from mamtra_eval.normalize import Normalizer, whisper

RULES: dict[str, Normalizer] = {
    name: registry.create("normalize", name, {}) for name in registry.plugins("normalize")
}
TEXTS = st.text(st.sampled_from("aB c'’-.,5%éß你好說\u00a0\u3000\t"), max_size=20)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Don't stop", "en", "dont stop"),
        ("don’t", "en", "dont"),
        ("a well-known man.", "en", "a wellknown man"),
        ("it's 好", "zh", "i t s 好"),
    ],
)
def test_f5_tts_deletes_the_apostrophe_too(text: str, language: str, expected: str) -> None:
    assert RULES["f5_tts"](text, language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # appendix C of the Whisper paper, rule by rule
        ("hello [noise] (laughs)", "hello"),
        ("hmm, I uh think so", "i think so"),
        ("it 's", "it is"),
        ("won't", "will not"),
        ("1,000", "1000"),
        ("end.", "end"),
        ("café", "cafe"),
        ("twenty-one", "21"),
        ("ten thousand dollars", "$10000"),
        ("colour", "color"),
        ("a  b", "a b"),
    ],
)
def test_whisper_makes_ways_of_writing_alike(text: str, expected: str) -> None:
    assert RULES["whisper"](text, "en") == expected


def test_whisper_compares_letters_where_there_are_no_spaces() -> None:
    assert RULES["whisper"]("你好，世界！", "zh") == "你 好 世 界"
    assert RULES["whisper"]("Grüß Gott!", "de") == "grüß gott"


def test_whisper_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: str) -> None:
        raise MissingExtra("absent")

    monkeypatch.setattr(whisper, "import_extra", absent)
    with pytest.raises(MissingExtra):
        whisper.create({}).check("en")


@pytest.mark.parametrize("name", RULES)
@given(text=TEXTS, language=st.sampled_from(["en", "zh"]))
def test_every_rule_gives_words_between_single_spaces(name: str, text: str, language: str) -> None:
    for compared in (RULES[name](text, language), RULES[name].heard(text, language)):
        assert compared == " ".join(word for word in compared.split(" ") if word)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_leaves_equal_texts_equal(name: str) -> None:
    RULES[name].check("en")
    assert RULES[name]("The cat sat.", "en") == RULES[name].heard("the cat sat", "en")
    assert RULES[name].signature
