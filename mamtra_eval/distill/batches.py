"""Which examples are seen in which step: a function of the seed alone.

Examples of similar length share a batch, so that little is padding: each epoch they are shuffled,
sorted within pools, cut into batches of at most ``batch_tokens`` tokens (padding counted) and the
batches shuffled. Nothing is remembered between steps; a resumed run asks for the step it is at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

POOL = 50
"""Batches, roughly, that are sorted by length together: fewer mix lengths less, more mix examples
less."""


class Schedule:
    """The batches of every step.

    Args:
        lengths: of the examples, in tokens.
        batch_tokens: of a batch at the most, unless a single example is longer.
        accumulate: batches a step.
        seed: of the order.
    """

    def __init__(
        self, lengths: Sequence[int], batch_tokens: int, accumulate: int, seed: int
    ) -> None:
        self._lengths = list(lengths)
        self._batch_tokens = batch_tokens
        self._accumulate = accumulate
        self._seed = seed
        self._epoch = -1
        self._first = 0
        self._batches: list[list[int]] = []

    def step(self, number: int) -> list[list[int]]:
        """Indices of the examples in each batch of step ``number``, from 0."""
        if number < self._first or self._epoch < 0:
            self._begin(0, 0)
        while number >= self._first + self._steps:
            self._begin(self._epoch + 1, self._first + self._steps)
        begin = (number - self._first) * self._accumulate
        return self._batches[begin : begin + self._accumulate]

    def epoch_of(self, number: int) -> int:
        """The epoch that a step belongs to, from 0."""
        self.step(number)
        return self._epoch

    @property
    def _steps(self) -> int:
        """Steps of the current epoch; the last may have fewer batches."""
        return -(-len(self._batches) // self._accumulate)

    def _begin(self, epoch: int, first: int) -> None:
        self._epoch, self._first = epoch, first
        self._batches = plan_epoch(self._lengths, self._batch_tokens, self._seed, epoch)


def plan_epoch(lengths: Sequence[int], batch_tokens: int, seed: int, epoch: int) -> list[list[int]]:
    """All batches of an epoch; every example is in exactly one."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths)).tolist()
    mean = max(1.0, float(np.mean(lengths)))
    pool = max(1, int(POOL * batch_tokens / mean))
    batches = []
    for begin in range(0, len(order), pool):
        ranked = sorted(order[begin : begin + pool], key=lambda index: lengths[index])
        batches += cut(ranked, lengths, batch_tokens)
    return [batches[index] for index in rng.permutation(len(batches)).tolist()]


def cut(ranked: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Neighbours as batches whose size times longest length stays within ``batch_tokens``."""
    batches: list[list[int]] = []
    longest = 0
    for index in ranked:
        longest = max(longest, lengths[index])
        if batches and (len(batches[-1]) + 1) * longest <= batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = lengths[index]
    return batches
