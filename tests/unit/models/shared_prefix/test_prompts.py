"""What prompts about the same images share."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from vlm_confidence_tasks.models.shared_prefix.prompts import (
    common_prefix,
    portions,
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
