"""What a decoder is: sizes, vocabularies, and which of its layers are Transformer layers.

``PRESETS`` holds two shapes: ``cosyvoice2`` (the body of Qwen2.5-0.5B with CosyVoice 2's speech
vocabulary) and ``mini`` (the same depth at width 128, for two cores). Any other is a
``DecoderConfig`` of one's own. No torch is needed to read, check or write one.

Token ids
---------
Every input is a sequence of ids of one embedding table, whose rows are in this order::

    0 .. speech_codes-1                speech tokens
    speech_codes .. +2                 eos, a second stop, fill: all three end an utterance
    then sos, task                     begin of the sequence, begin of speech
    then text_vocabulary rows          text tokens

Speech comes first so that a generated id is the next input as it is. The head scores the first
``speech_rows`` ids alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from mamtra_eval.errors import UserError, unknown_name

N_STOPS = 3
N_SPECIAL = 2

MAX_SIZE = 2**24
"""Of any dimension: what is larger is a slip, not a decoder."""


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of a decoder. UserError if the sizes do not go together.

    Attributes:
        layers: number of layers, each a mixer (attention or Mamba-2) and a gated MLP.
        hidden: width of the residual stream.
        heads, kv_heads, head_dim: of attention. The Mamba-2 mixer takes them over: ``heads`` heads
            and groups, state and head size ``head_dim``, ``kv_heads`` distinct B and x.
        mlp: inner width of the MLP.
        speech_codes: codebook size of the speech tokens, without the three stops.
        text_vocabulary: rows for text tokens.
        transformer: indices of the layers that are Transformer layers; the others are Mamba-2.
        conv_width: taps of the Mamba-2 mixer's causal convolution.
        chunk: tokens that the parallel scan takes at once.
        mixer_bias: whether the Mamba-2 input projection has a bias (it can take over those of
            q, k and v; the published code has none).
        norm_eps, mixer_norm_eps: of the RMS norms of the layers, and of the gated one.
        rope_theta: base of the rotary position embedding.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    speech_codes: int
    text_vocabulary: int
    transformer: tuple[int, ...]
    conv_width: int = 4
    chunk: int = 256
    mixer_bias: bool = False
    norm_eps: float = 1e-6
    mixer_norm_eps: float = 1e-5
    rope_theta: float = 1e6

    def __post_init__(self) -> None:
        sizes = (
            "layers", "hidden", "heads", "kv_heads", "head_dim", "mlp", "speech_codes",
            "conv_width", "chunk",
        )  # fmt: skip
        for name in sizes:
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MAX_SIZE:
                raise UserError(
                    f"{name} of a decoder must be an integer from 1 to {MAX_SIZE}, not {value!r}"
                )
        if type(self.text_vocabulary) is not int or not 0 <= self.text_vocabulary <= MAX_SIZE:
            raise UserError(
                f"text_vocabulary of a decoder must be an integer from 0 to {MAX_SIZE}, not "
                f"{self.text_vocabulary!r}"
            )
        for name in ("norm_eps", "mixer_norm_eps", "rope_theta"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(
                    f"{name} of a decoder must be positive and finite, not {getattr(self, name)!r}"
                )
        if self.heads % self.kv_heads:
            raise UserError(f"{self.heads} heads can't share {self.kv_heads} kv_heads evenly")
        if self.head_dim % 2:
            raise UserError(f"head_dim must be even for rotary positions, not {self.head_dim}")
        indices = self.transformer
        if list(indices) != sorted(set(indices)) or not all(0 <= i < self.layers for i in indices):
            raise UserError(
                f"{list(indices)} is no set of layers of {self.layers}",
                fix=f"Give ascending indices from 0 to {self.layers - 1}, each once.",
            )

    @property
    def mamba(self) -> tuple[int, ...]:
        """Indices of the Mamba-2 layers."""
        return tuple(i for i in range(self.layers) if i not in set(self.transformer))

    @property
    def inner(self) -> int:
        """Width of all heads together; the Mamba-2 mixer's inner width."""
        return self.heads * self.head_dim

    @property
    def kv_inner(self) -> int:
        """Width of all key heads together; the Mamba-2 mixer's distinct B, and x."""
        return self.kv_heads * self.head_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the Mamba-2 mixer's convolution: x, B and C."""
        return self.inner + 2 * self.kv_inner

    @property
    def speech_rows(self) -> int:
        """Speech tokens and stops: what the head scores."""
        return self.speech_codes + N_STOPS

    @property
    def eos(self) -> int:
        """The id that ends an utterance in training; the one masked up to the minimum length."""
        return self.speech_codes

    @property
    def stops(self) -> tuple[int, ...]:
        """All ids that end an utterance in decoding."""
        return tuple(range(self.speech_codes, self.speech_rows))

    @property
    def fill(self) -> int:
        """The stop that asks for more text where text and speech are interleaved."""
        return self.speech_codes + 2

    @property
    def sos(self) -> int:
        """Input id that begins a sequence."""
        return self.speech_rows

    @property
    def task(self) -> int:
        """Input id between text and speech."""
        return self.speech_rows + 1

    @property
    def text_offset(self) -> int:
        """Input id of text token 0."""
        return self.speech_rows + N_SPECIAL

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding table."""
        return self.text_offset + self.text_vocabulary

    def with_layout(self, transformer: tuple[int, ...]) -> DecoderConfig:
        """The same decoder with these layers as Transformer layers."""
        return replace(self, transformer=tuple(transformer))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``config.yaml`` holds them."""
        return {**asdict(self), "transformer": list(self.transformer)}


def from_dict(values: Mapping[str, Any], where: str = "decoder") -> DecoderConfig:
    """A configuration from plain values; UserError names unknown, missing or ill-typed ones."""
    known = {field.name: field for field in fields(DecoderConfig)}
    for name in values:
        if name not in known:
            raise unknown_name(f"field of {where}", str(name), known)
    given = dict(values)
    try:
        for name in ("norm_eps", "mixer_norm_eps", "rope_theta"):
            if name in given:
                given[name] = float(given[name])
        if "transformer" in given:
            given["transformer"] = _indices(given["transformer"])
        return DecoderConfig(**given)
    except (TypeError, ValueError) as error:
        raise UserError(f"not the shape of a decoder ({error})", where=where) from error


def _indices(values: object) -> tuple[int, ...]:
    if not isinstance(values, (list, tuple)) or not all(type(i) is int for i in values):
        raise TypeError(f"transformer must be a list of integers, not {values!r}")
    return tuple(values)


PRESETS = {
    "cosyvoice2": DecoderConfig(
        layers=24, hidden=896, heads=14, kv_heads=2, head_dim=64, mlp=4864,
        speech_codes=6561, text_vocabulary=151936, transformer=tuple(range(24)),
    ),
    "mini": DecoderConfig(
        layers=24, hidden=128, heads=4, kv_heads=2, head_dim=32, mlp=352,
        speech_codes=4096, text_vocabulary=256, transformer=tuple(range(24)), chunk=64,
    ),
}  # fmt: skip
"""Teacher shapes by name: every layer a Transformer layer."""


def preset(name: str) -> DecoderConfig:
    """A preset by name; UserError with near matches for an unknown one."""
    if name not in PRESETS:
        raise unknown_name("preset of a decoder", name, PRESETS)
    return PRESETS[name]
