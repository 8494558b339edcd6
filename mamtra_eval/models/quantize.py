"""Weight-only quantisation of a decoder: the layers' matrices in 8 or 4 bits.

It answers one question by numbers: what of a saving is left if the weights are small already?
``quantize`` puts a ``QuantizedLinear`` in place of every ``nn.Linear`` of the layers (attention's
qkv and out, the Mamba-2 mixer's in_proj and out_proj, the MLP's gate_up and down). Embeddings,
norms, convolution, dt, A, D, biases and the speech head keep their type, as do the activations and
the cache. Checkpoints hold plain weights; quantise after loading.

Formats
-------
A step is the distance of two neighbouring values; a weight w is stored as q = round(w / step),
half to even, and read as q * step. Both formats are symmetric, with no zero point:

bits 8   q in -127 .. 127, int8 (out, in); one step an output row
bits 4   q in -7 .. 7, two a byte, uint8 (out, ceil(in / 2)), the even column in the low half, both
         in two's complement; one step for every ``GROUP`` = 128 columns of a row, of which the
         last group may have fewer

The step is the largest |w| of its row or group over 127 or 7, as fp16, rounded up: so nothing is
clipped, and no weight moves by more than half a step. Bytes by closed form:
``cost.quantized_weight_bytes``.

What it does not say
--------------------
It saves memory, not time: every product unpacks its matrix first, into the activations' type (in
bf16 that rounds the step too, by up to 2^-9), and forgets it afterwards. So a step here takes
longer than with plain weights, and its peak holds the largest matrix unpacked. What a kernel that
multiplies packed weights (torchao, Marlin, those of GPTQ's authors) does to the time is not
measured by it. Under autograd the unpacked matrices live until the backward pass: decode in
inference mode.

Rounding to nearest is the plain method. GPTQ (arXiv 2210.17323) and AWQ (arXiv 2306.00978) choose
values by calibration data and lose less, above all at 4 bits; nothing here is a claim on the
quality that quantised speech models reach. ``error_of`` tells what the rounding did to a decoder's
next-token distributions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own name for it
from torch import Tensor, nn

from mamtra_eval.errors import UserError
from mamtra_eval.models.cost import GROUP, check_bits
from mamtra_eval.models.decoder import Decoder

LARGEST = 2.0**15
"""Largest |weight| that is taken; with it every product q * step is finite in fp16 too."""

LEVELS = {8: 127, 4: 7}
"""Largest q by bits."""


class QuantizedLinear(nn.Module):
    """A linear map with a packed matrix, in place of ``nn.Linear``.

    Attributes:
        packed: the values q, int8 (out, in) or uint8 (out, ceil(in / 2)).
        scales: the steps, fp16 (out, 1) or (out, ceil(in / GROUP)); ``.to(dtype)`` leaves both.
        bias: the parameter of the plain linear, or ``None``.

    Args:
        linear: what it replaces; its weight is not kept, its bias is.
        bits: 8 or 4.
    """

    packed: Tensor
    scales: Tensor
    bias: nn.Parameter | None

    def __init__(self, linear: nn.Linear, bits: int) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bits = check_bits(bits)
        packed, scales = pack(linear.weight.detach(), bits)
        self.register_buffer("packed", packed)
        self.register_buffer("scales", scales)
        self.register_parameter("bias", linear.bias)
        self.train(linear.training)

    def forward(self, x: Tensor) -> Tensor:
        """``nn.Linear``'s product, (…, in) → (…, out), in the type of ``x``."""
        return F.linear(x, self.unpack(x.dtype), self.bias)

    def unpack(self, dtype: torch.dtype) -> Tensor:
        """The matrix as it is read, (out, in); made anew at every call."""
        scales = self.scales.to(dtype)
        if self.bits == 8:
            return self.packed * scales
        values = unpack_int4(self.packed)
        groups = scales.shape[1]
        if (missing := groups * GROUP - values.shape[1]) > 0:
            values = F.pad(values, (0, missing))
        read = values.view(-1, groups, GROUP) * scales[..., None]
        return read.flatten(1)[:, : self.in_features]

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        has_bias = self.bias is not None
        return f"{self.in_features}, {self.out_features}, bits={self.bits}, bias={has_bias}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # Of a conversion to a type, only the bias takes part: a step rounded to bf16 for good
        # would no longer be the one that the values were rounded with.
        before = {"packed": self.packed, "scales": self.scales}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch has no annotation
        for name, buffer in before.items():
            moved = getattr(self, name)
            if moved.dtype is not buffer.dtype:
                setattr(self, name, buffer.to(moved.device))
        return self


class Difference(NamedTuple):
    """How far next-token distributions are from the original's, over all positions.

    Attributes:
        kl_nats: mean Kullback-Leibler divergence of the second from the first, in nats.
        top1: share of positions at which both have the same most likely token, 0 to 1.
        positions: how many positions that rests on.
    """

    kl_nats: float
    top1: float
    positions: int


@torch.no_grad()
def quantize(decoder: Decoder, bits: int) -> Decoder:
    """Quantise the layers' matrices in place, one after the other, and return the decoder.

    At no time is more than one matrix there in both forms, and its rounding takes some fp32 copies
    of that one. Nothing is changed if the decoder is refused.

    Args:
        decoder: on any device, in any floating type; who else holds its weights keeps them alive.
        bits: 8 or 4.

    Raises:
        UserError: other bits than 8 and 4, a decoder that is quantised already, or a weight that
            is not finite or beyond ``LARGEST``.
    """
    check_bits(bits)
    if any(isinstance(part, QuantizedLinear) for part in decoder.modules()):
        raise UserError(
            "this decoder is quantised already; a second rounding would add to the first",
            fix="Load its plain weights again and quantise those.",
        )
    # Names and owners, not the linears themselves: whoever holds those holds the plain weights.
    places = [
        (path, owner, name)
        for path, owner in decoder.named_modules()
        for name, part in owner.named_children()
        if path.startswith("layers.") and isinstance(part, nn.Linear)
    ]
    for path, owner, name in places:
        _check_range(getattr(owner, name).weight, f"{path}.{name}.weight")
    for _, owner, name in places:
        setattr(owner, name, QuantizedLinear(getattr(owner, name), bits))
    return decoder


def pack(weight: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Values and steps of a finite matrix (out, in), as ``QuantizedLinear`` keeps them."""
    check_bits(bits)
    rows, width = weight.shape
    group = width if bits == 8 else GROUP
    groups = -(-width // group)
    padded = F.pad(weight.float(), (0, groups * group - width)).view(rows, groups, group)
    scales = _round_up(padded.abs().amax(-1) / LEVELS[bits])
    values = (padded / scales.float()[..., None]).round_().to(torch.int8)
    values = values.view(rows, -1)[:, :width]
    return (values.contiguous() if bits == 8 else pack_int4(values)), scales


def pack_int4(values: Tensor) -> Tensor:
    """Values in -8 .. 7, int8 (out, in), two a byte: uint8 (out, ceil(in / 2)), odd ends with 0."""
    even = F.pad(values, (0, values.shape[1] % 2))
    low, high = even[:, ::2], even[:, 1::2]
    return ((low & 15) | (high << 4)).view(torch.uint8)


def unpack_int4(packed: Tensor) -> Tensor:
    """The values again, int8 (out, 2 * bytes)."""
    both = packed.view(torch.int8)
    return torch.stack([(both << 4) >> 4, both >> 4], dim=-1).flatten(1)  # >> keeps the sign


def weight_bytes(module: nn.Module) -> int:
    """Bytes of all parameters and buffers, each tensor once, quantised or plain."""
    return sum(part.nbytes for kind in (module.parameters(), module.buffers()) for part in kind)


@torch.inference_mode()
def error_of(decoder: Decoder, quantized: Decoder, ids: Tensor) -> Difference:
    """What quantisation did to the next-token distributions after every prefix of sequences.

    Args:
        decoder: the original, P.
        quantized: the other, Q; the two may be on different devices and in different types.
        ids: int64 (B, T) without padding, real sequences of the kind that is reported on.

    Returns:
        Mean of KL(P || Q) and agreement of the most likely tokens, over B * T positions.

    Raises:
        UserError: no positions, or decoders of different shapes.
    """
    if decoder.config != quantized.config:
        raise UserError("decoders of different shapes have no quantisation error")
    if ids.ndim != 2 or not ids.numel():
        raise UserError(f"ids must be (B, T) with at least one position, not {tuple(ids.shape)}")
    divergence, agreed = 0.0, 0
    for row in ids[:, None]:  # one sequence at a time bounds the logits in memory
        p, q = (
            model(row.to(model.device)).logits.to("cpu", torch.float64).log_softmax(-1)
            for model in (decoder, quantized)
        )
        divergence += float(F.kl_div(q, p, reduction="sum", log_target=True))
        agreed += int((p.argmax(-1) == q.argmax(-1)).sum())
    return Difference(divergence / ids.numel(), agreed / ids.numel(), ids.numel())


def _round_up(steps: Tensor) -> Tensor:
    """Non-negative float32 as fp16, none of them smaller than it was, none zero."""
    nearest = steps.half()
    # The next fp16 is the next integer of the same bits, subnormals included; 0 becomes 2^-24.
    short = (nearest.float() < steps) | (nearest == 0)
    return (nearest.view(torch.int16) + short).view(torch.float16)


def _check_range(weight: Tensor, name: str) -> None:
    if weight.is_meta:
        return
    largest = float(weight.abs().max())
    if not largest <= LARGEST:  # so that NaN is refused too
        raise UserError(
            f"can't be quantised: its largest weight is {largest:g}, and at most {LARGEST:g} is "
            "taken",
            where=name,
            fix="Check where these weights come from; trained ones are far smaller.",
        )
