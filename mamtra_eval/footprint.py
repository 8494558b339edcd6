"""What one request of a decoder takes, by closed form, as straight lines in its context.

Both the cache of a sequence and the arithmetic of its next token are a constant and a part that
grows with the context: keys and values of the Transformer layers grow, the state of Mamba-2 layers
does not. So four numbers, kept with the run, answer for any context afterwards
(``models.cost`` says what is counted).
"""

from __future__ import annotations

from dataclasses import dataclass

from mamtra_eval.models import cost
from mamtra_eval.models.config import DecoderConfig


@dataclass(frozen=True)
class Footprint:
    """Closed form of one decoder.

    Attributes:
        transformer, mamba: numbers of layers.
        parameters: of the decoder.
        element_bytes: of a parameter and of an element of the cache.
        cache_fixed: bytes that a sequence takes whatever its length.
        cache_per_token: bytes that each token of context adds.
        flops_fixed: FLOP of decoding one token that attends to nothing.
        flops_per_context: FLOP that each token attended to adds.
    """

    transformer: int
    mamba: int
    parameters: int
    element_bytes: int
    cache_fixed: int
    cache_per_token: int
    flops_fixed: int
    flops_per_context: int

    @property
    def mamba_share(self) -> float:
        """Share of the layers that are Mamba-2."""
        return self.mamba / (self.mamba + self.transformer)

    def cache_bytes(self, context: int) -> int:
        """Cache of one sequence of ``context`` tokens, bytes."""
        return self.cache_fixed + context * self.cache_per_token

    def flops(self, context: int) -> int:
        """FLOP of decoding one token that attends to ``context`` tokens, itself among them."""
        return self.flops_fixed + context * self.flops_per_context


def of(config: DecoderConfig, element_bytes: int) -> Footprint:
    """The footprint of a decoder of this shape."""
    one, two = (cost.flops_per_token(config, context) for context in (1, 2))
    return Footprint(
        transformer=len(config.transformer),
        mamba=len(config.mamba),
        parameters=cost.parameters(config)["total"],
        element_bytes=element_bytes,
        cache_fixed=cost.state_bytes(config, element_bytes),
        cache_per_token=cost.kv_bytes(config, 1, element_bytes),
        flops_fixed=2 * one - two,
        flops_per_context=two - one,
    )
