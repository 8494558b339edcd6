"""Text rules that both sides of a comparison go through. One file each; frozen and versioned.

A plugin module offers ``create(options) -> Normalizer``. A rule is never changed after its
release: a different rule is a new file or a new version, since every WER depends on it.
"""

from __future__ import annotations

from typing import Protocol


class Normalizer(Protocol):
    """Maps a text to the words that are compared, separated by single spaces."""

    @property
    def signature(self) -> str:
        """Name and version of the rule."""
        ...

    def __call__(self, text: str, language: str) -> str:
        """The text as compared, in the given language (``en``, ``zh``, …)."""
        ...

    def heard(self, text: str, language: str) -> str:
        """A transcript as compared: some rules do something to it that they don't to the text."""
        ...

    def check(self, language: str) -> None:
        """MissingExtra if a package that it needs for this language is not here."""
        ...
