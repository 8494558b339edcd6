"""Which sentences the mini family decodes together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mamtra_eval.models.generate import Item

SLOTS = 64_000
"""Places in the caches of a batch, together: about 800 MB for the teacher."""


def fitting(items: Mapping[int, Item]) -> Iterator[list[int]]:
    """Keys of items that are decoded together: their caches, all of one length, fit ``SLOTS``."""
    group: list[int] = []
    longest = 0
    for key in sorted(items, key=lambda key: items[key].maximum or 0):
        item = items[key]
        longest = max(longest, len(item.prompt) + len(item.feed) + (item.maximum or 0))
        if group and longest * (len(group) + 1) > SLOTS:
            yield group
            group = []
        group.append(key)
    if group:
        yield group
