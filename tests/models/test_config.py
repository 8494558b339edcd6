"""Shapes of decoders: derived sizes, plain values and back, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from mamtra_eval.errors import UserError
from mamtra_eval.models.config import PRESETS, DecoderConfig, from_dict, preset


def test_sizes_of_cosyvoice2() -> None:
    """The body of Qwen2.5-0.5B: 24 layers of width 896, 14 heads of 64 on 2 key heads."""
    config = preset("cosyvoice2")
    assert (config.inner, config.kv_inner, config.conv_channels) == (896, 128, 1152)
    hybrid = config.with_layout((0, 16))
    assert hybrid.transformer == (0, 16)
    assert hybrid.mamba == tuple(i for i in range(24) if i not in (0, 16))
    assert config.mamba == ()


@pytest.mark.parametrize("name", PRESETS)
def test_plain_values_make_the_same_shape(name: str) -> None:
    config = preset(name).with_layout((0, 8))
    assert from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layers": 0}, "layers of a decoder must be an integer from 1"),
        ({"hidden": 1.5}, "hidden of a decoder must be an integer from 1"),
        ({"chunk": True}, "chunk of a decoder"),
        ({"heads": 3}, "3 heads can't share 2 kv_heads"),
        ({"head_dim": 7}, "must be even"),
        ({"text_vocabulary": -1}, "must be an integer from 0"),
        ({"transformer": [1, 0]}, "ascending indices from 0 to 3"),
        ({"transformer": [0, 0]}, "each once"),
        ({"transformer": [4]}, r"\[4\] is no set of layers of 4"),
        ({"transformer": "x"}, "not the shape of a decoder"),
        ({"rope_theta": "x"}, "not the shape of a decoder"),
        ({"kv_head": 2}, "no field of decoder named 'kv_head'. Did you mean kv_heads"),
    ],
)
def test_what_is_no_shape(tiny: DecoderConfig, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_dict({**tiny.to_dict(), **changes})


def test_missing_values_and_unknown_presets_are_named(tiny: DecoderConfig) -> None:
    values = tiny.to_dict()
    del values["mlp"]
    with pytest.raises(UserError, match="mlp"):
        from_dict(values)
    with pytest.raises(UserError, match=r"named 'cosyvoice'\. Did you mean cosyvoice2"):
        preset("cosyvoice")
