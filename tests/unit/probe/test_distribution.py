"""Entropies and log-probabilities over vocabularies as large as the real ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.probe.distribution import AT_ONCE, entropies, measure
from vlm_confidence_tasks.probe.recorder import measure_step

SIZE = 151_936


def exactly(row: torch.Tensor) -> tuple[float, np.ndarray]:
    """Entropy and ln p with sums that are rounded once."""
    shifted = row.double().numpy() - float(row.max())
    logprob = shifted - math.log(math.fsum(np.exp(shifted)))
    return -math.fsum(np.exp(logprob) * logprob), logprob


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0, 10.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_150_000_tokens_are_summed_to_a_millionth(spread, dtype):
    logits = (torch.randn(3, SIZE, generator=torch.Generator().manual_seed(0)) * spread).to(dtype)
    tokens = torch.tensor([[0, 5, SIZE - 1]] * 3)
    entropy, logprob = measure(logits, tokens)
    recorded = measure_step(logits, tokens[:, 0], tokens[:, 1:])
    assert torch.equal(recorded, torch.cat([entropy[:, None], logprob], dim=1))
    assert torch.equal(entropies(logits), entropy) and entropy.dtype == torch.float32
    for row, expected in enumerate(map(exactly, logits)):
        assert entropy[row].item() == pytest.approx(expected[0], abs=1e-6)
        # float32 holds these to 6e-8 of their size.
        wanted = expected[1][tokens[row]]
        assert logprob[row].numpy() == pytest.approx(wanted, abs=1e-6, rel=6e-8)


def test_half_on_one_token_and_half_on_all_others_by_hand():
    logits = torch.zeros(1, SIZE, dtype=torch.double)
    logits[0, 7] = math.log(SIZE - 1)
    entropy, logprob = measure(logits, torch.tensor([[7, 8]]))
    other = math.log(2 * (SIZE - 1))
    assert entropy.item() == pytest.approx((math.log(2) + other) / 2, abs=1e-6)
    assert logprob[0].numpy() == pytest.approx([-math.log(2), -other], abs=1e-6)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=9), st.integers(0, 3))
def test_tokens_that_cannot_be_have_no_part_in_it(numbers, impossible):
    row = torch.tensor([*numbers, *[-math.inf] * impossible])
    entropy, logprob = measure(row[None], torch.tensor([[0]]))
    expected = exactly(row[: len(numbers)])
    assert entropy.item() == pytest.approx(expected[0], abs=1e-6)
    assert logprob.item() == pytest.approx(expected[1][0], abs=1e-5)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_stays_none(wrong):
    entropy, logprob = measure(torch.tensor([[0.0, wrong, 1.0]]), torch.tensor([[0]]))
    assert entropy.isnan().all() and logprob.isnan().all()


def test_rows_are_measured_alike_alone_and_in_any_batch():
    logits = torch.randn(2 * AT_ONCE // 1000 + 3, 1000, generator=torch.Generator().manual_seed(1))
    tokens = torch.arange(len(logits))[:, None] % 1000
    whole = measure(logits, tokens)
    for row in (0, AT_ONCE // 1000, len(logits) - 1):
        alone = measure(logits[row : row + 1], tokens[row : row + 1])
        assert [part[row].item() for part in whole] == [part.item() for part in alone]
