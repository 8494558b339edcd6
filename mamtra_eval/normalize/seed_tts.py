"""The text rule of Seed-TTS-eval: delete punctuation but the apostrophe, lower-case English.

The official script deletes (replaces by nothing, not by a space) the 82 characters of
``zhon.hanzi.punctuation`` (zhon 2.1.1) and the 32 of Python's ``string.punctuation`` except ``'``.
So ``well-known`` becomes ``wellknown``, and ``don’t`` with a typographic apostrophe ``dont``.
English is lower-cased; Chinese keeps its case and is compared character by character, transcripts
after zhconv wrote them in simplified characters (the text itself is left as it is). Numbers,
accents, contractions and spelling are left alone. Source: BytedanceSpeech/seed-tts-eval, 752f429.

Chinese needs zhconv (``pip install 'mamtra-eval[zh]'``), at the version that this rule is made of:
its tables are part of the protocol. ``tests/conformance/seed_tts_wer.json`` has 130 cases of it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import cached_property
from types import ModuleType
from typing import Any

from mamtra_eval.errors import MissingExtra
from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.registry import read_options

# hanzi.punctuation of zhon 2.1.1, frozen here so that the protocol can't drift.
HANZI_PUNCTUATION = (
    "＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､\u3000、〃〈〉《》「」『』【】〔〕"
    "〖〗〘〙〚〛〜〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏﹑﹔·．！？｡。"
)
ZHCONV = "1.4.3"
"""The version whose tables the rule has; another one is another rule."""
NEEDS = ("the text rule seed_tts for Chinese", "zhconv", "zh")
"""Feature, package and extra, for what is said where the package is not."""
DELETED = frozenset(HANZI_PUNCTUATION + string.punctuation) - {"'"}


class SeedTTS:
    """The rule as a callable."""

    signature = "seed-tts-2"
    _table = str.maketrans(dict.fromkeys(DELETED))

    def __call__(self, text: str, language: str) -> str:
        """Words (or characters, for Chinese) separated by single spaces."""
        text = text.translate(self._table)
        if language == "zh":
            return " ".join(text.replace(" ", ""))
        # Only U+0020 separates, as in the official scripts: a no-break space stays inside a word.
        return " ".join(word for word in text.lower().split(" ") if word)

    def heard(self, text: str, language: str) -> str:
        """The same for a transcript, whose Chinese is first written in simplified characters."""
        if language == "zh":
            text = self._zhconv.convert(text, "zh-cn")
        return self(text, language)

    def check(self, language: str) -> None:
        """MissingExtra for Chinese without zhconv, or with another version of it."""
        if language == "zh":
            self._zhconv  # noqa: B018 -- importing it is the check

    @cached_property
    def _zhconv(self) -> ModuleType:
        found = extra_version(*NEEDS)
        if found != ZHCONV:
            raise MissingExtra(
                f"{NEEDS[0]} needs zhconv {ZHCONV}, and {found} is installed",
                fix=f"Install it with: pip install zhconv=={ZHCONV}",
            )
        return import_extra("zhconv", *NEEDS)


def create(options: Mapping[str, Any]) -> SeedTTS:
    """The rule; it takes no options."""
    read_options("seed_tts", options, {})
    return SeedTTS()
