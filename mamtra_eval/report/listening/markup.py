"""HTML and SVG as text in which nothing is unescaped by accident.

``tag`` escapes every child and attribute that is no ``Markup``; only this module makes ``Markup``.
There are no ``style`` attributes: the page's policy forbids them.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

_VOID = frozenset(("meta", "br", "line", "rect", "circle", "path"))
Child: TypeAlias = "str | Iterable[Child] | None"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """Text for HTML; lone surrogates and control characters are replaced."""
    shown = text.encode("utf-8", "replace").decode()
    shown = "".join(one if one in "\n\t" or ord(one) >= 0x20 else "\ufffd" for one in shown)
    return Markup(html.escape(shown))


def join(*children: Child) -> Markup:
    """Children one after the other; None is nothing."""
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def tag(name: str, *children: Child, **attributes: object) -> Markup:
    """An element. ``class_`` is class, other underscores are hyphens; False and None leave out."""
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{named}/>" if name not in ("meta", "br") else f"<{name}{named}>")
    return Markup(f"<{name}{named}>{join(*children)}</{name}>")


def _value(value: object) -> str:
    if value is True:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
