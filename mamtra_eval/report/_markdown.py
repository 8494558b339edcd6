"""Markdown as GitHub renders it: texts taken literally, tables."""

from __future__ import annotations

from collections.abc import Sequence

_LITERAL = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = "\\`*_{}[]|#~$"


def escape(text: str) -> str:
    """Text that Markdown and HTML take literally, on one line."""
    return "".join(
        _LITERAL.get(character, f"\\{character}" if character in _SPECIAL else character)
        for character in " ".join(text.split())
    )


def code(text: str) -> str:
    """Text in a fixed width, taken literally."""
    return f"`{text.replace('`', chr(39))}`"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Lines of a table; the first ``words`` columns hold words, the others numbers."""
    rule = [*["---"] * words, *["---:"] * (len(titles) - words)]
    return [f"| {' | '.join(row)} |" for row in (titles, rule[: len(titles)], *rows)]
