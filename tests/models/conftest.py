"""Small decoders with weights of every kind, and the layouts that they are tested at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mamtra_eval.models.config import DecoderConfig
from mamtra_eval.models.decoder import Decoder

LAYOUTS = {"teacher": (0, 1, 2, 3), "1:1": (0, 2), "1:3": (0,), "mamba": ()}

MakeDecoder = Callable[..., Decoder]


@pytest.fixture
def tiny() -> DecoderConfig:
    """Four layers of width 64, all Transformer layers; its chunks are short."""
    return DecoderConfig(
        layers=4, hidden=64, heads=4, kv_heads=2, head_dim=16, mlp=96,
        speech_codes=40, text_vocabulary=20, transformer=LAYOUTS["teacher"], chunk=8,
    )  # fmt: skip


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> tuple[int, ...]:
    """Transformer layers: all of them, every other, the first, none."""
    return LAYOUTS[request.param]


@pytest.fixture
def make_decoder() -> MakeDecoder:
    """A decoder of a shape whose every weight is random: no bias is 0 and no scale is 1."""

    def make(config: DecoderConfig, seed: int = 0) -> Decoder:
        torch.manual_seed(seed)
        decoder = Decoder(config).eval()
        with torch.no_grad():
            for name, weight in decoder.named_parameters():
                if "norm" in name or name.endswith(".D"):
                    weight.uniform_(0.5, 1.5)
                elif name.endswith("bias") and "dt_bias" not in name:
                    weight.normal_(std=0.2)
                elif name.endswith("embedding.weight"):
                    weight.normal_()
                elif name.endswith("head.weight"):
                    weight.normal_(std=0.2)
        return decoder

    return make
