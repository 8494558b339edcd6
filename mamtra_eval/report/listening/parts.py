"""Pieces that sections of a listening test's report are made of: tables, cards, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mamtra_eval.report.listening.markup import Child, Markup, join, tag


@dataclass(frozen=True)
class Column:
    """A column's title; numbers stand at the end of their cells."""

    title: str
    number: bool = True
    hint: str | None = None


def section(identifier: str, title: str, *children: Child, caption: str | None = None) -> Markup:
    """A section with its heading."""
    return tag(
        "section",
        tag(
            "div",
            tag("h2", title, id=f"{identifier}-title"),
            tag("p", caption, class_="caption") if caption else None,
            class_="heading",
        ),
        *children,
        id=identifier,
        aria_labelledby=f"{identifier}-title",
    )


def frame(label: str, *children: Child, high: bool = False) -> Markup:
    """A frame that scrolls by itself where its content is too wide (or, if ``high``, too high)."""
    return tag("div", *children, class_="scroll tall" if high else "scroll", tabindex="0",
               role="region", aria_label=label)  # fmt: skip


def table(
    label: str, columns: Sequence[Column], rows: Iterable[tuple[Child, Sequence[Child]]], *,
    high: bool = False, class_: str = "figures",
) -> Markup:  # fmt: skip
    """A table in its frame: a row is its header and the other cells, of which some have a class.

    A cell that is ``Markup`` of a ``td`` is taken as it is.
    """
    head = tag("tr", (
        tag("th", one.title, tag("small", one.hint) if one.hint else None, scope="col",
            class_="n" if one.number else None)
        for one in columns
    ))  # fmt: skip
    body = (
        tag("tr", tag("th", first, scope="row", dir="auto"), (
            _cell(cell, column) for cell, column in zip(cells, columns[1:], strict=True)
        ))
        for first, cells in rows
    )  # fmt: skip
    return frame(
        label, tag("table", tag("thead", head), tag("tbody", body), class_=class_), high=high
    )


def facts(pairs: Iterable[tuple[str, Child]], class_: str = "facts") -> Markup:
    """A list of names and what they are."""
    return tag(
        "dl",
        (tag("div", tag("dt", name), tag("dd", value, dir="auto")) for name, value in pairs),
        class_=class_,
    )


def bullets(items: Iterable[Child], class_: str | None = None) -> Markup:
    """An unordered list."""
    return tag("ul", (tag("li", item) for item in items), class_=class_)


def card(title: str, *children: Child, note: str | None = None) -> Markup:
    """A titled box."""
    return tag(
        "div",
        tag("h3", title),
        *children,
        tag("p", note, class_="small") if note else None,
        class_="box",
    )


def note(text: str) -> Markup:
    """A paragraph below a table or a chart."""
    return tag("p", text, class_="caption below")


def reasons(found: Mapping[str, str] | Iterable[str]) -> Markup | None:
    """Why something is undefined, as a list; None where all is defined."""
    lines = (
        [f"{name}: {why}" for name, why in found.items()]
        if isinstance(found, Mapping) else list(found)
    )  # fmt: skip
    return bullets(dict.fromkeys(lines), "reasons") if lines else None


def pill(word: str, tone: str) -> Markup:
    """A word in a capsule; the word says it, the tone repeats it."""
    return tag("span", word, class_=f"pill {tone}")


def two_lines(first: Child, second: Child) -> Markup:
    """A value and, smaller below it, what belongs to it."""
    return join(tag("b", first), tag("span", second, class_="small line"))


def nothing() -> Markup:
    """What stands where no votes are."""
    return tag("p", "Not defined: no votes.", class_="notice")


def _cell(cell: Child, column: Column) -> Markup:
    if isinstance(cell, Markup) and cell.startswith("<td"):
        return cell
    return tag("td", cell, class_="n" if column.number else None)
