"""Failures of speech, each on a clip that has it and on one that has not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval import registry
from mamtra_eval.errors import UserError
from mamtra_eval.metrics import Item, Reading, failures
from mamtra_eval.metrics import _failure_checks as checks
from mamtra_eval.metrics.wer import count_edits

TEXT = "the quick brown fox jumps over the lazy dog"


def wer(text: str, heard: str) -> Reading:
    return count_edits(text, heard, {"transcript": heard})


def take(
    heard: str, *, text: str = TEXT, prompt: str | None = None, duration_s: float = 3.0,
    language: str = "en", cut: bool = False, **flags: float,
) -> Reading:  # fmt: skip
    normal = registry.create("normalize", "seed_tts", {})
    health = Reading(
        {"flagged": 0.0, "repeated_tail": 0.0, "speaking_rate": 0.0, **flags},
        {"duration_s": duration_s, "words_per_s": 9.5, "tail_period_s": 0.4},
    )
    item = Item("u", text, Path("u.wav"), language=language, prompt_text=prompt)
    reading = wer(normal(text, language), normal.heard(heard, language))
    if prompt:
        reading.evidence["prompt"] = normal(prompt, language)
    if cut:
        reading.evidence["truncated"] = "only the first 30 s of 40.0 s were heard"
    return failures.create({}).derive(item, {"wer": reading, "health": health})


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("as written", {"heard": TEXT}, []),
    ("ordinary errors", {"heard": "a quick brown fax jumped over lazy dog"}, []),
    ("nothing", {"heard": ""}, ["empty"]),
    ("cut off", {"heard": "the quick brown fox jumps over", "duration_s": 2.0}, ["truncated_end"]),
    ("long enough, so mumbled", {"heard": "the quick brown fox jumps over", "duration_s": 4.0}, []),
    ("one last word", {"heard": "the quick brown fox jumps over the lazy", "duration_s": 2.0}, []),
    ("a loop", {"heard": TEXT + " dog dog dog dog"}, ["repetition"]),
    ("a long phrase twice", {"heard": TEXT + " jumps over the lazy dog"}, ["repetition"]),
    ("a short phrase twice", {"heard": TEXT + " lazy dog"}, []),
    ("a loop in the sound", {"heard": TEXT, "repeated_tail": 1.0}, ["repetition"]),
    ("the text's own loop", {"heard": "no no no no", "text": "No, no, no, no!"}, []),
    ("more rounds than the text", {"heard": "no no no no no no", "text": "No, no!"},
     ["repetition"]),
    ("the prompt in front", {"heard": "some call me nature " + TEXT,
                             "prompt": "Some call me nature, others mother."}, ["prompt_leakage"]),
    ("the prompt behind", {"heard": TEXT + " others call me mother",
                           "prompt": "Some say others call me mother."},
     ["prompt_leakage", "hallucinated_tail"]),
    ("two words of it", {"heard": "some call " + TEXT, "prompt": "Some call me nature."}, []),
    ("words that both have", {"heard": TEXT, "prompt": "over the lazy dog he went"}, []),
    ("a tail", {"heard": TEXT + " thank you for watching"}, ["hallucinated_tail"]),
    ("over 30 s", {"heard": TEXT, "duration_s": 31.0}, ["over_30_s"]),
    ("too fast", {"heard": TEXT, "speaking_rate": 1.0}, ["speaking_rate"]),
    ("Chinese, cut off", {"heard": "今天天气", "text": "今天天气很好我们去公园", "duration_s": 1.0,
                          "language": "zh"}, ["truncated_end"]),
    ("Chinese, prompt", {"heard": "你最近过得好吗今天天气很好", "text": "今天天气很好",
                         "prompt": "你最近过得好吗?", "language": "zh", "duration_s": 2.5},
     ["prompt_leakage"]),
    ("a tail behind a misheard word", {"heard": TEXT[:-3] + "fog thank you for watching"},
     ["hallucinated_tail"]),
    ("a number read out", {"heard": "the code is five five five one two three four",
                           "text": "The code is 555 1234."}, []),
    ("spelled out", {"heard": "ha ha ha ha said the w w w w man",
                      "text": "Hahaha-ha, said the WWWW man."}, []),
    ("hyphens", {"heard": "bye bye bye bye then", "text": "Bye-bye-bye-bye then"}, []),
    ("three times a word, misheard", {"heard": "the the the quick brown fox"}, ["truncated_end"]),
    ("words split that the prompt has", {"heard": "well known in the world", "duration_s": 2.0,
                                         "text": "Well-known in the world",
                                         "prompt": "He is well known in the city"}, []),
    ("a contraction that the prompt has", {"heard": "we are going to need it", "duration_s": 2.0,
                                           "text": "We're going to need it",
                                           "prompt": "They say we are going to the park"}, []),
    ("a number written in digits", {"heard": "the population was 1204", "duration_s": 2.8,
                                    "text": "The population was one thousand two hundred four."},
     []),
    ("written together", {"heard": "the new lab is stateoftheart", "duration_s": 2.0,
                          "text": "The new lab is state of the art."}, []),
    ("written with hyphens", {"heard": "the new lab is state of the art",
                              "text": "The new lab is state-of-the-art."}, []),
    ("an address", {"heard": "mail info at example dot com", "text": "Mail info@example.com."}, []),
    ("a tail behind a year",
     {"heard": "born in nineteen ninety nine and thank you all for watching this",
      "text": "Born in 1999."}, ["hallucinated_tail"]),
    ("a short text twice", {"heard": "good morning everyone good morning everyone",
                            "text": "Good morning, everyone!"}, ["repetition"]),
    ("at an ordinary pace", {"heard": "the quick brown fox jumps", "duration_s": 3.3}, []),
    ("only 30 s of it were heard", {"heard": "the quick brown fox", "duration_s": 2.0,
                                    "cut": True}, []),
    ("Chinese, a year", {"heard": "他出生于一九九九年", "text": "他出生于1999年", "language": "zh",
                         "duration_s": 2.0}, []),
    ("Chinese, a number at the end", {"heard": "公司总共投资了一百万",
                                      "text": "公司总共投资了1000000", "language": "zh",
                                      "duration_s": 3.0}, []),
    ("Chinese, a homophone", {"heard": "他说的话没人相信", "text": "她说的话没人相信",
                             "prompt": "他说的没错", "language": "zh", "duration_s": 2.0}, []),
]  # fmt: skip


@pytest.mark.parametrize(("options", "kinds"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_kinds(options: dict[str, Any], kinds: list[str]) -> None:
    if options.get("language") == "zh":
        pytest.importorskip("zhconv")
    found = take(**options)
    assert found.evidence["kinds"] == kinds
    assert found.counts["failed"] == float(bool(kinds))
    assert [kind for kind in failures.TITLES if found.counts[kind]] == kinds
    assert all(found.evidence[kind] for kind in kinds)


def test_the_evidence_has_the_words() -> None:
    assert "'thank you for watching'" in take(TEXT + " thank you for watching").evidence[
        "hallucinated_tail"]  # fmt: skip
    assert take(TEXT + " dog dog dog").evidence["repetition"] == "'dog' 4 times"
    assert "'the lazy dog'" in take("the quick brown fox jumps over", duration_s=2.0).evidence[
        "truncated_end"]  # fmt: skip
    assert "9.5 words_per_s" in take(TEXT, speaking_rate=1.0).evidence["speaking_rate"]


def test_options_are_in_the_signature_and_checked() -> None:
    assert failures.create({}).signature() == "metric:failures-1|of:wer,health"
    changed = failures.create({"tail_words": 5})
    assert changed.signature().endswith("|tail_words=5")
    with pytest.raises(UserError, match="tail_words"):
        failures.create({"tail_word": 5})


def test_evidence_of_words_and_sound_stands_together() -> None:
    found = take(TEXT + " dog dog dog", repeated_tail=1.0)
    assert found.evidence["repetition"] == "'dog' 4 times; the sound ends in a loop of 0.4 s"


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=12))
def test_a_text_read_as_it_is_never_fails_by_its_words(words: list[str]) -> None:
    text = " ".join(words)
    rows = wer(text, text).evidence["alignment"]
    assert checks.loop(rows, 3) is None
    assert checks.leak(rows, text, 3) is None
    assert checks.tail(rows) == checks.missing_at_end(rows) == []


def test_a_long_transcript_is_looked_through() -> None:
    words = [str(n % 977) for n in range(2000)]
    rows = wer(" ".join(words[:20]), " ".join(words)).evidence["alignment"]
    assert checks.loop(rows, 3) is None
    assert checks.leak(rows, " ".join(words[100:130]), 3) == tuple(words[100:130])
