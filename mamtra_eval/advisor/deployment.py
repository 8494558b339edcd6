"""What is to be deployed: a card, its other residents, variants of the decoder, and the load.

A variant is written ``NAME[=RATIO[:int8|:int4]]``: ``1:3``, ``teacher``, ``small=1:11:int8``. It
has the shape ``cosyvoice2`` in its ratio's published layout, unless it is the name of a system in
the profile that is given with it: then it has that system's shape. Variants of one advice have one
shape: they differ in layers and bits alone (``choosing`` says which are taken if none is written).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mamtra_eval.advisor.cards import Card
from mamtra_eval.advisor.units import gib, parse_size
from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio, transformer_layers

SHAPE = "cosyvoice2"
TEACHER = "teacher"
QUANTISED = {"int8": 8, "int4": 4}
DEFAULT_VARIANTS = (
    TEACHER, *PUBLISHED_RATIOS, *(f"{TEACHER}-{kind}=1:0:{kind}" for kind in QUANTISED)
)  # fmt: skip
"""The teacher, the paper's ratios, and the teacher with small weights."""

SIZES = ("layers", "hidden", "heads", "kv_heads", "head_dim", "mlp", "speech_codes",
         "text_vocabulary", "conv_width", "mixer_bias")  # fmt: skip
"""What two decoders share that differ in their layers' kinds alone."""

MAX_STREAMS = 2**20
MAX_CONTEXT = 2**30
"""What is larger is a slip."""

_VARIANT = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<body>[^=]*?)(?::(?P<bits>int\w*))?", re.DOTALL)


@dataclass(frozen=True)
class Variant:
    """One decoder that could be deployed.

    Attributes:
        bits: of the matrices of its layers if they are quantised, else ``None``.
    """

    name: str
    config: DecoderConfig
    bits: int | None = None

    @property
    def n_mamba(self) -> int:
        """Number of its Mamba-2 layers."""
        return len(self.config.mamba)

    @property
    def is_teacher(self) -> bool:
        """Whether it is the decoder that the others were made from, as it is."""
        return not self.n_mamba and self.bits is None

    def weight_bytes(self, element_bytes: int) -> int:
        """All weights, by closed form; ``element_bytes`` is of those that are not quantised."""
        if self.bits is not None:
            return cost.quantized_weight_bytes(self.config, self.bits, element_bytes)
        return cost.parameters(self.config)["total"] * element_bytes


@dataclass(frozen=True)
class Resident:
    """Something else on the card, at its peak, in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Deployment:
    """Where and how a variant would run.

    Attributes:
        streams: requests served at once.
        context: tokens of each that the decoder attends to: prompt, text and speech.
        weight, cache, state, vocoder: types of elements: fp32, fp16, bf16.
        tensorrt: TensorRT execution contexts of the flow decoder.
        reserve: bytes of the card that are left free on purpose.
        latency_s: target for the time to first audio; ``None`` if there is none.
    """

    card: Card
    residents: tuple[Resident, ...]
    streams: int
    context: int
    weight: str = "fp16"
    cache: str = "fp16"
    state: str = "fp16"
    vocoder: str = "fp32"
    tensorrt: int = 0
    reserve: int = 0
    latency_s: float | None = None

    def __post_init__(self) -> None:
        for option, value, most in (
            ("--streams", self.streams, MAX_STREAMS), ("--context", self.context, MAX_CONTEXT),
        ):  # fmt: skip
            if not 1 <= value <= most:
                raise UserError(f"must be from 1 to {most:,}, not {value:,}", where=option)
        if not 0 <= self.tensorrt <= 64:
            raise UserError(f"must be from 0 to 64, not {self.tensorrt}", where="--tensorrt")
        if self.latency_s is not None and not 0 < self.latency_s < math.inf:
            raise UserError(
                f"a target must be a positive number of milliseconds, not {1e3 * self.latency_s:g}",
                where="--latency-ms",
                fix="Write for instance --latency-ms 500, or leave it out.",
            )
        if not 0 <= self.reserve < self.card.low:
            raise UserError(
                f"of {gib(self.card.low)} on {self.card.name} {gib(self.reserve)} can't be left "
                "free: nothing is left for a decoder",
                where="--reserve",
                fix=f"Give a reserve from 0 to less than {gib(self.card.low)}, or a larger card.",
            )
        for name in (self.weight, self.cache, self.state, self.vocoder):
            cost.element_bytes(name)

    @property
    def usable(self) -> int:
        """Bytes that may be taken: the lowest capacity on record, less the reserve."""
        return self.card.low - self.reserve

    def alone(self) -> Deployment:
        """The same without the other residents."""
        return replace(self, residents=())


def same_sizes(one: DecoderConfig, other: DecoderConfig) -> bool:
    """Whether two decoders differ in nothing but which of their layers are Transformer layers."""
    return all(getattr(one, name) == getattr(other, name) for name in SIZES)


def told_shape(config: DecoderConfig) -> str:
    """Sizes of a decoder, for the reader."""
    parameters = cost.parameters(config.with_layout(tuple(range(config.layers))))["total"]
    return f"{config.layers} layers of width {config.hidden}, {parameters / 1e6:,.1f} M parameters"


def parse_variants(
    texts: Sequence[str], profiled: Mapping[str, Variant] | None = None
) -> list[Variant]:
    """Variants as they are written.

    Args:
        texts: each ``NAME[=RATIO[:int8|:int4]]``.
        profiled: profiled systems by name; their names go before those of the published shape.

    Raises:
        UserError: a text is no variant, a name comes twice, or two variants have other sizes.
    """
    found = [_variant(text, profiled or {}) for text in texts]
    names = [variant.name for variant in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two variants are named {name!r}", where="--variant")
    check_one_shape(found)
    return found


def parse_residents(texts: Sequence[str]) -> tuple[Resident, ...]:
    """Neighbours as they are written, ``NAME=SIZE``; UserError for another form."""
    found: list[Resident] = []
    for text in texts:
        name, equals, size = text.partition("=")
        if not equals or not name.strip():
            raise UserError(
                f"{text!r} is no NAME=SIZE", where="--resident", fix="Write for instance llm=22GB."
            )
        if any(one.name == name.strip() for one in found):
            raise UserError(
                f"two residents are named {name.strip()!r}",
                where="--resident",
                fix=f"Name them differently, for instance {name.strip()}-1 and {name.strip()}-2.",
            )
        found.append(Resident(name.strip(), parse_size(size, f"--resident {name.strip()}")))
    return tuple(found)


def check_one_shape(variants: Sequence[Variant]) -> None:
    """Refuse variants of several shapes: what one saves of another says nothing of a ratio."""
    shapes: list[tuple[DecoderConfig, list[str]]] = []
    for variant in variants:
        names = next((names for shape, names in shapes if same_sizes(shape, variant.config)), None)
        if names is None:
            shapes.append((variant.config, [variant.name]))
        else:
            names.append(variant.name)
    if len(shapes) > 1:
        told = "; ".join(f"{', '.join(names)}: {told_shape(shape)}" for shape, names in shapes)
        raise UserError(
            f"the variants have {len(shapes)} shapes ({told})",
            where="--variant",
            fix="Give variants of one shape: names of a run's systems go before ratios and "
            "teacher, which are CosyVoice 2's.",
        )


def _variant(text: str, profiled: Mapping[str, Variant]) -> Variant:
    parts = _VARIANT.fullmatch(text.strip())
    body = parts["body"].strip() if parts else ""
    if parts is None or not body:
        raise UserError(
            f"{text!r} is no variant",
            where="--variant",
            fix="Write a ratio such as 1:3, or NAME=RATIO, with :int8 or :int4 behind it.",
        )
    if parts["bits"] and parts["bits"] not in QUANTISED:
        raise UserError(
            f"{parts['bits']!r} is no way to quantise",
            where=f"--variant {text}",
            fix=f"Known: {', '.join(QUANTISED)}.",
        )
    bits = QUANTISED.get(parts["bits"] or "")
    name = (parts["name"] or f"{body}{'-' + parts['bits'] if parts['bits'] else ''}").strip()
    if body in profiled:
        return Variant(name, profiled[body].config, bits or profiled[body].bits)
    shape = preset(SHAPE)
    if body == TEACHER:
        return Variant(name, shape, bits)
    if ":" not in body:
        systems = f", or a system of --run: {', '.join(profiled)}" if profiled else ""
        raise UserError(
            f"{body!r} is no variant",
            where="--variant",
            fix=f"Write {TEACHER}, a ratio such as 1:3, or {body}=1:3{systems}.",
        )
    return Variant(name, shape.with_layout(transformer_layers(Ratio.parse(body))), bits)
