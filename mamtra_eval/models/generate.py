"""Decoding: prompts in, speech tokens out, for a batch at a time.

``generate`` returns whole sequences, ``stream`` yields the tokens of every step as they come. Both
take one path for teacher and hybrid. An item stops at its own stop token or at its own maximum
length. Finished items leave the batch once they are half of it, where no graph fixes its size. The
tokens of an item do not depend on its company: padding leaves no trace and randomness is the
item's own.

On a CUDA device steps are replayed from captured graphs (``graphs``); ``graphs=False`` runs them
one operation at a time, as everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mamtra_eval.errors import UserError
from mamtra_eval.models.cache import DTYPES, Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.feeding import Feeder
from mamtra_eval.models.graphs import Graphs
from mamtra_eval.models.sampling import Sampler, SamplerConfig
from mamtra_eval.models.stepping import Stepper

MIN_RATIO, MAX_RATIO = 2.0, 20.0
"""Speech tokens a text token, at the least and at the most: CosyVoice 2's bounds."""

LONGEST = 10_000_000
"""Speech tokens of an item at the most: what is more is a slip."""

CHECK_EVERY = 8
"""Steps between looks at a device's tokens: each look waits for the device."""


@dataclass(frozen=True)
class Item:
    """One sequence to be generated.

    Attributes:
        prompt: input ids (``sequences.zero_shot`` makes them).
        seed: of this item's random numbers.
        minimum, maximum: speech tokens at the least (eos is kept back) and at the most.
        feed: input ids that enter one by one, each time the decoder draws ``fill``; until all are
            in, the item can't end (``feeding``). ``minimum`` then counts the fills too.
    """

    prompt: Sequence[int]
    seed: int = 0
    minimum: int = 0
    maximum: int = 750
    feed: Sequence[int] = ()


@dataclass(frozen=True)
class DecodingConfig:
    """How to decode: the sampler, the caches' element types, and CUDA graphs or not."""

    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    kv_dtype: torch.dtype = torch.float32
    state_dtype: torch.dtype = torch.float32
    graphs: bool = True

    def __post_init__(self) -> None:
        for element in (self.kv_dtype, self.state_dtype):
            if element not in DTYPES.values():
                raise UserError(
                    f"caches can't be of {element}", fix=f"Take one of {', '.join(DTYPES)}."
                )


class Generated(NamedTuple):
    """What became of an item: its tokens without the stop, and whether it stopped by itself."""

    tokens: list[int]
    stopped: bool


class Emitted(NamedTuple):
    """One token of one item, while streaming."""

    item: int
    token: int


def length_bounds(n_text: int) -> tuple[int, int]:
    """Least and largest number of speech tokens for a target text of ``n_text`` tokens."""
    return int(n_text * MIN_RATIO), int(n_text * MAX_RATIO)


def generate(
    decoder: Decoder, items: Sequence[Item], config: DecodingConfig | None = None
) -> list[Generated]:
    """Decode a batch to its end; results in the order of the items."""
    batch = _Decoding(decoder, items, config or DecodingConfig())
    while not batch.finished:
        batch.advance()
    return [
        Generated(tokens, stopped)
        for tokens, stopped in zip(batch.tokens, batch.stopped, strict=True)
    ]


def stream(
    decoder: Decoder, items: Sequence[Item], config: DecodingConfig | None = None
) -> Iterator[Emitted]:
    """Yield tokens as they are drawn; an item that yields no more has ended."""
    batch = _Decoding(decoder, items, config or DecodingConfig(), look_every=1)
    told = [0] * len(items)
    while True:
        for item, tokens in enumerate(batch.tokens):
            for token in tokens[told[item] :]:
                yield Emitted(item, token)
            told[item] = len(tokens)
        if batch.finished:
            return
        batch.advance()


class _Decoding:
    """A batch on its way."""

    def __init__(
        self,
        decoder: Decoder,
        items: Sequence[Item],
        config: DecodingConfig,
        look_every: int | None = None,
    ) -> None:
        _check(items, decoder.config)
        self.tokens: list[list[int]] = [[] for _ in items]
        self.stopped = [False] * len(items)
        self._fed = [0] * len(items)
        self._items = items
        self._decoder = decoder
        self._stepper = Stepper(decoder)
        on_cuda = decoder.device.type == "cuda"
        self._look_every = look_every or (CHECK_EVERY if on_cuda else 1)
        self._rows = [index for index, item in enumerate(items) if item.maximum > 0]
        self._pending: list[Tensor] = []
        if not self._rows:
            return
        kept = [items[index] for index in self._rows]
        steps = max(item.maximum + len(item.feed) for item in kept)
        capacity = max(len(item.prompt) for item in kept) + steps
        self._cache = Cache(
            decoder.config, len(kept), capacity, device=decoder.device,
            kv_dtype=config.kv_dtype, state_dtype=config.state_dtype,
        )  # fmt: skip
        self._sampler = Sampler(
            config.sampler, [item.seed for item in kept], [item.minimum for item in kept],
            steps + CHECK_EVERY, decoder.config.eos, decoder.device,
        )  # fmt: skip
        feeds = [item.feed for item in kept]
        self._feeder = (
            Feeder(feeds, decoder.config, decoder.device) if any(map(len, feeds)) else None
        )
        with torch.inference_mode():
            logits = decoder.prefill([item.prompt for item in kept], self._cache)
            self._last = self._draw(logits)
        self._masked = bool((self._cache.starts > 0).any())
        self._graphs = Graphs(decoder, self._cache, self._sampler, self._feeder) if (
            on_cuda and config.graphs
        ) else None  # fmt: skip
        self._take(self._last)

    @property
    def finished(self) -> bool:
        """Whether every item has ended."""
        return not self._rows

    @torch.inference_mode()
    def advance(self) -> None:
        """Feed the last token of every item and draw the next."""
        if self._graphs is not None:
            self._last = self._graphs.replay(self._last)
        else:
            inputs = self._last if self._feeder is None else self._feeder.swap(self._last)
            logits = self._stepper.advance(inputs, self._cache, masked=self._masked)
            self._last = self._draw(logits)
        self._take(self._last)

    def _draw(self, logits: Tensor) -> Tensor:
        allowed = logits if self._feeder is None else self._feeder.allow(logits)
        return self._sampler.draw(allowed)

    def _take(self, drawn: Tensor) -> None:
        """Remember drawn tokens, and now and then look at them."""
        self._pending.append(drawn)
        room = self._cache.capacity - self._cache.length
        if len(self._pending) < self._look_every and room > 0:
            return
        pending, self._pending = torch.stack(self._pending).tolist(), []
        for tokens in pending:
            for index, token in zip(self._rows, tokens, strict=True):
                self._append(index, token)
        alive = [row for row, index in enumerate(self._rows) if not self._ended(index)]
        if len(alive) < len(self._rows):
            self._refuse_broken()
        if not alive:
            self._rows = []
        elif self._graphs is None and len(alive) <= len(self._rows) // 2:
            self._keep(alive)

    def _refuse_broken(self) -> None:
        if bool(self._sampler.broken().any()):
            raise UserError(
                "the decoder's scores are not finite",
                where="decoding",
                fix="Use wider types: kv_dtype, state_dtype and weights of float32.",
            )

    def _append(self, index: int, token: int) -> None:
        if self._ended(index):
            return
        config = self._decoder.config
        if token == config.fill and self._fed[index] < len(self._items[index].feed):
            self._fed[index] += 1
        elif token in config.stops:
            self.stopped[index] = True
        else:
            self.tokens[index].append(token)

    def _ended(self, index: int) -> bool:
        return self.stopped[index] or len(self.tokens[index]) >= self._items[index].maximum

    def _keep(self, alive: list[int]) -> None:
        """Go on with these rows of the batch alone."""
        rows = torch.tensor(alive, device=self._last.device)
        self._cache.select(rows)
        self._sampler.select(rows)
        if self._feeder is not None:
            self._feeder.select(rows)
        self._last = self._last[rows]
        self._masked = bool((self._cache.starts > 0).any())
        self._rows = [self._rows[row] for row in alive]


def _check(items: Sequence[Item], config: DecoderConfig) -> None:
    if not items:
        raise UserError("there is nothing to generate", fix="Give at least one item.")
    for item in items:
        numbers = (item.seed, item.minimum, item.maximum)
        if not all(type(number) is int for number in numbers) or item.seed < 0:
            raise UserError(
                "an item's seed, minimum and maximum must be integers, and the seed not negative"
            )
        if item.maximum > LONGEST:
            raise UserError(f"an item's maximum is at most {LONGEST}, not {item.maximum}")
        for number in (*item.prompt, *item.feed):
            if not isinstance(number, int | Tensor) or not 0 <= number < config.vocabulary:
                raise UserError(
                    f"input id {number!r} of an item is not one of 0 … {config.vocabulary - 1}"
                )
        if not 0 <= item.minimum <= item.maximum:
            raise UserError(
                f"an item's length can't lie between {item.minimum} and {item.maximum}",
                fix="Give 0 <= minimum <= maximum.",
            )
