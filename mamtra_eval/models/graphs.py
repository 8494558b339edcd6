"""Single-token steps as captured CUDA graphs: one launch instead of hundreds.

A graph is fixed in its shapes and addresses. So the step works on buffers that stay: the ids, the
slot (a tensor that the graph itself advances), the caches, the sampler's state. Attention looks
at a window of the cache with a mask; there is one graph a window, at multiples of ``BUCKET``, so
that a short sequence does not read the whole capacity. The graph draws the token too: between two
tokens the host does nothing but replay.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mamtra_eval.models.cache import Cache
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.feeding import Feeder
from mamtra_eval.models.sampling import Sampler
from mamtra_eval.models.stepping import Stepper

BUCKET = 256
"""Slots by which the window of attention grows from graph to graph."""

WARM_UP = 3
"""Steps before a capture, on a stream of their own, as torch asks for."""


class StaticStep:
    """A step on buffers that stay where they are; what a graph captures. Works on any device.

    Args:
        decoder, cache, sampler: of the batch; the cache holds the prompts already.
        feeder: of its interleaved text, if there is any.
    """

    def __init__(
        self, decoder: Decoder, cache: Cache, sampler: Sampler, feeder: Feeder | None = None
    ) -> None:
        self._stepper = Stepper(decoder)
        self.cache, self.sampler, self.feeder = cache, sampler, feeder
        device = decoder.device
        self.ids = torch.zeros(cache.batch, dtype=torch.int64, device=device)
        self.slot = torch.full((1,), cache.length, dtype=torch.int64, device=device)

    def run(self, window: int) -> None:
        """Feed ``ids`` at ``slot``, put the drawn tokens into ``ids``, advance ``slot``."""
        context = self._stepper.context(self.slot, window, self.cache, masked=True)
        inputs = self.ids if self.feeder is None else self.feeder.swap(self.ids)
        logits = self._stepper.step(inputs, context, self.cache)
        if self.feeder is not None:
            logits = self.feeder.allow(logits)
        self.ids.copy_(self.sampler.draw(logits))
        self.slot += 1

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes, for saving around a warm-up."""
        cached = [part for layer in self.cache.layers for part in layer]
        fed = self.feeder.state() if self.feeder is not None else []
        return [self.ids, self.slot, *cached, *self.sampler.state(), *fed]


def window_for(length: int, capacity: int) -> int:
    """The smallest window that holds ``length`` slots."""
    return min(-(-length // BUCKET) * BUCKET, capacity)


class Graphs:
    """The graphs of one batch, captured when first needed."""

    def __init__(
        self, decoder: Decoder, cache: Cache, sampler: Sampler, feeder: Feeder | None = None
    ) -> None:
        self._step = StaticStep(decoder, cache, sampler, feeder)
        self._cache = cache
        self._decoder = decoder
        self._held: list[Tensor] = []
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def replay(self, last: Tensor) -> Tensor:
        """Feed the last tokens (B,), return the next (B,)."""
        self._step.ids.copy_(last)
        self._cache.length += 1
        window = window_for(self._cache.length, self._cache.capacity)
        if window not in self._graphs:
            self._graphs[window] = self._capture(window)
        self._graphs[window].replay()
        return self._step.ids.clone()

    def rewind(self, length: int) -> None:
        """Go on from slot ``length`` again, with the first random numbers; what was captured stays.

        For measuring: what the slots up to there hold is the caller's affair.
        """
        self._cache.length = length
        self._step.slot.fill_(length)
        self._step.sampler.count.zero_()

    def _capture(self, window: int) -> torch.cuda.CUDAGraph:
        """Record the step for a window; the batch's state is as before afterwards."""
        saved = [part.clone() for part in self._step.state()]
        # torch has no annotation for it.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step.run(window)
                self._restore(saved)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step.run(window)
        # The graph reads this table by its address: it must outlive a larger one in its place.
        self._held.append(self._decoder.rotations)
        self._restore(saved)
        return graph

    def _restore(self, saved: list[Tensor]) -> None:
        for part, before in zip(self._step.state(), saved, strict=True):
            part.copy_(before)
