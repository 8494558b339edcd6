"""What a database has as JSON, read when somebody asks.

A large run has millions of readings, and of most nobody wants to see more than the counts: their
alignments as Python objects would take ten times the memory of their text.
"""

from __future__ import annotations

import json
from collections.abc import ItemsView, Iterator, Mapping
from typing import Any


class Evidence(Mapping[str, Any]):
    """A mapping that is kept as its JSON text; every look at it reads that anew."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 -- any JSON value
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def items(self) -> ItemsView[str, Any]:
        """All of it, read once."""
        return self._read().items()

    def __eq__(self, other: object) -> bool:
        return self._read() == (other._read() if isinstance(other, Evidence) else other)

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return repr(self._read())

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._text)
        return found
