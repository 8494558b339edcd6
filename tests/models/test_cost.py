"""Closed forms against published and independently derived figures, and against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamtra_eval.errors import UserError
from mamtra_eval.models import cost
from mamtra_eval.models.breakeven import break_even
from mamtra_eval.models.config import DecoderConfig, preset
from mamtra_eval.models.cost import TOOLS, Convention
from mamtra_eval.models.layout import PUBLISHED_RATIOS, Ratio, transformer_layers

TEACHER = preset("cosyvoice2")

# Worked out from the shapes of CosyVoice 2 and of MambaInLlama's Mamba-2, apart from this code.
# Columns: context, ratio, KV fp16 MB, state fp16 MB, state fp32 MB, KV and state fp16 MB, weights
# fp16 MB, GFLOP a token, TFLOP a causal pass, TFLOP a pass as counting tools see it.
TABLE = """
512 1:0 6.29 0.00 0.00 6.29 1011.6 0.7715 0.3777 0.3890
512 1:1 3.15 1.49 2.97 4.63 1031.3 0.7726 0.3892 0.3877
512 1:3 1.57 2.23 4.46 3.80 1041.2 0.7731 0.3949 0.3871
512 1:5 1.05 2.48 4.96 3.53 1044.4 0.7733 0.3968 0.3869
512 1:11 0.52 2.73 5.45 3.25 1047.7 0.7735 0.3988 0.3867
1024 1:0 12.58 0.00 0.00 12.58 1011.6 0.8155 0.7780 0.8230
1024 1:1 6.29 1.49 2.97 7.78 1031.3 0.7946 0.7897 0.7980
1024 1:3 3.15 2.23 4.46 5.38 1041.2 0.7841 0.7955 0.7854
1024 1:5 2.10 2.48 4.96 4.58 1044.4 0.7807 0.7974 0.7813
1024 1:11 1.05 2.73 5.45 3.77 1047.7 0.7772 0.7994 0.7771
2048 1:0 25.17 0.00 0.00 25.17 1011.6 0.9036 1.6461 1.8264
2048 1:1 12.58 1.49 2.97 14.07 1031.3 0.8386 1.6244 1.6861
2048 1:3 6.29 2.23 4.46 8.52 1041.2 0.8062 1.6135 1.6160
2048 1:5 4.19 2.48 4.96 6.67 1044.4 0.7953 1.6099 1.5926
2048 1:11 2.10 2.73 5.45 4.82 1047.7 0.7845 1.6063 1.5692
4096 1:0 50.33 0.00 0.00 50.33 1011.6 1.0797 3.6531 4.3744
4096 1:1 25.17 1.49 2.97 26.65 1031.3 0.9267 3.4292 3.7330
4096 1:3 12.58 2.23 4.46 14.81 1041.2 0.8502 3.3172 3.4123
4096 1:5 8.39 2.48 4.96 10.87 1044.4 0.8247 3.2799 3.3054
4096 1:11 4.19 2.73 5.45 6.92 1047.7 0.7992 3.2426 3.1985
8192 1:0 100.66 0.00 0.00 100.66 1011.6 1.4321 8.7492 11.6351
8192 1:1 50.33 1.49 2.97 51.82 1031.3 1.1029 7.5799 8.9092
8192 1:3 25.17 2.23 4.46 27.40 1041.2 0.9383 6.9952 7.5462
8192 1:5 16.78 2.48 4.96 19.26 1044.4 0.8834 6.8003 7.0919
8192 1:11 8.39 2.73 5.45 11.11 1047.7 0.8286 6.6054 6.6376
32768 1:0 402.65 0.00 0.00 402.65 1011.6 3.5460 69.63 115.81
32768 1:1 201.33 1.49 2.97 202.81 1031.3 2.1598 47.64 70.27
32768 1:3 100.66 2.23 4.46 102.89 1041.2 1.4668 36.64 47.50
32768 1:5 67.11 2.48 4.96 69.59 1044.4 1.2357 32.97 39.91
32768 1:11 33.55 2.73 5.45 36.28 1047.7 1.0047 29.31 32.32
"""
ROWS = [tuple(line.split()) for line in TABLE.split("\n") if line]

# Cache in MB read off the paper's Figure 5 (vector coordinates of fig5_cache_growth.svg, project
# page at 612f8f4): the Mamba state, then what grows, at each of the lengths.
LENGTHS = (256, 512, 1024, 1536, 2048, 3072, 4096)
FIGURE_5 = {
    "1:1": (2.970, (3.17, 6.34, 12.68, 19.02, 25.36, 38.04, 50.72)),
    "1:3": (4.460, (1.61, 3.22, 6.44, 9.66, 12.88, 19.32, 25.76)),
    "1:5": (4.959, (1.09, 2.18, 4.36, 6.54, 8.72, 13.07, 17.43)),
    "1:11": (5.450, (0.57, 1.14, 2.28, 3.42, 4.55, 6.83, 9.11)),
}


def _model(ratio: str) -> DecoderConfig:
    return TEACHER.with_layout(transformer_layers(Ratio.parse(ratio)))


def _printed(value: float, like: str) -> str:
    """The value with as many decimals as the printed figure."""
    return f"{value:.{len(like.partition('.')[2])}f}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_every_printed_digit(row: tuple[str, ...]) -> None:
    model, context = _model(row[1]), int(row[0])
    keys, state = cost.kv_bytes(model, context, 2), cost.state_bytes(model, 2)
    values = (
        keys / 1e6,
        state / 1e6,
        cost.state_bytes(model, 4) / 1e6,
        (keys + state) / 1e6,
        2 * cost.parameters(model)["total"] / 1e6,
        cost.flops_per_token(model, context) / 1e9,
        cost.flops_per_pass(model, context) / 1e12,
        cost.flops_per_pass(model, context, TOOLS) / 1e12,
    )
    assert tuple(map(_printed, values, row[2:])) == row[2:]


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 30
    assert {len(row) for row in ROWS} == {10}


@pytest.mark.parametrize("ratio", FIGURE_5)
def test_the_authors_cache_is_figure_5(ratio: str) -> None:
    model = _model(ratio)
    state, growing = FIGURE_5[ratio]
    assert cost.state_bytes(model, 4) / 1e6 == pytest.approx(state, rel=0.003)
    for length, bar in zip(LENGTHS, growing, strict=True):
        measured = cost.authors_cache_bytes(model, length)
        grown = (measured - cost.state_bytes(model, 4)) / 1e6
        assert grown == pytest.approx(bar, rel=0.003)
        assert measured / 1e6 == pytest.approx(state + bar, rel=0.003)
        # n_T 1024 L + n_M (247,808 + 8 L), which reproduces every bar.
        layers = len(model.transformer) * 1024 * length, len(model.mamba) * (247808 + 8 * length)
        assert measured == sum(layers)


def test_the_teachers_parameters() -> None:
    # 494,032,768 of Qwen2.5-0.5B (988 MB in bf16) is body and text embedding.
    parts = cost.parameters(TEACHER)
    body = parts["attention"] + parts["mlp"] + parts["norms"]
    assert body == 357_898_112
    assert body + parts["text_embedding"] == 494_032_768
    assert parts["attention"] == 24 * 1_836_160
    assert parts["mlp"] == 24 * 13_074_432
    assert (parts["mamba"], parts["head"]) == (0, 6564 * 897)
    assert parts["total"] == 505_803_812


@pytest.mark.parametrize("ratio", PUBLISHED_RATIOS)
def test_a_mamba_layer_is_larger_by_820_906(ratio: str) -> None:
    model = _model(ratio)
    larger = cost.parameters(model)["total"] - cost.parameters(TEACHER)["total"]
    assert larger == 820_906 * len(model.mamba)
    assert cost.mamba_parameters(model) == 2_657_066
    assert cost.mamba_weights(model) == 2_650_368
    assert cost.attention_weights(model) == 1_835_008


def test_a_mixer_bias_is_as_long_as_its_projection() -> None:
    from dataclasses import replace

    biased = replace(_model("1:1"), mixer_bias=True)
    # in_proj has 2 x 896 + 2 x 128 + 14 outputs.
    assert cost.mamba_parameters(biased) - cost.mamba_parameters(TEACHER) == 2062
    assert cost.flops_per_pass(biased, 7) == cost.flops_per_pass(_model("1:1"), 7)


def test_flop_counters_see_the_same() -> None:
    # torch 2.13 FlopCounterMode with eager attention on 24 layers without head, 2,048 tokens.
    assert cost.flops_per_pass(TEACHER, 2048, TOOLS) == 1_826_434_842_624
    assert _printed(cost.flops_per_token(TEACHER, 2048, TOOLS) / 1e9, "0.8918") == "0.8918"
    # One Mamba-2 layer in the same run: projections 10.856 G, convolution 0.019 G; the scan's
    # 2.358 G holds terms between chunks that the closed form (2.349 G) leaves out.
    bare = 2048 * cost.mamba_pass_flops(TEACHER, TOOLS)
    whole = 2048 * cost.mamba_pass_flops(TEACHER, Convention())
    assert bare / 1e9 == pytest.approx(10.856, abs=5e-4)
    assert (whole - bare) / 1e9 == pytest.approx(0.019 + 2.349, abs=1e-3)
    assert whole / 1e9 == pytest.approx(13.233, rel=0.01)


def test_break_evens_of_the_teachers_shape() -> None:
    same, mixed = break_even(_model("1:1")), break_even(_model("1:1"), state_element=4)
    rounded = {name: round(value or 0) for name, value in same.items()}
    assert rounded == {
        "cache": 242,
        "cache_and_weights": 3449,
        "decode_flops": 538,
        "prefill_flops": 1554,
        "prefill_flops_half_block": 1298,
        "decode_traffic": 484,
    }
    assert (mixed["cache"], mixed["decode_traffic"]) == (484, 968)
    for ratio in PUBLISHED_RATIOS:
        assert break_even(_model(ratio)) == same


def test_break_evens_with_the_authors_dummy_entries() -> None:
    found = break_even(
        _model("1:1"), cache_element=4, weight_element=4, dummy_bytes=cost.DUMMY_BYTES
    )
    assert round(found["cache"] or 0) == 244
    assert round(found["cache_and_weights"] or 0) == 3476


def test_weights_are_shared_by_a_batch_and_absent_from_the_teacher() -> None:
    assert break_even(TEACHER)["cache_and_weights"] is None
    many = break_even(_model("1:1"), batch=10**9)
    assert many["cache_and_weights"] == pytest.approx(many["cache"], abs=0.01)


shapes = st.builds(
    lambda layers, kept, kv, group, size, **sizes: DecoderConfig(
        layers=layers, kv_heads=kv, heads=kv * group, head_dim=2 * size,
        transformer=tuple(i for i in range(layers) if kept >> i & 1), **sizes,
    ),
    layers=st.integers(1, 8), kept=st.integers(0, 255), kv=st.integers(1, 3),
    group=st.integers(1, 3), size=st.integers(1, 8), hidden=st.integers(1, 40),
    mlp=st.integers(1, 40), speech_codes=st.integers(1, 40), text_vocabulary=st.integers(0, 40),
    conv_width=st.integers(1, 5), chunk=st.integers(1, 20), mixer_bias=st.booleans(),
)  # fmt: skip
conventions = st.builds(
    Convention, st.sampled_from(["causal", "full"]), st.booleans(), st.booleans()
)


@given(shapes)
def test_the_total_is_the_sum_of_parts(model: DecoderConfig) -> None:
    parts = cost.parameters(model)
    assert parts.pop("total") == sum(parts.values()) > 0
    assert min(parts.values()) >= 0


@given(shapes, st.integers(1, 50))
def test_a_causal_pass_is_its_tokens_decoded_one_by_one(model: DecoderConfig, length: int) -> None:
    # Without scan the two differ in nothing: attention meets 1, 2, .. L tokens.
    bare = Convention(scan=False, head=False)
    tokens = sum(cost.flops_per_token(model, t, bare) for t in range(1, length + 1))
    assert cost.flops_per_pass(model, length, bare) == tokens


@given(shapes, st.integers(1, 50), conventions)
def test_conventions_only_add(model: DecoderConfig, length: int, counted: Convention) -> None:
    least = cost.flops_per_pass(model, length, Convention(scan=False, head=False))
    found = cost.flops_per_pass(model, length, counted)
    most = cost.flops_per_pass(model, length, Convention(attention="full"))
    assert 0 < least <= found <= most


@given(shapes, st.integers(1, 50), st.sampled_from([2, 4]))
def test_cache_grows_with_context_and_state_does_not(
    model: DecoderConfig, context: int, element: int
) -> None:
    assert cost.kv_bytes(model, 2 * context, element) == 2 * cost.kv_bytes(model, context, element)
    assert (cost.state_bytes(model, element) > 0) == bool(model.mamba)
    assert (cost.kv_bytes(model, context, element) > 0) == bool(model.transformer)


@given(shapes)
def test_break_evens_are_where_both_layers_cost_the_same(model: DecoderConfig) -> None:
    transformer = model.with_layout(tuple(range(model.layers)))
    mamba = model.with_layout(())
    found = break_even(mamba)
    below, above = int(found["cache"] or 0), int(found["cache"] or 0) + 1
    assert cost.kv_bytes(transformer, above) >= cost.state_bytes(mamba)
    assert below < 1 or cost.kv_bytes(transformer, below) <= cost.state_bytes(mamba)
    flip = int(found["prefill_flops"] or 0)
    later = cost.flops_per_pass(transformer, flip + 1) - cost.flops_per_pass(mamba, flip + 1)
    assert later >= 0
    assert flip < 1 or cost.flops_per_pass(transformer, flip) <= cost.flops_per_pass(mamba, flip)


def test_a_layer_whose_dummies_outgrow_keys_never_pays() -> None:
    assert break_even(TEACHER, dummy_bytes=512)["cache"] is None


def test_nonsense_is_refused() -> None:
    for count in (cost.flops_per_token, cost.flops_per_pass, cost.kv_bytes):
        with pytest.raises(UserError, match="at least one token, not 0"):
            count(TEACHER, 0)
    with pytest.raises(UserError, match="no way to count attention named 'half'"):
        Convention(attention="half")
    with pytest.raises(UserError, match=r"no type of elements named 'fp8'\. Did you mean fp"):
        cost.element_bytes("fp8")


def test_quantised_weights_of_the_published_shapes() -> None:
    # By hand: a Transformer layer of the teacher has matrices of 1152 x 896, 896 x 896,
    # 9728 x 896 and 896 x 4864, so 12,672 rows; at 4 bits 896 columns are 7 groups, 4864 are 38.
    elements = 896 * (1152 + 896 + 9728 + 4864)
    eight = elements + 2 * (1152 + 896 + 9728 + 896)
    four = elements // 2 + 2 * (7 * (1152 + 896 + 9728) + 38 * 896)
    plain = cost.parameters(TEACHER)["total"] - 24 * elements
    assert cost.quantized_weight_bytes(TEACHER, 8) == 24 * eight + 2 * plain
    assert cost.quantized_weight_bytes(TEACHER, 4) == 24 * four + 2 * plain
    # A Mamba-2 mixer in place of attention: 2062 x 896 instead of 1152 x 896, and in 16 bits the
    # convolution, dt, A, D and gated norm instead of biases.
    small = 2 * (cost.mamba_parameters(_model("1:1")) - 896 * (2062 + 896) - 1152)
    grown = cost.quantized_weight_bytes(_model("1:1"), 8) - cost.quantized_weight_bytes(TEACHER, 8)
    assert grown == 12 * ((2062 - 1152) * (896 + 2) + small)


@given(shapes, st.sampled_from([2, 4]))
def test_quantised_weights_shrink_by_what_is_packed(model: DecoderConfig, element: int) -> None:
    total = cost.parameters(model)["total"]
    eight, four = (cost.quantized_weight_bytes(model, bits, element) for bits in (8, 4))
    wider = cost.quantized_weight_bytes(model, 8, element + 1) - eight  # what is not packed
    matrices = total - wider
    assert eight >= wider * element + matrices
    assert four >= wider * element + matrices / 2
    assert matrices == (
        len(model.transformer) * cost.attention_weights(model)
        + len(model.mamba) * cost.mamba_weights(model)
        + model.layers * 3 * model.hidden * model.mlp
    )


def test_quantised_matrices_by_hand() -> None:
    assert cost.quantized_matrix_bytes(3, 129, 8) == 3 * (129 + 2)
    assert cost.quantized_matrix_bytes(3, 129, 4) == 3 * (65 + 2 * 2)
    with pytest.raises(UserError, match="4 or 8 bits, not to 3"):
        cost.quantized_weight_bytes(TEACHER, 3)
