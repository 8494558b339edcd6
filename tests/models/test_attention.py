"""The attention of training on a CPU: torch's own function and gradients, in plain products."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mamtra_eval.models.attention import short_attention


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize("length", [1, 2, 33])
def test_it_is_torchs_attention_with_its_gradients(heads: int, kv_heads: int, length: int) -> None:
    generator = torch.Generator().manual_seed(heads + length)
    sizes = [(2, heads, length, 8), (2, kv_heads, length, 8), (2, kv_heads, length, 8)]
    given = [torch.randn(size, generator=generator, requires_grad=True) for size in sizes]
    ours = short_attention(*given)
    theirs = F.scaled_dot_product_attention(*given, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    weights = torch.randn(ours.shape, generator=generator)
    for a, b in zip(
        torch.autograd.grad((ours * weights).sum(), given),
        torch.autograd.grad((theirs * weights).sum(), given),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
