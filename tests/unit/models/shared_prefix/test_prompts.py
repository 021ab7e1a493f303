"""What prompts about the same images share."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.models.shared_prefix.prompts import (
    common_prefix,
    first_tokens,
    portions,
    prompts_of,
)

IMAGE = 9
token_lists = st.lists(
    st.lists(st.sampled_from([1, 2, IMAGE]), min_size=1, max_size=8), min_size=1, max_size=4
)


@given(token_lists)
def test_a_prefix_is_common_holds_all_images_and_leaves_each_a_token(prompts) -> None:
    length = common_prefix(prompts, IMAGE)
    assert len({tuple(prompt[:length]) for prompt in prompts}) == 1
    assert all(len(prompt) > length for prompt in prompts)
    if length:
        assert not any(IMAGE in prompt[length:] for prompt in prompts)
        longer = {tuple(prompt[: length + 1]) for prompt in prompts}
        assert len(longer) > 1 or any(len(prompt) == length + 1 for prompt in prompts)


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(1, 12))
def test_portions_hold_each_question_once_within_the_limit(lengths: list[int], most: int) -> None:
    found = list(portions(lengths, most))
    assert [index for part in found for index in part] == list(range(len(lengths)))
    assert all(len(part) == 1 or sum(lengths[i] for i in part) <= most for part in found)
    for part, following in zip(found, found[1:], strict=False):
        assert sum(lengths[i] for i in part) + lengths[following[0]] > most


def processed(tokens: list[int], **others: torch.Tensor) -> dict[str, torch.Tensor]:
    ids = torch.tensor([tokens])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **others}


def test_pixels_are_moved_once_and_prefixes_keep_them_whole() -> None:
    moved = []
    pixels = torch.rand(1, 3, 4, 4)
    inputs = [processed([1, IMAGE, last], pixel_values=pixels) for last in (2, 3)]
    prompts = prompts_of(inputs, lambda given: moved.append(sorted(given)) or given)
    assert prompts is not None and [prompt.tokens for prompt in prompts] == [(1, 9, 2), (1, 9, 3)]
    assert moved.count(["pixel_values"]) == 1
    cut = first_tokens(prompts[1].inputs, 2)
    assert cut["input_ids"].tolist() == [[1, IMAGE]] and cut["pixel_values"] is pixels


@pytest.mark.parametrize("other", [{"qformer": torch.tensor([[2]])}, {}])
def test_images_that_are_read_with_the_question_in_mind_are_not_shared(other: dict) -> None:
    first = processed([1, IMAGE, 2], qformer=torch.tensor([[1]]))
    assert prompts_of([first, processed([1, IMAGE, 3], **other)], lambda given: given) is None
