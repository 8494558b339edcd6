"""What a decoder is made to do while it is measured.

``replay``  forced tokens, the same for every variant, whatever their scores: the primary workload
``fixed``   tokens drawn by the sampler with every stop banned: what sampling costs is in it

In both, every variant takes the same steps at the same context, so that a model that stops early
wins nothing. (``natural``, with the model's own lengths, is ``speaking``.)

Steps at a context of L tokens begin at L - n and end at L. What attention would have kept of the
tokens before them is filled in with random numbers: the time of a step depends on how many there
are, not on their values, and a prefill of 32,768 tokens would take minutes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.feeding import Feeder
from mamtra_eval.models.graphs import Graphs
from mamtra_eval.models.sampling import Sampler, SamplerConfig
from mamtra_eval.models.stepping import Stepper

SEED = 20260312
SPARE = 8
"""Draws beyond a visit's own, for the warm-up of a capture."""


def forced_tokens(config: DecoderConfig, length: int) -> list[int]:
    """Speech tokens to be forced, the same for all decoders of one codebook."""
    made = torch.Generator().manual_seed(SEED)
    return torch.randint(config.speech_codes, (length,), generator=made).tolist()


class Bench:
    """A decoder with a cache of some context and streams, ready to be visited by the meter.

    Args:
        decoder: to be measured.
        context: tokens that a sequence has at the end of a visit.
        streams: sequences at once.
        steps: tokens of a visit.
        kv_dtype, state_dtype: of the cache.
    """

    def __init__(
        self,
        decoder: Decoder,
        context: int,
        streams: int = 1,
        steps: int = 16,
        *,
        kv_dtype: torch.dtype,
        state_dtype: torch.dtype,
    ) -> None:
        self.decoder, self.context, self.streams = decoder, context, streams
        self.steps = max(1, min(steps, context // 2))
        self.cache = Cache(
            decoder.config, streams, context, device=decoder.device,
            kv_dtype=kv_dtype, state_dtype=state_dtype,
        )  # fmt: skip
        tokens = forced_tokens(decoder.config, context)
        self._prompt = tokens
        self._forced = torch.tensor(tokens[-self.steps :], device=decoder.device)
        self._forced = self._forced[:, None].expand(-1, streams).contiguous()

    @property
    def prompt_length(self) -> int:
        """Tokens before the first step of a visit."""
        return self.context - self.steps

    def prefill(self) -> int:
        """One pass over all of the context; a unit is the pass."""
        self.cache.length = 0
        self.decoder.prefill([self._prompt] * self.streams, self.cache)
        return 1

    @torch.inference_mode()
    def fill(self) -> None:
        """Random numbers in place of what the tokens before would have left."""
        for layer in self.cache.layers:
            for part in layer:
                part.normal_(std=0.1)

    def replay(self) -> Callable[[], int]:
        """Visits of forced steps."""
        stepper = Stepper(self.decoder)

        @torch.inference_mode()
        def visit() -> int:
            self.cache.length = self.prompt_length
            for ids in self._forced:
                stepper.advance(ids, self.cache, masked=False)
            return self.steps

        return visit

    def fixed(self, *, graphs: bool = False) -> Callable[[], int]:
        """Visits of drawn steps, all stops banned; replayed from CUDA graphs if asked for."""
        sampler = Sampler(
            SamplerConfig(), list(range(self.streams)), [0] * self.streams, self.steps + SPARE,
            self.decoder.config.eos, self.decoder.device,
        )  # fmt: skip
        banning = _NoStops(self.decoder)
        if graphs:
            return self._graphed(Graphs(self.decoder, self.cache, sampler, banning))
        stepper = Stepper(self.decoder)

        @torch.inference_mode()
        def visit() -> int:
            self.cache.length = self.prompt_length
            sampler.count.zero_()
            ids = self._forced[0]
            for _ in range(self.steps):
                logits = stepper.advance(ids, self.cache, masked=False)
                ids = sampler.draw(banning.allow(logits))
            return self.steps

        return visit

    def _graphed(self, graphs: Graphs) -> Callable[[], int]:
        @torch.inference_mode()
        def visit() -> int:
            graphs.rewind(self.prompt_length)
            ids = self._forced[0]
            for _ in range(self.steps):
                ids = graphs.replay(ids)
            return self.steps

        return visit


class _NoStops(Feeder):
    """In the place of a feeder: ids go in as they are, and no stop is ever drawn."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__([[]], decoder.config, decoder.device)
        self._stops = slice(decoder.config.stops[0], decoder.config.stops[-1] + 1)

    def swap(self, drawn: Tensor) -> Tensor:
        return drawn

    def allow(self, logits: Tensor) -> Tensor:
        allowed = logits.clone()
        allowed[:, self._stops] = -torch.inf
        return allowed
