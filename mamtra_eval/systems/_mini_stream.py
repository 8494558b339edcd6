"""Samples of speech tokens while the tokens are still coming.

A piece of new tokens goes through the codec together with ``CONTEXT`` tokens that were decoded
before, so that the network sees to the left what it would see in the whole; the samples of the
context are dropped. To the right it sees nothing yet, and Griffin-Lim finds phases anew for each
piece: the last ``FADE`` samples of a piece are therefore held back and cross-faded into the same
samples of the next one. All pieces together are as long as the whole decoded at once.

Each token is decoded (n + ``CONTEXT``) / n times for pieces of n: streaming costs more in all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mamtra_eval.audio import Samples
from mamtra_eval.codecs.mini import TOKENS_PER_S, MiniCodec
from mamtra_eval.codecs.mini_mel import SAMPLE_RATE_HZ

CONTEXT = 18
"""Tokens to the left: the reach of the codec's decoder, 16 tokens and 6 frames of a quarter."""

TOKEN_SAMPLES = round(SAMPLE_RATE_HZ / TOKENS_PER_S)

FADE = 160
"""Samples over which pieces are joined: 10 ms."""


class Joiner:
    """Decodes the pieces of one clip and joins them."""

    rate_hz = SAMPLE_RATE_HZ

    def __init__(self, codec: MiniCodec, voice: int) -> None:
        self._codec, self._voice = codec, voice
        self._context: list[int] = []
        self._held = np.zeros(0, np.float32)

    def add(self, tokens: Sequence[int]) -> Samples:
        """Samples that are settled once these tokens are there; some are held back."""
        together = [*self._context, *tokens]
        samples = self._codec.decode(together, self._voice).samples
        overlap = len(self._held)
        if self._context:  # counted from the end: what codecs leave out, they leave out there
            samples = samples[-(len(tokens) * TOKEN_SAMPLES + overlap) :]
        joined = samples.copy()
        if overlap:
            rise = (np.arange(overlap, dtype=np.float32) + 0.5) / overlap
            joined[:overlap] = (1 - rise) * self._held + rise * joined[:overlap]
        self._context = together[-CONTEXT:]
        kept = min(FADE, len(joined))
        self._held = joined[len(joined) - kept :]
        return joined[: len(joined) - kept]

    def finish(self, tokens: Sequence[int]) -> Samples:
        """The last samples, with the last tokens, which may be none."""
        settled = self.add(tokens) if tokens else self._held[:0]
        return np.concatenate([settled, self._held])
