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
    """Text in a fixed width, taken literally, on one line. Not for a table: ``|`` ends its cell."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """Lines of a table; the first ``words`` columns hold words, the others numbers."""
    rule = [*["---"] * words, *["---:"] * (len(titles) - words)]
    return [f"| {' | '.join(row)} |" for row in (titles, rule[: len(titles)], *rows)]


def picture(path: str, alternative: str) -> list[str]:
    """Lines of a plot that lies in a light and a dark form, as SVG with links to its PNG.

    Args:
        path: from the page to the files, without theme and suffix.
        alternative: what it shows, in words.
    """
    return [
        "<picture>",
        f'  <source media="(prefers-color-scheme: dark)" srcset="{path}-dark.svg">',
        f'  <img src="{path}-light.svg" alt="{alternative}">',
        "</picture>",
        "",
        f"PNG: [light]({path}-light.png), [dark]({path}-dark.png)",
    ]
