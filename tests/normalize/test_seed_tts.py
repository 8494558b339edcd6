from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest

from mamtra_eval.errors import MissingExtra
from mamtra_eval.metrics.wer import count_edits
from mamtra_eval.normalize import seed_tts

GOLDEN = Path(__file__).parent.parent / "conformance" / "seed_tts_wer.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]

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


@pytest.mark.parametrize("case", CASES, ids=lambda case: ascii(case["reference"]))
def test_word_error_rate_is_that_of_the_official_steps(case: dict[str, Any]) -> None:
    reference = RULE(case["reference"], case["language"])
    heard = RULE.heard(case["hypothesis"], case["language"])
    counts = count_edits(reference, heard, {}).counts
    assert counts["errors"] / counts["words"] == pytest.approx(case["wer"], abs=1e-12)
    for kind in ("substitutions", "deletions", "insertions"):
        assert counts[kind] == case[kind]


def test_only_what_was_heard_is_simplified() -> None:
    assert RULE("說話", "zh") == "說 話"
    assert RULE.heard("說話", "zh") == "说 话"
    assert RULE.heard("說話", "en") == "說話"


def test_chinese_needs_the_tables_that_the_rule_is_made_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rule = seed_tts.create({})
    rule.check("en")
    monkeypatch.setattr(seed_tts, "extra_version", lambda *_: "1.5.0")
    with pytest.raises(MissingExtra, match=r"needs zhconv 1\.4\.3, and 1\.5\.0 is installed"):
        rule.check("zh")
