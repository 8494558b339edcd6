from __future__ import annotations

import string

import pytest

from mamtra_eval.normalize import seed_tts

RULE = seed_tts.create({})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("don't", "don't"),
        ("don\u2019t", "dont"),  # the typographic apostrophe is punctuation to the official rule
        ("well-known", "wellknown"),  # deleted, not replaced by a space
        ("50% of A&B", "50 of ab"),
        ("a\u2013b \u2014 c", "ab c"),
        ("a\u2010b", "a\u2010b"),  # U+2010 stands in neither set
        ("a\xa0b", "a\xa0b"),  # a no-break space does not separate
        ("caf\u00e9", "caf\u00e9"),
        ("  two   spaces ", "two spaces"),
        ("\u3000\u2026", ""),
        ("", ""),
    ],
)
def test_english(text: str, expected: str) -> None:
    assert RULE(text, "en") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("你好，世界！", "你 好 世 界"), ("用 APP", "用 A P P"), ("（）", "")],
)
def test_chinese_is_compared_by_character_and_keeps_its_case(text: str, expected: str) -> None:
    assert RULE(text, "zh") == expected


def test_the_frozen_set_is_82_characters_beside_ascii() -> None:
    # zhon 2.1.1: len(zhon.hanzi.punctuation) == 82, disjoint from string.punctuation.
    assert len(seed_tts.HANZI_PUNCTUATION) == 82
    assert len(set(seed_tts.HANZI_PUNCTUATION)) == 82
    assert not set(seed_tts.HANZI_PUNCTUATION) & set(string.punctuation)
    assert len(seed_tts.DELETED) == 82 + 32 - 1
