"""Packed weights: what rounding may do to them, how many bytes they are, and that they decode."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from meta_only import MetaOnly
from torch import Tensor, nn

from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.cache import Cache
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.models.graphs import StaticStep
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio, transformer_layers
from mamtra_eval.models.quantize import (
    LEVELS,
    QuantizedLinear,
    error_of,
    pack_int4,
    quantize,
    unpack_int4,
    weight_bytes,
)
from mamtra_eval.models.sampling import Sampler, SamplerConfig
from mamtra_eval.models.stepping import Stepper

Make = Callable[..., Decoder]
BITS = (8, 4)
LENGTH = 20


def _linear(weight: Tensor, bias: bool = False) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    with torch.no_grad():
        linear.weight.copy_(weight)
    return linear


def _ids(config: DecoderConfig, rows: int = 3, length: int = LENGTH) -> Tensor:
    return torch.randint(0, config.vocabulary, (rows, length))


@pytest.mark.parametrize("bits", BITS)
@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 4), columns=st.one_of(st.integers(1, 40), st.integers(126, 260)),
    power=st.integers(-7, 4), spread=st.integers(0, 5), seed=st.integers(0, 999),
)  # fmt: skip
def test_no_weight_moves_by_more_than_half_a_step(
    bits: int, rows: int, columns: int, power: int, spread: int, seed: int
) -> None:
    """At any size of weights, with steps down to fp16's subnormals, and in groups cut short."""
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=draw).clamp(-3, 3) * 10.0**power
    weight *= 10.0 ** -(spread * torch.rand(rows, columns, generator=draw))
    weight[torch.rand(rows, columns, generator=draw) < 0.2] = 0
    packed = QuantizedLinear(_linear(weight), bits)
    group = columns if bits == 8 else cost.GROUP
    assert packed.scales.shape == (rows, math.ceil(columns / group))
    for first in range(0, columns, group):
        part, step = weight[:, first : first + group], packed.scales[:, first // group, None]
        moved = (packed.unpack(torch.float32)[:, first : first + group] - part).abs()
        assert (moved <= 0.5001 * step.float()).all()
        # And the step is no larger than the format and fp16 ask for.
        largest = part.abs().amax(1, keepdim=True) / LEVELS[bits]
        assert (step.double() <= largest.double() * (1 + 2**-10) + 2**-24).all()


def test_rounding_by_hand() -> None:
    row = torch.tensor([[-1.27, 0.644, 0.005, 0.0, 0.0149], [0.0, 0.0, 0.0, 0.0, 0.0]])
    packed = QuantizedLinear(_linear(row), 8)
    assert packed.packed.tolist() == [[-127, 64, 0, 0, 1], [0, 0, 0, 0, 0]]
    assert packed.scales[0].item() == pytest.approx(0.01, rel=1e-3)
    assert packed.scales[1].item() == 2**-24  # of nothing but zeros: not zero, by which one divides
    assert packed.unpack(torch.float32)[1].tolist() == [0.0] * 5
    packed = QuantizedLinear(_linear(torch.tensor([[-7.0, 7.0, 3.4, -0.6, 1.0]])), 4)
    assert packed.scales.item() == 1.0
    # 9 and 7, 3 and 15 (-1), 1 and nothing: the even column is the low half of a byte.
    assert packed.packed.tolist() == [[0x79, 0xF3, 0x01]]
    assert packed.unpack(torch.float32).tolist() == [[-7.0, 7.0, 3.0, -1.0, 1.0]]


def test_every_pair_of_4_bits_comes_back() -> None:
    values = torch.arange(-8, 8, dtype=torch.int8)
    pairs = torch.cartesian_prod(values, values)
    packed = pack_int4(pairs)
    assert packed.dtype is torch.uint8
    assert len(set(packed.flatten().tolist())) == 256
    assert torch.equal(unpack_int4(packed), pairs)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_multiplies_as_a_linear_of_the_unpacked_weights(bits: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(150, 7).to(dtype)
    bias = plain.bias
    packed = QuantizedLinear(plain, bits)
    assert packed.bias is bias
    plain.weight = nn.Parameter(packed.unpack(dtype))
    x = torch.randn(2, 5, 150, dtype=dtype)
    torch.testing.assert_close(packed(x), plain(x))


@pytest.mark.parametrize("bits", BITS)
def test_only_the_layers_matrices_change(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], bits: int
) -> None:
    decoder = make_decoder(tiny.with_layout(layout))
    before = decoder.state_dict()
    assert quantize(decoder, bits) is decoder
    after = decoder.state_dict()
    packed = {name.removesuffix(".packed") for name in after if name.endswith(".packed")}
    ends = {"mixer.qkv", "mixer.out", "mixer.in_proj", "mixer.out_proj", "mlp.gate_up", "mlp.down"}
    expected = {
        name.removesuffix(".weight")
        for name in before
        if any(name.endswith(f"{end}.weight") for end in ends)
    }
    assert packed == expected
    assert len(packed) == 4 * tiny.layers
    for name in before.keys() & after.keys():
        assert after[name].data_ptr() == before[name].data_ptr()
    kept = {name for name in before if name.removesuffix(".weight") not in packed}
    assert kept == before.keys() & after.keys()


@pytest.mark.parametrize("bits", BITS)
def test_one_matrix_at_a_time(
    tiny: DecoderConfig, make_decoder: Make, monkeypatch: pytest.MonkeyPatch, bits: int
) -> None:
    """When a matrix is packed, those that were packed before it have let go of their weights."""
    decoder = make_decoder(tiny.with_layout((1,)))
    plain = [
        weakref.ref(part.weight) for part in decoder.layers.modules() if isinstance(part, nn.Linear)
    ]
    alive = []
    begin = QuantizedLinear.__init__

    def counted(self: QuantizedLinear, linear: nn.Linear, bits: int) -> None:
        alive.append(sum(weight() is not None for weight in plain))
        begin(self, linear, bits)

    monkeypatch.setattr(QuantizedLinear, "__init__", counted)
    quantize(decoder, bits)
    assert alive == list(range(4 * tiny.layers, 0, -1))
    assert not any(weight() is not None for weight in plain)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("ratio", ["1:0", *PUBLISHED_RATIOS])
def test_bytes_are_the_closed_form(ratio: str, bits: int) -> None:
    """At widths that are no multiple of a group, nor even, and at those of CosyVoice 2."""
    layout = transformer_layers(Ratio.parse(ratio))
    small = DecoderConfig(
        layers=24, hidden=35, heads=3, kv_heads=3, head_dim=50, mlp=131, speech_codes=5,
        text_vocabulary=3, transformer=layout, mixer_bias=True,
    )  # fmt: skip
    plain = Decoder(small)
    assert weight_bytes(plain) == 4 * cost.parameters(small)["total"]
    quantize(plain, bits)
    assert weight_bytes(plain) == cost.quantized_weight_bytes(small, bits, 4)
    assert weight_bytes(plain.to(torch.bfloat16)) == cost.quantized_weight_bytes(small, bits, 2)

    large = preset("cosyvoice2").with_layout(layout)
    with torch.device("meta"):
        decoder = Decoder(large).to(torch.float16)
        assert weight_bytes(decoder) == 2 * cost.parameters(large)["total"]
        quantize(decoder, bits)
    assert weight_bytes(decoder) == cost.quantized_weight_bytes(large, bits, 2)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("split", [1, 8, LENGTH])
def test_prefill_and_steps_are_the_whole_pass(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], bits: int, split: int
) -> None:
    config = replace(tiny.with_layout(layout), mixer_bias=True)
    decoder = quantize(make_decoder(config), bits)
    ids = _ids(config)
    cache = Cache(config, len(ids), LENGTH)
    with torch.inference_mode():
        whole = decoder(ids).logits
        logits = [decoder.prefill(ids[:, :split].tolist(), cache)]
        stepper = Stepper(decoder)
        for t in range(split, LENGTH):
            logits.append(stepper.advance(ids[:, t], cache, masked=False))
    torch.testing.assert_close(
        torch.stack(logits, dim=1), whole[:, split - 1 :], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("bits", BITS)
def test_a_stepper_keeps_no_unpacked_matrix(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], bits: int
) -> None:
    """Changing the steps in place changes the next token's logits: it reads them every time."""
    config = tiny.with_layout(layout)
    decoder = quantize(make_decoder(config), bits)
    stepper, ids = Stepper(decoder), torch.zeros(1, dtype=torch.int64)

    def logits(chosen: Stepper) -> Tensor:
        cache = Cache(config, 1, 4)
        with torch.inference_mode():
            decoder.prefill([[3]], cache)
            return chosen.advance(ids, cache, masked=False)

    packed = [part for part in decoder.modules() if isinstance(part, QuantizedLinear)]
    before = logits(stepper)
    for part in packed:
        part.scales *= 1.5
        assert not torch.allclose(logits(stepper), before)
        assert torch.equal(logits(stepper), logits(Stepper(decoder)))
        before = logits(stepper)


@pytest.mark.parametrize("bits", BITS)
def test_a_step_waits_for_no_value(tiny: DecoderConfig, layout: tuple[int, ...], bits: int) -> None:
    """So that a CUDA graph can hold it."""
    with torch.device("meta"):
        decoder = Decoder(tiny.with_layout(layout))
        plain = StaticStep(decoder, *_batch(decoder, "meta"))
        operations = _operations(plain)
        quantize(decoder, bits)
    packed = StaticStep(decoder, *_batch(decoder, "meta"))
    assert _operations(packed) > operations + 4 * tiny.layers


def _batch(decoder: Decoder, device: str) -> tuple[Cache, Sampler]:
    cache = Cache(decoder.config, 2, 40, device=device)
    return cache, Sampler(SamplerConfig("top-p"), [1, 2], [0, 0], 30, decoder.config.eos, device)


def _operations(step: StaticStep) -> int:
    """Of one step, none of which touches a value."""
    with torch.inference_mode():
        step.run(16)  # makes the table of rotations, as a warm-up does
        with MetaOnly() as watched:
            step.run(16)
    return watched.operations


@pytest.mark.parametrize("bits", BITS)
def test_the_captured_step_draws_what_plain_decoding_draws(
    tiny: DecoderConfig, make_decoder: Make, bits: int
) -> None:
    config = tiny.with_layout((0, 2))
    decoder = quantize(make_decoder(config), bits)
    drawn = []
    for static in (False, True):
        cache, sampler = _batch(decoder, "cpu")
        with torch.inference_mode():
            last = sampler.draw(decoder.prefill([[5], [1, 2, 3]], cache))
            tokens = [last.tolist()]
            stepper, step = Stepper(decoder), StaticStep(decoder, cache, sampler)
            step.ids.copy_(last)
            for _ in range(20):
                if static:
                    step.run(window=40)
                else:
                    last = sampler.draw(stepper.advance(last, cache, masked=True))
                tokens.append(step.ids.tolist() if static else last.tolist())
        drawn.append(tokens)
    assert drawn[0] == drawn[1]
    assert len(set(map(tuple, drawn[0]))) > 5


@pytest.mark.parametrize("bits", BITS)
def test_a_state_dict_goes_and_comes(
    tiny: DecoderConfig, make_decoder: Make, layout: tuple[int, ...], bits: int
) -> None:
    config = tiny.with_layout(layout)
    ours = quantize(make_decoder(config), bits)
    theirs = quantize(make_decoder(config, seed=1), bits)
    ids = _ids(config)
    assert error_of(ours, theirs, ids).kl_nats > 0.01
    theirs.load_state_dict(ours.state_dict())
    assert error_of(ours, theirs, ids).kl_nats == 0
    for name, tensor in ours.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], tensor)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_conversion_leaves_packed_weights_alone(
    tiny: DecoderConfig, make_decoder: Make, bits: int, dtype: torch.dtype
) -> None:
    decoder = quantize(make_decoder(tiny.with_layout((0, 2))), bits)
    before = {name: buffer.clone() for name, buffer in decoder.named_buffers()}
    decoder.to(dtype).type(dtype)
    assert {weight.dtype for weight in decoder.parameters()} == {dtype}
    assert len(before) == 8 * tiny.layers
    for name, buffer in decoder.named_buffers():
        integers = torch.int8 if bits == 8 else torch.uint8
        assert buffer.dtype is (torch.float16 if name.endswith("scales") else integers)
        assert torch.equal(buffer, before[name])
        assert buffer.any()
    # There and back changes nothing of them, and a device is still followed.
    moved = decoder.to("meta").named_buffers()
    assert all(buffer.is_meta for _, buffer in moved)


@pytest.mark.parametrize("bits", BITS)
def test_half_precision_decodes_like_single(
    tiny: DecoderConfig, make_decoder: Make, bits: int
) -> None:
    config = tiny.with_layout((0, 2))
    single = quantize(make_decoder(config), bits)
    half = quantize(make_decoder(config), bits).to(torch.bfloat16)
    found = error_of(single, half, _ids(config, 4))
    assert found.kl_nats < 0.01
    assert found.top1 > 0.8


def test_the_error_is_what_the_definition_says(tiny: DecoderConfig, make_decoder: Make) -> None:
    config = tiny.with_layout((0, 2))
    ids = _ids(config)
    plain = make_decoder(config)
    same = error_of(plain, make_decoder(config), ids)
    assert same == (0.0, 1.0, 3 * LENGTH)
    found = {}
    for bits in BITS:
        packed = quantize(make_decoder(config), bits)
        found[bits] = error_of(plain, packed, ids)
        with torch.no_grad():
            p, q = (model(ids).logits.double().softmax(-1) for model in (plain, packed))
        direct = (p * (p / q).log()).sum(-1).mean().item()
        assert found[bits].kl_nats == pytest.approx(direct, rel=1e-6, abs=1e-9)
        agreed = (p.argmax(-1) == q.argmax(-1)).double().mean().item()
        assert found[bits].top1 == pytest.approx(agreed)
    assert 0 < found[8].kl_nats < 0.05 * found[4].kl_nats
    assert found[8].top1 >= found[4].top1


def test_what_is_refused(tiny: DecoderConfig, make_decoder: Make) -> None:
    config = tiny.with_layout((0, 2))
    decoder = quantize(make_decoder(config), 8)
    for bits in BITS:
        with pytest.raises(UserError, match=r"quantised already.*Load its plain weights"):
            quantize(decoder, bits)
    for wrong in (2, 16, 0, 4.0, True, "8"):
        with pytest.raises(UserError, match="4 or 8 bits, not to"):
            quantize(make_decoder(config), wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="different shapes"):
        error_of(decoder, make_decoder(tiny), _ids(config))
    for ids in (torch.zeros(0, 3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)):
        with pytest.raises(UserError, match=r"must be \(B, T\)"):
            error_of(decoder, decoder, ids)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 4e4])
def test_weights_that_can_not_be_rounded(
    tiny: DecoderConfig, make_decoder: Make, value: float
) -> None:
    """Nothing is half done then: the decoder is as it was."""
    decoder = make_decoder(tiny.with_layout((0, 2)))
    with torch.no_grad():
        decoder.get_parameter("layers.3.mlp.down.weight")[1, 2] = value
    with pytest.raises(UserError, match=r"layers\.3\.mlp\.down\.weight: can't be quantised"):
        quantize(decoder, 4)
    assert not any(isinstance(part, QuantizedLinear) for part in decoder.modules())
