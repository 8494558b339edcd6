"""The text rule of Seed-TTS-eval: delete punctuation but the apostrophe, lower-case English.

The official script deletes (replaces by nothing, not by a space) the 82 characters of
``zhon.hanzi.punctuation`` (zhon 2.1.1) and the 32 of Python's ``string.punctuation`` except ``'``.
So ``well-known`` becomes ``wellknown``, and ``don’t`` with a typographic apostrophe ``dont``.
English is lower-cased; Chinese keeps its case and is compared character by character. Numbers,
accents, contractions and spelling are left alone. Source: BytedanceSpeech/seed-tts-eval, 752f429.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from mamtra_eval.registry import read_options

# hanzi.punctuation of zhon 2.1.1, frozen here so that the protocol can't drift.
HANZI_PUNCTUATION = (
    "＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､\u3000、〃〈〉《》「」『』【】〔〕"
    "〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏﹑﹔·．！？｡。"
)
DELETED = frozenset(HANZI_PUNCTUATION + string.punctuation) - {"'"}


class SeedTTS:
    """The rule as a callable."""

    signature = "seed-tts-1"
    _table = str.maketrans(dict.fromkeys(DELETED))

    def __call__(self, text: str, language: str) -> str:
        """Words (or characters, for Chinese) separated by single spaces."""
        text = text.translate(self._table)
        if language == "zh":
            return " ".join(text.replace(" ", ""))
        # Only U+0020 separates, as in the official scripts: a no-break space stays inside a word.
        return " ".join(word for word in text.lower().split(" ") if word)


def create(options: Mapping[str, Any]) -> SeedTTS:
    """The rule; it takes no options."""
    read_options("seed_tts", options, {})
    return SeedTTS()
