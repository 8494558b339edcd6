"""The chunked scan and the single step against the recurrence written out naively."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mamtra_eval.models.kernels import TorchKernels
from mamtra_eval.models.ssd import chunked_scan

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


class Inputs(NamedTuple):
    """Of a scan, in the order of its arguments."""

    x: Tensor
    dt: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor


def _inputs(
    length: int, *, batch: int = 2, groups: int = 2, shared: int = 2, size: int = 4, states: int = 3
) -> Inputs:
    heads = groups * shared
    return Inputs(
        torch.randn(batch, length, groups, size),
        torch.rand(batch, length, heads) * 0.5,
        -torch.rand(heads) * 4,
        torch.randn(batch, length, groups, states),
        torch.randn(batch, length, heads, states),
        torch.randn(heads),
    )


def _naive(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, ...]:
    """Token by token, head by head, as the formula has it; y (B, T, H, P) and the last state."""
    per_head, last = [], []
    for head in range(dt.shape[2]):
        group = head // (dt.shape[2] // x.shape[2])
        state, rows = torch.zeros(len(x), x.shape[3], b.shape[3], dtype=x.dtype), []
        for t in range(x.shape[1]):
            step = dt[:, t, head, None, None]
            outer = x[:, t, group, :, None] * b[:, t, group, None, :]
            state = torch.exp(step * a[head]) * state + step * outer
            rows.append((state * c[:, t, head, None, :]).sum(-1) + d[head] * x[:, t, group])
        per_head.append(torch.stack(rows, dim=1))
        last.append(state)
    return torch.stack(per_head, dim=2), torch.stack(last, dim=1)


def _double(inputs: Inputs) -> Inputs:
    return Inputs(*(part.double() for part in inputs))


def _assert_scan_is_naive(inputs: Inputs, chunk: int) -> None:
    for ours, naive in zip(chunked_scan(*inputs, chunk), _naive(*_double(inputs)), strict=True):
        torch.testing.assert_close(ours, naive.float(), **CLOSE)


@pytest.mark.parametrize("length", [1, 2, 3, 8, 17, 32])
@pytest.mark.parametrize("chunk", [1, 3, 8, 16, 256])
def test_the_scan_is_the_recurrence_at_any_length_and_chunk(length: int, chunk: int) -> None:
    torch.manual_seed(0)
    _assert_scan_is_naive(_inputs(length), chunk)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 20), batch=st.integers(1, 3), groups=st.integers(1, 3),
    shared=st.integers(1, 3), size=st.integers(1, 5), states=st.integers(1, 5),
    chunk=st.integers(1, 24), seed=st.integers(0, 99),
)  # fmt: skip
def test_the_scan_is_the_recurrence_in_any_shape(chunk: int, seed: int, **shape: int) -> None:
    torch.manual_seed(seed)
    _assert_scan_is_naive(_inputs(**shape), chunk)


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 12), batch=st.integers(1, 3), groups=st.integers(1, 3),
    shared=st.integers(1, 3), size=st.integers(1, 5), states=st.integers(1, 5),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_steps_are_the_recurrence_in_any_shape(seed: int, **shape: int) -> None:
    torch.manual_seed(seed)
    inputs = _inputs(**shape)
    x, dt, a, b, c, d = inputs
    naive_y, naive_state = _naive(*_double(inputs))
    state = torch.zeros(naive_state.shape)
    for t in range(x.shape[1]):
        y = TorchKernels().scan_step(state, x[:, t], dt[:, t], a, b[:, t], c[:, t], d)
        torch.testing.assert_close(y, naive_y[:, t].float(), **CLOSE)
    torch.testing.assert_close(state, naive_state.float(), **CLOSE)


@pytest.mark.parametrize(("length", "chunk"), [(1, 8), (7, 3), (16, 4), (21, 8)])
def test_gradients_are_those_of_the_recurrence(length: int, chunk: int) -> None:
    torch.manual_seed(0)
    inputs = _inputs(length)
    y_weight, state_weight = torch.randn(2, length, 4, 4), torch.randn(2, 4, 4, 3)

    def gradients(y: Tensor, state: Tensor, leaves: Inputs) -> tuple[Tensor, ...]:
        loss = (y * y_weight).sum() + (state * state_weight).sum()
        return torch.autograd.grad(loss, leaves)

    ours = Inputs(*(part.clone().requires_grad_() for part in inputs))
    naive = Inputs(*(part.double().requires_grad_() for part in inputs))
    for mine, expected in zip(
        gradients(*chunked_scan(*ours, chunk), ours), gradients(*_naive(*naive), naive), strict=True
    ):
        torch.testing.assert_close(mine, expected.float(), rtol=1e-4, atol=1e-4)


def test_decay_to_nothing_leaves_values_and_gradients_finite() -> None:
    """exp(dt * A) underflows; its inverse, or exp of a later span, would be infinite."""
    torch.manual_seed(0)
    inputs = _inputs(24)._replace(a=torch.full((4,), -500.0), dt=torch.full((2, 24, 4), 3.0))
    leaves = Inputs(*(part.requires_grad_() for part in inputs))
    y, state = chunked_scan(*leaves, 8)
    for gradient in torch.autograd.grad(y.sum() + state.sum(), leaves):
        assert gradient.isfinite().all()
    torch.testing.assert_close(y, _naive(*leaves)[0], **CLOSE)


def test_a_step_size_of_zero_leaves_a_token_out() -> None:
    torch.manual_seed(0)
    inputs = _inputs(12)
    there = torch.tensor([0, 1, 4, 5, 9, 11])
    missing = torch.tensor([t for t in range(12) if t not in there])
    inputs.dt[:, missing] = 0
    y, state = chunked_scan(*inputs, 4)
    x, dt, a, b, c, d = inputs
    alone = chunked_scan(x[:, there], dt[:, there], a, b[:, there], c[:, there], d, 4)
    torch.testing.assert_close(y[:, there], alone[0], **CLOSE)
    torch.testing.assert_close(state, alone[1], **CLOSE)


def test_half_precision_and_autocast_do_not_reach_the_state() -> None:
    torch.manual_seed(0)
    inputs = Inputs(*(part.bfloat16().float() for part in _inputs(40)))
    y, state = chunked_scan(*inputs, 8)
    half = inputs._replace(**{name: getattr(inputs, name).bfloat16() for name in "xbc"})
    with torch.autocast("cpu", torch.bfloat16):
        half_y, half_state = chunked_scan(*half, 8)
    assert half_y.dtype == torch.bfloat16
    torch.testing.assert_close(half_state, state, **CLOSE)
    torch.testing.assert_close(half_y, y.bfloat16())
