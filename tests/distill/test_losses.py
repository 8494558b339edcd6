"""Losses against their definitions, written out."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.distill.losses import cross_entropy, hidden_match, skew_kl
from mamtra_eval.models.sequences import IGNORE

P = torch.tensor([0.5, 0.25, 0.125, 0.125])
Q = torch.tensor([0.25, 0.25, 0.25, 0.25])
ONE = torch.zeros(1, 1, dtype=torch.int64)


def _skew(p: torch.Tensor, q: torch.Tensor, **options: object) -> float:
    return float(skew_kl(p.log()[None, None], q.log()[None, None], ONE, **options))  # type: ignore[arg-type]


def test_the_plain_divergence_has_its_textbook_values() -> None:
    # KL(p || uniform of 4) = ln 4 - H(p), and H(p) of these halves is 1.75 bit.
    assert _skew(P, Q, alpha=0.0) == pytest.approx((2 - 1.75) * math.log(2), abs=1e-6)
    reverse = sum(0.25 * math.log(0.25 / p) for p in P.tolist())
    assert _skew(P, Q, alpha=0.0, direction="reverse") == pytest.approx(reverse, abs=1e-6)


@given(st.floats(0.0, 0.95), st.sampled_from(["forward", "reverse"]), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_the_skewed_divergence_is_the_divergence_from_the_mixture(
    alpha: float, direction: str, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.randn(2, 9, generator=generator).mul(2).softmax(-1).double()
    first, second = (p, q) if direction == "forward" else (q, p)
    mixture = alpha * first + (1 - alpha) * second
    expected = float((first * (first / mixture).log()).sum())
    found = _skew(p, q, alpha=alpha, direction=direction)
    assert found == pytest.approx(expected, abs=1e-5)
    assert found >= -1e-6


def test_temperature_softens_and_is_squared() -> None:
    logits = torch.tensor([[[2.0, 0.0, -2.0]]]), torch.zeros(1, 1, 3)
    soft = torch.tensor([1.0, 0.0, -1.0]).softmax(-1)
    expected = 4 * float((soft * (soft * 3).log()).sum())
    found = skew_kl(*logits, ONE, alpha=0.0, temperature=2.0)
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_positions_without_a_target_do_not_count() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, IGNORE, 4], [IGNORE, IGNORE, 0]])
    other = logits.clone()
    other[targets == IGNORE] = 7.0
    for loss in (
        lambda x: cross_entropy(x, targets),
        lambda x: skew_kl(x.flip(-1), x, targets, alpha=0.1),
    ):
        assert float(loss(logits)) == pytest.approx(float(loss(other)), abs=1e-5)
    log_p = logits.log_softmax(-1)
    expected = -sum(log_p[b, t, targets[b, t]] for b, t in ((0, 0), (0, 2), (1, 2)))
    assert float(cross_entropy(logits, targets)) == pytest.approx(float(expected), abs=1e-5)


def test_probabilities_that_underflow_give_finite_losses_and_gradients() -> None:
    teacher = torch.tensor([[[1e4, 0.0, -1e4]]])
    student = torch.tensor([[[-1e4, 0.0, 1e4]]], requires_grad=True)
    for direction in ("forward", "reverse"):
        loss = skew_kl(teacher, student, ONE, alpha=0.1, direction=direction)
        # Bounded, as skewed divergences are.
        assert float(loss.detach()) == pytest.approx(-math.log(0.1), rel=1e-3)
        (gradient,) = torch.autograd.grad(loss, student)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.7])
def test_the_gradient_is_the_derivative(direction: str, alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(2, 2, 150, 5, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 5, (2, 150), generator=generator)
    targets[0, ::3] = IGNORE  # more rows than are worked on at a time, some left out

    def loss(logits: torch.Tensor) -> torch.Tensor:
        return skew_kl(teacher, logits, targets, alpha=alpha, temperature=1.7, direction=direction)

    assert torch.autograd.gradcheck(loss, student.requires_grad_(), fast_mode=True)
    student = student.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets), student, fast_mode=True)
    with torch.no_grad():  # measuring alone keeps no gradient
        assert not cross_entropy(student, targets).requires_grad


def test_hidden_states_are_compared_layer_by_layer_where_there_is_a_token() -> None:
    teacher = [torch.full((1, 3, 2), 2.0), torch.full((1, 3, 2), 5.0)]
    student = [torch.full((1, 3, 2), 3.0), torch.full((1, 3, 2), 5.5)]
    real = torch.tensor([[True, True, False]])
    student[0][0, 2] = 99.0
    assert float(hidden_match(teacher, student, real, [0], relative=False)) == 2.0
    assert float(hidden_match(teacher, student, real, [0], relative=True)) == 0.5
    assert float(hidden_match(teacher, student, real, [0, 1], relative=False)) == 1.25
