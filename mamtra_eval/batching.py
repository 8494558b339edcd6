"""Clips taken together: one after another, in chunks, in chunks of equal length.

A batch may make a measurement faster; it must not change it. Networks that look at a clip as a
whole (statistics over time, pooling without a mask) may be batched among clips of exactly one
length only: zeros at the end of a shorter one would change its result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from mamtra_eval.errors import UserError

T = TypeVar("T")
R = TypeVar("R")


def one_by_one(function: Callable[[T], R], items: Sequence[T]) -> list[R | Exception]:
    """The function's result for each item, or the exception in its place; UserError passes."""
    return [attempt(function, item) for item in items]


def attempt(function: Callable[[T], R], item: T) -> R | Exception:
    """A function's result, or its exception; UserError passes, since it ends the run."""
    try:
        return function(item)
    except UserError:
        raise
    except Exception as error:  # of one clip: its failure row
        return error


def in_batches(
    function: Callable[[list[T]], Sequence[R | Exception]],
    items: Sequence[T],
    batches: Iterator[list[int]],
) -> list[R | Exception]:
    """A function of several items over all of them, in batches of positions; results in order.

    A batch that fails as a whole (memory, say) is taken one by one.
    """
    found: dict[int, R | Exception] = {}
    for positions in batches:
        batch = [items[position] for position in positions]
        result = attempt(function, batch)
        if isinstance(result, Exception):
            result = [
                alone if isinstance(alone, Exception) else alone[0]
                for alone in one_by_one(function, [[item] for item in batch])
            ]
        found.update(zip(positions, result, strict=True))
    return [found[position] for position in range(len(items))]


def by_size(sizes: Sequence[float], most: int) -> Iterator[list[int]]:
    """Positions of items of about one size together, at most ``most`` at once, smallest first."""
    order = sorted(range(len(sizes)), key=lambda position: (sizes[position], position))
    for start in range(0, len(order), most):
        yield order[start : start + most]


def by_equal_size(sizes: Sequence[Any], most: int) -> Iterator[list[int]]:
    """Positions of items of exactly one size together, at most ``most`` at once."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for position, size in enumerate(sizes):
        groups[size].append(position)
    for group in groups.values():
        for start in range(0, len(group), most):
            yield group[start : start + most]
