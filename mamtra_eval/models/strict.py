"""Weights into decoders, strictly: every tensor there, none too many, each of its shape, finite.

What is wrong is collected and told at once, in one ``UserError``. A decoder is built around the
tensors that it gets; nothing is initialised first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mamtra_eval.errors import UserError
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder

TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

LISTED = 10
"""Problems of one kind that an error names; the others are counted."""


def differences(
    expected: Mapping[str, Sequence[int]],
    found: Mapping[str, Tensor],
    optional: Sequence[str] = (),
) -> str:
    """All missing, unexpected and misshapen tensors in words, empty if there are none.

    Args:
        expected: shape by name.
        found: the tensors, which must be dense and of one of ``TYPES``.
        optional: names of ``expected`` that may be absent.
    """
    shared = [name for name in expected if name in found]
    kinds = {
        "missing": [n for n in expected if n not in found and n not in optional],
        "unexpected": [name for name in found if name not in expected],
        "misshapen": [
            f"{name} {_shape(found[name].shape)} instead of {_shape(expected[name])}"
            for name in shared
            if tuple(found[name].shape) != tuple(expected[name])
        ],
        "not of a known type (dense fp16, bf16, fp32 or fp64)": [
            name for name in shared if not _is_plain(found[name])
        ],
    }
    return "; ".join(f"{kind}: {shortened(names)}" for kind, names in kinds.items() if names)


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """UserError with all tensors that hold an infinity or NaN, if there are any."""
    bad = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if bad:
        raise UserError(
            f"weights are not finite: {shortened(bad)}",
            where=where,
            fix="They come from a training that diverged, or from a type too narrow for them.",
        )


def build(config: DecoderConfig, tensors: Mapping[str, Tensor], where: str) -> Decoder:
    """A decoder that holds these very tensors, on the torch kernels, in evaluation mode.

    UserError if they are not exactly those of the configuration, or not finite.
    """
    decoder = _empty(config)
    expected = {name: tensor.shape for name, tensor in decoder.state_dict().items()}
    if wrong := differences(expected, tensors):
        raise UserError(
            f"the weights are not those of the configuration; {wrong}",
            where=where,
            fix="Put the configuration and the weights of one and the same decoder together.",
        )
    check_finite(tensors, where)
    decoder.load_state_dict(dict(tensors), assign=True)
    return decoder.eval()


def shortened(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    listed = ", ".join(names[:LISTED])
    return listed if len(names) <= LISTED else f"{listed} and {len(names) - LISTED} more"


def _empty(config: DecoderConfig) -> Decoder:
    # On the meta device tensors have shapes and no numbers. The table of rotary positions, no part
    # of the weights, starts empty and is made on the device of the first positions asked for.
    with torch.device("meta"):
        return Decoder(config, kernels="torch")


def _is_plain(tensor: Tensor) -> bool:
    return tensor.dtype in TYPES and tensor.layout is torch.strided and not tensor.is_meta


def _is_finite(tensor: Tensor) -> bool:
    # The extremes carry NaN and infinity along and need no second tensor of this size.
    low, high = tensor.detach().aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"
