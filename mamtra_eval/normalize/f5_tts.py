"""The text rule of F5-TTS's evaluation: that of Seed-TTS-eval without any apostrophe.

All 114 characters of ``zhon.hanzi.punctuation`` (2.1.1) and ``string.punctuation`` are deleted, the
apostrophe too: ``don't`` and ``dont`` are one word. Everything else is as in ``seed_tts``. Source:
SWivid/F5-TTS, src/f5_tts/eval.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from mamtra_eval.normalize.seed_tts import HANZI_PUNCTUATION, SeedTTS
from mamtra_eval.registry import read_options


class F5TTS(SeedTTS):
    """The rule as a callable."""

    signature = "f5-tts-1"
    _table = str.maketrans(dict.fromkeys(HANZI_PUNCTUATION + string.punctuation))


def create(options: Mapping[str, Any]) -> F5TTS:
    """The rule; it takes no options."""
    read_options("f5_tts", options, {})
    return F5TTS()
