"""A hybrid's start: what comes from the teacher, what is fresh, and that the seed decides it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.distill.linearize import linearize, random_hybrid
from mamtra_eval.errors import UserError
from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder

CONFIG = DecoderConfig(
    layers=4, hidden=24, heads=4, kv_heads=2, head_dim=8, mlp=32,
    speech_codes=20, text_vocabulary=10, transformer=(0, 1, 2, 3), chunk=8,
)  # fmt: skip
INNER, KV = CONFIG.inner, CONFIG.kv_inner
IDS = torch.tensor([[23, 3, 9, 24, 1, 2, 5]])


@pytest.fixture(scope="module")
def teacher() -> Decoder:
    return random_hybrid(CONFIG, seed=3)


def test_rows_of_the_input_projection_are_v_k_and_q(teacher: Decoder) -> None:
    hybrid = linearize(teacher, (0, 2))
    for index in (1, 3):
        attention = teacher.layers[index].mixer
        mixer = hybrid.layers[index].mixer
        q = attention.qkv.weight[:INNER]
        k = attention.qkv.weight[INNER : INNER + KV]
        v = attention.qkv.weight[INNER + KV :]
        rows = mixer.in_proj.weight  # z, x, B, C, dt
        assert torch.equal(rows[INNER : INNER + KV], v)
        assert torch.equal(rows[INNER + KV : INNER + 2 * KV], k)
        assert torch.equal(rows[INNER + 2 * KV : 2 * INNER + 2 * KV], q)
        assert len(rows) == 2 * INNER + 2 * KV + CONFIG.heads
        assert torch.equal(mixer.out_proj.weight, attention.out.weight)
        assert mixer.in_proj.bias is None


@settings(deadline=None, max_examples=15)
@given(st.sets(st.integers(0, 3)))
def test_all_that_is_not_a_converted_mixer_is_the_teachers(kept: set[int]) -> None:
    teacher = random_hybrid(CONFIG, seed=3)
    hybrid = linearize(teacher, tuple(sorted(kept)))
    assert hybrid.config == CONFIG.with_layout(tuple(sorted(kept)))
    theirs = teacher.state_dict()
    for name, tensor in hybrid.state_dict().items():
        parts = name.split(".")
        if parts[0] == "layers" and parts[2] == "mixer" and int(parts[1]) not in kept:
            continue
        assert torch.equal(tensor, theirs[name]), name
    assert hybrid(IDS).logits.isfinite().all()


def test_a_teacher_with_all_layers_kept_is_a_copy(teacher: Decoder) -> None:
    copy = linearize(teacher, CONFIG.transformer)
    assert torch.equal(copy(IDS).logits, teacher(IDS).logits)
    ours = {tensor.data_ptr() for tensor in copy.state_dict().values()}
    assert not ours & {tensor.data_ptr() for tensor in teacher.state_dict().values()}


def test_a_hybrid_shares_no_memory_with_its_teacher(teacher: Decoder) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    hybrid = linearize(teacher, (0,), keep_biases=True)
    with torch.no_grad():
        for parameter in hybrid.parameters():
            assert parameter.requires_grad
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())


def test_keeping_biases_changes_nothing_but_the_bias(teacher: Decoder) -> None:
    plain, kept = linearize(teacher, (0,)), linearize(teacher, (0,), keep_biases=True)
    assert kept.config.mixer_bias
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, kept.state_dict()[name]), name
    for index in (1, 2, 3):
        q, k, v = torch.split(teacher.layers[index].mixer.qkv.bias, [INNER, KV, KV])
        wanted = torch.cat([torch.zeros(INNER), v, k, q, torch.zeros(CONFIG.heads)])
        assert torch.equal(kept.layers[index].mixer.in_proj.bias, wanted)


def test_an_identity_convolution_passes_the_current_token(teacher: Decoder) -> None:
    mixer = linearize(teacher, (0,), conv="identity").layers[1].mixer
    x = torch.randn(1, 5, CONFIG.conv_channels)
    passed = teacher.kernels.convolve(x, mixer.conv_weight, mixer.conv_bias)
    torch.testing.assert_close(passed, torch.nn.functional.silu(x))


def test_fresh_values_depend_on_seed_and_layer_alone(teacher: Decoder) -> None:
    one, other = linearize(teacher, (0, 1)), linearize(teacher, (0,), seed=0)
    for name, tensor in one.layers[2].state_dict().items():
        assert torch.equal(tensor, other.layers[2].state_dict()[name]), name
    assert not torch.equal(one.layers[2].mixer.A_log, one.layers[3].mixer.A_log)
    for seed in (1, 2):
        again = linearize(teacher, (0, 1), seed=seed)
        assert not torch.equal(one.layers[2].mixer.A_log, again.layers[2].mixer.A_log)
        assert not torch.equal(one.layers[3].mixer.A_log, again.layers[2].mixer.A_log)


def test_the_random_state_of_the_process_is_left_alone(teacher: Decoder) -> None:
    before = torch.get_rng_state()
    linearize(teacher, (0,))
    random_hybrid(CONFIG, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_type_of_elements_and_mode_are_the_teachers() -> None:
    teacher = random_hybrid(CONFIG).eval().to(torch.bfloat16)
    hybrid = linearize(teacher, (0,))
    assert {parameter.dtype for parameter in hybrid.parameters()} == {torch.bfloat16}
    assert not hybrid.training
    assert hybrid.kernels is teacher.kernels


def test_a_random_hybrid_follows_its_seed() -> None:
    shape = CONFIG.with_layout((0,))
    one, same, other = (random_hybrid(shape, seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_what_cannot_be_linearized_is_refused(teacher: Decoder) -> None:
    with pytest.raises(UserError, match="Mamba-2 layers of this one: 1, 3"):
        linearize(linearize(teacher, (0, 2)), (0,))
    with pytest.raises(UserError, match="no set of layers"):
        linearize(teacher, (4,))
    with pytest.raises(UserError, match="identity, standard"):
        linearize(teacher, (0,), conv="none")
