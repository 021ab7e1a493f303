"""Muon in float32 against PyTorch's."""

from __future__ import annotations

import pytest
import torch

from tiny_world.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(8, 8), (6, 20), (20, 6)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalized(matrices))
    # The quintic does not converge: it ends between about 0.7 and 1.2.
    assert 0.6 < values.min() and values.max() < 1.3
    one, _, other = torch.linalg.svd(matrices, full_matrices=False)
    assert (orthogonalized(matrices) - one @ other).abs().max() < 0.35


def test_steps_are_pytorchs_up_to_its_bfloat16() -> None:
    draw = torch.Generator().manual_seed(1)
    start = [
        torch.randn(*shape, generator=draw) for shape in ((12, 12), (8, 24), (12, 12), (24, 8))
    ]
    ours, theirs = ([torch.nn.Parameter(m.clone()) for m in start] for _ in range(2))
    one = Muon(ours, lr=0.05)
    other = torch.optim.Muon(theirs, lr=0.05, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=draw)
            b.grad = a.grad.clone()
        one.step()
        other.step()
    for a, b, before in zip(ours, theirs, start, strict=True):
        moved = (b - before).norm()
        assert moved > 0.1
        assert (a - b).norm() < 0.05 * moved


def test_what_has_no_gradient_stays() -> None:
    still = torch.nn.Parameter(torch.ones(3, 3))
    Muon([still], lr=1.0).step()
    assert torch.equal(still, torch.ones(3, 3))
