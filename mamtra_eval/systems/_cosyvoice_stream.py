"""Tokens of a stream, counted while they go by."""

from __future__ import annotations

from collections.abc import Iterator

from mamtra_eval.models.generate import length_bounds
from mamtra_eval.stage_times import stage


class Counted:
    """Hands tokens on, counts them, and times them: the first is the prefill's.

    Attributes:
        count: tokens so far.
    """

    def __init__(self, tokens: Iterator[int], n_text: int) -> None:
        self._tokens, self._most = tokens, length_bounds(n_text)[1]
        self.count = 0

    @property
    def cut(self) -> bool:
        """Whether the longest length ended them."""
        return self.count >= self._most

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with stage("decode" if self.count else "prefill"):
            token = next(self._tokens)
        self.count += 1
        return token
