"""What only a CUDA device can show: the fused kernels, and captured graphs.

The fused scan multiplies in TF32, with 10 bits of mantissa; hence the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mamtra_eval.errors import MissingExtra
from mamtra_eval.models import kernels
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.generate import DecodingConfig, Item, generate, stream
from mamtra_eval.models.kernels import Kernels, TorchKernels
from mamtra_eval.models.sampling import KINDS, SamplerConfig
from mamtra_eval.models.stepping import Stepper

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
DEVICE = "cuda"
TF32 = 5e-3
HEADS, KV_HEADS, SIZE = 14, 2, 64
Make = Callable[..., Decoder]


@pytest.fixture
def fused() -> Kernels:
    """The packages' kernels, if they are here."""
    try:
        return kernels.choose("fused", DEVICE)
    except MissingExtra as error:
        pytest.skip(str(error))


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, device=DEVICE)


def _assert_close(ours: Tensor, theirs: Tensor) -> None:
    """To TF32's precision of the largest value, where that is not next to nothing."""
    assert (ours - theirs).abs().max() <= TF32 * ours.abs().max().clamp_min(1)


def _assert_same_with_gradients(
    compute: Callable[..., tuple[Tensor, ...]], chosen: Kernels, inputs: list[Tensor]
) -> None:
    results = []
    for kernel in (TorchKernels(), chosen):
        leaves = [part.detach().clone().requires_grad_() for part in inputs]
        outputs = compute(kernel, *leaves)
        loss = torch.zeros((), device=DEVICE)
        for out in outputs:
            weight = torch.linspace(-1, 1, out.numel(), device=DEVICE)
            loss = loss + (out.flatten() * weight).sum()
        results.append([*outputs, *torch.autograd.grad(loss, leaves)])
    for ours, theirs in zip(*results, strict=True):
        _assert_close(ours, theirs)


@pytest.mark.parametrize("length", [1, 3, 64, 200])
def test_scan_in_value_and_gradient(fused: Kernels, length: int) -> None:
    torch.manual_seed(0)
    inputs = [
        _random(2, length, KV_HEADS, SIZE), torch.rand(2, length, HEADS, device=DEVICE) * 0.1,
        -torch.rand(HEADS, device=DEVICE) * 8 - 1, _random(2, length, KV_HEADS, SIZE),
        _random(2, length, HEADS, SIZE), _random(HEADS),
    ]  # fmt: skip
    _assert_same_with_gradients(
        lambda kernel, *leaves: kernel.scan(*leaves, chunk=64), fused, inputs
    )


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 1), (1, 50), (2, 7)])
def test_convolution_in_value_and_gradient(fused: Kernels, batch: int, length: int) -> None:
    """x is a slice of a projection whose width no power of two divides."""
    torch.manual_seed(0)
    channels = (HEADS + 2 * KV_HEADS) * SIZE
    inputs = [_random(batch, length, channels + 910), _random(channels, 4), _random(channels)]
    _assert_same_with_gradients(
        lambda kernel, x, w, b: (kernel.convolve(x[..., 896:-14], w, b),), fused, inputs
    )


def test_gated_norm_in_value_and_gradient(fused: Kernels) -> None:
    torch.manual_seed(0)
    width = HEADS * SIZE
    inputs = [_random(2, 9, width), _random(2, 9, width + 30), _random(width)]
    _assert_same_with_gradients(
        lambda kernel, y, z, weight: (kernel.gated_norm(y, z[..., :width], weight, 1e-5, HEADS),),
        fused,
        inputs,
    )


@pytest.mark.parametrize("state", [torch.float32, torch.float16, torch.bfloat16])
def test_a_decoder_on_fused_kernels(
    tiny: DecoderConfig, make_decoder: Make, fused: Kernels, state: torch.dtype
) -> None:
    config = replace(tiny, hidden=896, heads=HEADS, kv_heads=KV_HEADS, head_dim=SIZE, chunk=64)
    decoder = make_decoder(config.with_layout((0, 2))).to(DEVICE)
    following = torch.randint(0, config.vocabulary, (20, 3), device=DEVICE)
    results = []
    for chosen in (TorchKernels(), fused):
        decoder.kernels = chosen
        cache = Cache(decoder.config, 3, 60, device=DEVICE, state_dtype=state)
        with torch.inference_mode():
            logits = [decoder.prefill([[1, 2, 3], [4], [5] * 30], cache)]
            stepper = Stepper(decoder)
            logits += [stepper.advance(ids, cache, masked=True) for ids in following]
        results.append(torch.stack(logits))
    assert (results[0] - results[1]).abs().max() < 0.05 * results[0].std()


@pytest.mark.parametrize("name", ["torch", "fused"])
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_graphs_are_those_of_single_operations(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], kind: str, name: str
) -> None:
    decoder = make_decoder(tiny.with_layout(layout)).to(DEVICE)
    try:
        decoder.use(name)
    except MissingExtra as error:
        pytest.skip(str(error))
    with torch.no_grad():
        decoder.head.bias[list(tiny.stops)] -= 1.0
    # Past the first bucket of 256, and an item that ends long before the others.
    items = [
        Item([1], seed=1, maximum=300), Item([2] * 40, seed=2, minimum=30, maximum=290),
        Item([3] * 7, seed=3, maximum=5), Item([4], maximum=0),
    ]  # fmt: skip
    config = DecodingConfig(SamplerConfig(kind))
    eager = generate(decoder, items, replace(config, graphs=False))
    assert generate(decoder, items, config) == eager
    streamed: list[list[int]] = [[] for _ in items]
    for emitted in stream(decoder, items, config):
        streamed[emitted.item].append(emitted.token)
    assert streamed == [one.tokens for one in eager]
    alone = [generate(decoder, [item], config)[0] for item in items]
    assert alone == eager


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_draws_the_tokens_of_the_cpu(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], kind: str
) -> None:
    decoder = make_decoder(tiny.with_layout(layout))
    items = [Item([seed, 2, 3], seed=seed, maximum=60) for seed in range(5)]
    config = DecodingConfig(SamplerConfig(kind))
    here = generate(decoder.use("torch"), items, config)
    assert generate(decoder.to(DEVICE).use("torch"), items, config) == here
