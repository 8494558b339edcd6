"""A training run's configuration: what is wrong is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mamtra_eval.distill import config as configuration
from mamtra_eval.errors import UserError

GOOD: dict[str, Any] = {
    "out": "o", "teacher": "t", "data": {"train": "d"}, "optimizer": {"steps": 1},
}  # fmt: skip


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("loss.kl_directoin=reverse", "Did you mean loss.kl_direction"),
        ("loss.kl_direction=backward", "Known: forward, reverse"),
        ("loss.kl_alpha=1", "loss.kl_alpha must lie from 0 to below 1"),
        ("loss.temperature=0", "temperature must be positive"),
        ("optimizer.steps=0", "optimizer.steps must be finite and at least 1"),
        ("optimizer.lr=abc", "optimizer.lr"),
        ("optimizer.lr=nan", "optimizer.lr must be finite and at least 0"),
        ("precision=int8", "Known: bf16, fp16, fp32"),
        ("freeze=[mpl]", "Did you mean mlp"),
        ("teacher=null", "need a teacher"),
        ("nonsense", "is no key=value"),
    ],
)
def test_what_is_wrong_is_named(override: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        configuration.build(GOOD, [override])
    assert said in str(caught.value)


@pytest.mark.parametrize("key", ["out", "data", "optimizer"])
def test_what_is_missing_is_named(key: str) -> None:
    with pytest.raises(UserError, match="is missing"):
        configuration.build({k: v for k, v in GOOD.items() if k != key})


def test_weights_of_zero_are_no_training() -> None:
    with pytest.raises(UserError, match="all losses have weight 0"):
        configuration.build(GOOD, ["loss.ce=0", "loss.kl=0", "loss.hidden=0"])


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        configuration.load(tmp_path / "absent.yaml")
