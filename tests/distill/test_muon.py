"""Muon against torch's own, and what its step does to a matrix."""

from __future__ import annotations

import pytest
import torch

from mamtra_eval.distill.muon import Muon, orthogonalize

SHAPES = [(24, 8), (8, 24), (16, 16), (24, 8)]


def test_it_follows_torchs_muon() -> None:
    torch.manual_seed(0)
    start = [torch.randn(shape) for shape in SHAPES]
    ours = [torch.nn.Parameter(one.clone()) for one in start]
    theirs = [torch.nn.Parameter(one.clone()) for one in start]
    here = Muon(ours, lr=0.01, weight_decay=0.1)
    there = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for left, right in zip(ours, theirs, strict=True):
            left.grad = right.grad = torch.randn_like(left)
        here.step()
        there.step()
    for left, right, first in zip(ours, theirs, start, strict=True):
        way = (right - first).norm()
        assert way > 0.1
        assert (left - right).norm() < 0.02 * way  # torch's works in bfloat16


@pytest.mark.parametrize("shape", [(24, 8), (8, 24)])
def test_orthogonalizing_keeps_directions_and_levels_lengths(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    matrices = torch.randn(3, *shape)
    turned = orthogonalize(matrices)
    for before, after in zip(matrices, turned, strict=True):
        u, _, v = torch.linalg.svd(before, full_matrices=False)
        lengths = u.mT @ after @ v.mT
        assert torch.allclose(lengths, torch.diag(lengths.diagonal()), atol=1e-4)
        assert 0.6 < lengths.diagonal().min() <= lengths.diagonal().max() < 1.25


def test_a_matrix_of_zeros_stays_one() -> None:
    assert not orthogonalize(torch.zeros(1, 4, 4)).any()


def test_parameters_without_a_gradient_stay() -> None:
    moved, left = torch.nn.Parameter(torch.ones(4, 4)), torch.nn.Parameter(torch.ones(4, 4))
    optimizer = Muon([moved, left], lr=0.1)
    moved.grad = torch.eye(4)
    optimizer.step()
    assert torch.equal(left, torch.ones(4, 4))
    assert not torch.equal(moved, torch.ones(4, 4))


def test_vectors_and_closures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"matrices alone, not tensors of shape \(4,\)"):
        Muon([torch.nn.Parameter(torch.ones(4))], lr=0.1)
    with pytest.raises(ValueError, match="closure"):
        Muon([torch.nn.Parameter(torch.ones(4, 4))], lr=0.1).step(lambda: 0.0)
