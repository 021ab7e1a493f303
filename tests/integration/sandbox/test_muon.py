"""Muon in float32 against PyTorch's."""

from __future__ import annotations

import torch

from tiny_world.muon import Muon


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
