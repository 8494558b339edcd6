"""Real objects that checks count: caches, modules, and the operations of a pass.

Caches are made and their tensors walked. Modules are made without memory for their weights, on
torch's meta device. Operations are those that ``torch.utils.flop_counter`` sees of the decoder
itself, run on tensors without numbers, with attention in plain products: the counter sees every
matrix product of it, and so counts the whole score matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from mamtra_eval.models.config import DecoderConfig

if TYPE_CHECKING:
    from mamtra_eval.models.decoder import Decoder
    from mamtra_eval.models.kernels import Kernels


class CacheBytes(NamedTuple):
    """Bytes of a cache's tensors."""

    kv: int
    state: int

    @property
    def total(self) -> int:
        """Keys, values and states."""
        return self.kv + self.state


@cache
def cache_bytes(
    config: DecoderConfig, context: int, kv: str = "fp16", state: str | None = None, batch: int = 1
) -> CacheBytes:
    """Make the cache of a batch of sequences and add up its tensors.

    Args:
        config: the decoder's shape.
        context: tokens.
        kv: type of elements of keys and values: fp32, fp16 or bf16.
        state: of Mamba-2 states; by default as ``kv``.
        batch: sequences.
    """
    from mamtra_eval.models.cache import AttentionCache, Cache, dtype

    made = Cache(
        config, batch, context, device="meta", kv_dtype=dtype(kv), state_dtype=dtype(state or kv)
    )
    sums = {True: 0, False: 0}
    for layer in made.layers:
        for tensor in layer:
            sums[isinstance(layer, AttentionCache)] += tensor.numel() * tensor.element_size()
    return CacheBytes(kv=sums[True], state=sums[False])


@cache
def parameters(config: DecoderConfig) -> dict[str, int]:
    """Parameters of the decoder's modules.

    Returns:
        ``total``; ``body``, the layers and the last norm; ``text_embedding``; and of one mixer of
        each kind that there is, ``attention`` and ``mamba``.
    """
    import torch

    from mamtra_eval.models.decoder import Decoder, Layer, parameter_count

    with torch.device("meta"):
        decoder = Decoder(config, "torch")
    counts = {
        "total": parameter_count(decoder),
        "body": parameter_count(decoder.layers) + parameter_count(decoder.norm),
        "text_embedding": config.text_vocabulary * config.hidden,
    }
    for layer in decoder.layers:
        assert isinstance(layer, Layer)
        name = "attention" if layer.is_transformer else "mamba"
        counts.setdefault(name, parameter_count(layer.mixer))
    return counts


def pass_flops(config: DecoderConfig, length: int, *, scan: bool = True) -> int:
    """FLOP that a counter sees of a pass over ``length`` tokens, without the head.

    ``scan=False`` runs the Mamba-2 layers with a scan and a convolution that the counter does not
    see, as is the case with fused kernels.
    """
    return _of_layers(config, lambda layer: _layer_pass(layer, length, scan))


def step_flops(config: DecoderConfig, context: int) -> int:
    """FLOP that a counter sees of one more token, which attends to ``context``; without the head.

    Of a scan's step it sees the products with C, and not what is multiplied number by number.
    It sees the rotation of queries and keys, which a step makes by matrices of P x P; the closed
    form leaves that out.
    """
    return _of_layers(config, lambda layer: _layer_step(layer, context))


def _of_layers(config: DecoderConfig, count: Callable[[DecoderConfig], int]) -> int:
    """The sum over all layers; those of one kind are alike, so one of each is counted."""
    kinds = {(0,): len(config.transformer), (): len(config.mamba)}
    return sum(
        number * count(replace(config, layers=1, transformer=kept))
        for kept, number in kinds.items()
        if number
    )


@cache
def _layer_pass(config: DecoderConfig, length: int, scan: bool) -> int:
    import torch

    def run(decoder: Decoder) -> None:
        if not scan:
            decoder.kernels = _unseen_kernels()
        decoder(torch.zeros(1, length, dtype=torch.int64))

    return _count(config, run) - 2 * length * config.speech_rows * config.hidden


@cache
def _layer_step(config: DecoderConfig, context: int) -> int:
    import torch

    from mamtra_eval.models.cache import Cache
    from mamtra_eval.models.stepping import Stepper

    def run(decoder: Decoder) -> None:
        memory, stepper = Cache(config, 1, context), Stepper(decoder)
        slot = torch.zeros(1, dtype=torch.int64)
        stepper.step(slot, stepper.context(slot, context, memory, masked=False), memory)

    return _count(config, run) - 2 * config.speech_rows * config.hidden


def _count(config: DecoderConfig, run: Callable[[Decoder], None]) -> int:
    """FLOP that a counter sees of what ``run`` does with a decoder of tensors without numbers."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from mamtra_eval.models.decoder import Decoder

    counter = FlopCounterMode(display=False)
    with FakeTensorMode(), torch.inference_mode():
        decoder = Decoder(config, "torch")
        with sdpa_kernel(SDPBackend.MATH), counter:
            run(decoder)
    return int(counter.get_total_flops())


def _unseen_kernels() -> Kernels:
    """Kernels whose convolution and scan give tensors of the right shape and count for nothing."""
    import torch
    from torch import Tensor

    from mamtra_eval.models.kernels import TorchKernels

    class Unseen(TorchKernels):
        def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return torch.empty_like(x)

        def scan(
            self, x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int
        ) -> tuple[Tensor, Tensor]:
            batch, length, heads, size = c.shape
            return x.new_empty(batch, length, heads, size), x.new_empty(batch, heads, size, size)

    return Unseen()
