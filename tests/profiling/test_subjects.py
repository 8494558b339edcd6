"""Which targets can be profiled, and as what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mamtra_eval.errors import UserError
from mamtra_eval.models import checkpoint
from mamtra_eval.models.config import preset
from mamtra_eval.models.decoder import Decoder
from mamtra_eval.profiling import subjects


@pytest.mark.parametrize(
    ("target", "transformer", "bits"),
    [
        ("shape:cosyvoice2", 24, None),
        ("shape:cosyvoice2:1:0", 24, None),
        ("shape:cosyvoice2:1:1", 12, None),
        ("shape:mini:1:5,bits=8", 4, 8),
        ("shape:mini:1:11,bits=4", 2, 4),
    ],
)
def test_shapes(target: str, transformer: int, bits: int | None) -> None:
    found = subjects.parse("x", target)
    assert found.config is not None
    assert (len(found.config.transformer), found.bits) == (transformer, bits)
    assert found.spec is None


def test_layouts_are_the_published_ones() -> None:
    config = subjects.parse("x", "shape:cosyvoice2:1:5").config
    assert config is not None
    assert config.transformer == (0, 8, 11, 16)


@pytest.mark.parametrize(
    ("target", "match"),
    [
        ("shape:minni", "no preset"),
        ("shape:", "no preset"),
        ("shape:mini:2", "ratio"),
        ("shape:mini:1:1,bits=3", "no option"),
        ("shape:mini,int8", "no option"),
        ("nonsense", "no system"),
        ("./no/folder", "no such folder"),
    ],
)
def test_what_is_none(target: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        subjects.parse("x", target)


def test_nothing_to_profile_is_refused() -> None:
    with pytest.raises(UserError, match="nothing to profile"):
        subjects.parse_all([])


def test_random_weights_are_the_same_in_every_process() -> None:
    one, two = (subjects.parse("x", "shape:mini:1:1").decoder("cpu", torch.float32)
                for _ in range(2))  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not any(weight.requires_grad for weight in one.parameters())


def test_weights_have_the_type_that_was_asked_for_and_torch_keeps_its_own() -> None:
    made = subjects.parse("x", "shape:mini").decoder("cpu", torch.bfloat16)
    assert {weight.dtype for weight in made.parameters()} == {torch.bfloat16}
    assert torch.get_default_dtype() is torch.float32


def test_a_member_of_the_family_is_a_decoder_and_a_system() -> None:
    found = subjects.parse("x", "mini:1:1")
    assert found.config is not None
    assert found.spec is not None
    assert len(found.config.transformer) == 12
    loaded = found.decoder("cpu", torch.float32)
    assert loaded.config == found.config


def test_any_other_system_has_no_decoder_to_look_at() -> None:
    found = subjects.parse("x", "espeak")
    assert found.config is None
    assert found.spec is not None


def test_a_checkpoint_of_another_shape_is_a_decoder_alone(tmp_path: Path) -> None:
    config = replace(preset("mini"), layers=4, transformer=(0, 2), speech_codes=50)
    torch.manual_seed(1)
    saved = Decoder(config)
    checkpoint.save(tmp_path / "own", saved, {})
    found = subjects.parse("x", str(tmp_path / "own"))
    assert (found.config, found.spec) == (config, None)
    loaded = found.decoder("cpu", torch.float32)
    assert torch.equal(loaded.embedding.weight, saved.embedding.weight)


def test_a_checkpoint_of_the_family_speaks() -> None:
    folder = subjects.parse("x", "mini:1:1").system().checkpoint()
    found = subjects.parse("x", str(folder))
    assert found.spec is not None
    assert found.config is not None
