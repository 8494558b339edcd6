"""The text rule of the Whisper paper: numbers, spelling, contractions and fillers made alike.

English: ``twenty-one`` and ``21`` are one, ``colour`` and ``color``, ``didn't`` and ``did not``;
fillers such as ``uh`` and what stands in brackets are dropped. Other languages: symbols and
punctuation become spaces; those written without spaces are compared letter by letter. So what
remains are errors of hearing, not of writing, and rates are lower than by ``seed_tts``: the two are
never to be compared. Source: Radford et al. 2022, appendix C (arXiv 2212.04356).

Needs whisper-normalizer (``pip install 'mamtra-eval[asr]'``), which carries that rule out; its
version is in the signature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from types import ModuleType
from typing import Any

from mamtra_eval.extras import extra_version, import_extra
from mamtra_eval.registry import read_options

PACKAGES = ("whisper_normalizer",)
NEEDS = ("the text rule whisper", "whisper-normalizer", "asr")
"""Feature, package and extra, for what is said where the package is not."""
WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my"})


class Whisper:
    """The rule as a callable; the package is imported at the first text."""

    @property
    def signature(self) -> str:
        """Name and version of what carries the rule out."""
        return f"whisper-normalizer-{extra_version(*NEEDS)}"

    def __call__(self, text: str, language: str) -> str:
        """Words (or letters) separated by single spaces."""
        rule = self._english if language == "en" else self._basic(language in WITHOUT_SPACES)
        return " ".join(rule(text).split())

    def heard(self, text: str, language: str) -> str:
        """The same: both sides are treated alike."""
        return self(text, language)

    def check(self, language: str) -> None:
        """MissingExtra if the package is not here."""
        self._basic(language in WITHOUT_SPACES)

    @cached_property
    def _english(self) -> Callable[[str], str]:
        module = import_extra("whisper_normalizer.english", *NEEDS)
        rule: Callable[[str], str] = module.EnglishTextNormalizer()
        return rule

    def _basic(self, letters: bool) -> Callable[[str], str]:
        rule: Callable[[str], str] = self._module.BasicTextNormalizer(split_letters=letters)
        return rule

    @cached_property
    def _module(self) -> ModuleType:
        return import_extra("whisper_normalizer.basic", *NEEDS)


def create(options: Mapping[str, Any]) -> Whisper:
    """The rule; it takes no options."""
    read_options("whisper", options, {})
    return Whisper()
