"""A hybrid from its teacher: Mamba-2 mixers that start from attention's weights.

As in MamTra's Figure 2 and "The Mamba in the Llama" (arXiv 2408.15237): in a converted layer C
starts from q, B from k, x from v, and the output projection from attention's. The gate z, the step
sizes dt, the convolution, A, D and the gated norm have no counterpart and start fresh. All else
(kept layers, MLPs, norms, embeddings, head) is the teacher's.

Two options are ours, not the paper's:

``keep_biases``
    q, k and v have biases in the teacher. The published code gives the mixer's input projection
    none and so loses them; this gives it one and puts them into its rows of C, B and x.
``conv="identity"``
    The convolution starts by passing on the current token (its last tap is 1, all else 0), so that
    C, B and x start as the SiLU of q, k and v before rotation. ``standard`` is Mamba-2's own start.

Fresh values depend on the seed and the layer's index alone: a layer starts alike in every layout.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch
from torch import Tensor

from mamtra_eval.errors import UserError, unknown_name
from mamtra_eval.models import strict
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.mamba2 import Mamba2

CONVOLUTIONS = ("standard", "identity")


def linearize(
    teacher: Decoder,
    layout: tuple[int, ...],
    *,
    keep_biases: bool = False,
    conv: str = "standard",
    seed: int = 0,
) -> Decoder:
    """A hybrid with the teacher's weights; UserError if the teacher has Mamba-2 layers.

    It shares no memory with the teacher and has its device, type of elements and kernels.

    Args:
        teacher: a decoder of Transformer layers alone.
        layout: indices of the layers that stay Transformer layers.
        keep_biases: take over the biases of q, k and v.
        conv: start of the convolution, ``standard`` or ``identity``.
        seed: of the fresh values.
    """
    if conv not in CONVOLUTIONS:
        raise unknown_name("start of the convolution", conv, CONVOLUTIONS)
    if teacher.config.mamba:
        raise UserError(
            f"only a teacher of Transformer layers can be linearized; Mamba-2 layers of this one: "
            f"{', '.join(map(str, teacher.config.mamba))}",
            fix="Give the teacher that it was made from.",
        )
    config = replace(teacher.config.with_layout(layout), mixer_bias=keep_biases)
    weights = teacher.state_dict()
    tensors = {
        name: tensor.clone() for name, tensor in weights.items() if not _is_converted(name, config)
    }
    for index in config.mamba:
        prefix = f"layers.{index}.mixer."
        mixer = _mixer(config, _attention(weights, prefix), conv, _layer_seed(seed, index))
        tensors |= {f"{prefix}{name}": tensor for name, tensor in mixer.items()}
    hybrid = strict.build(config, tensors, "teacher").train(teacher.training)
    hybrid.kernels = teacher.kernels
    return hybrid


def random_hybrid(config: DecoderConfig, seed: int = 0) -> Decoder:
    """A decoder of this shape from a random start, as a control for ``linearize``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Decoder(config)


def _is_converted(name: str, config: DecoderConfig) -> bool:
    parts = name.split(".")
    return parts[0] == "layers" and parts[2] == "mixer" and int(parts[1]) in config.mamba


def _attention(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor.detach()
        for name, tensor in weights.items()
        if name.startswith(prefix)
    }


def _mixer(
    config: DecoderConfig, attention: dict[str, Tensor], conv: str, seed: int
) -> dict[str, Tensor]:
    """The tensors of a Mamba-2 mixer that starts from the ``qkv`` and ``out`` of attention."""
    fresh = _fresh(config, seed, like=attention["out.weight"])
    projections = [config.inner, config.kv_inner, config.kv_inner]
    q, k, v = torch.split(attention["qkv.weight"], projections)
    rows = [config.inner, config.conv_channels, config.heads]
    z, _, dt = torch.split(fresh["in_proj.weight"], rows)
    fresh["in_proj.weight"] = torch.cat([z, v, k, q, dt])  # rows [z, x, B, C, dt]
    if config.mixer_bias:
        q, k, v = torch.split(attention["qkv.bias"], projections)
        fresh["in_proj.bias"] = torch.cat([q.new_zeros(len(z)), v, k, q, q.new_zeros(len(dt))])
    fresh["out_proj.weight"] = attention["out.weight"].clone()
    if conv == "identity":
        fresh["conv_weight"].zero_()
        fresh["conv_weight"][:, -1] = 1
        fresh["conv_bias"].zero_()
    return fresh


def _fresh(config: DecoderConfig, seed: int, like: Tensor) -> dict[str, Tensor]:
    """The tensors of a mixer without bias: drawing one would change what is drawn after it."""
    # Always on the CPU, in float32: a seed means the same numbers on every machine.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        mixer = Mamba2(replace(config, mixer_bias=False))
    return {name: tensor.to(like) for name, tensor in mixer.state_dict().items()}


def _layer_seed(seed: int, index: int) -> int:
    # Hashed, so that layer 1 of seed 0 is not layer 0 of seed 1.
    return int.from_bytes(hashlib.sha256(f"{seed}:{index}".encode()).digest()[:7], "big")
