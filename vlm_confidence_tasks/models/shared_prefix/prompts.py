"""Processed prompts, and what those about the same images have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch

# Inputs with one entry for each token of the prompt, in their second dimension.
BY_TOKEN = frozenset(
    {
        *("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids"),
        "cross_attention_mask",
    }
)


@dataclass(frozen=True, eq=False)
class Prompt:
    """One question's inputs of the model, on its device, as a batch of one; and its token ids."""

    inputs: Mapping[str, torch.Tensor]
    tokens: tuple[int, ...]


def prompts_of(
    processed: Sequence[Mapping[str, torch.Tensor]],
    to_device: Callable[[Mapping[str, torch.Tensor]], Mapping[str, torch.Tensor]],
) -> list[Prompt] | None:
    """Return the prompts of questions about the same images, whose pixels are moved once.

    None if what the model gets besides the prompts' tokens differs between questions, as in
    models that look at an image with the question in mind (InstructBLIP).
    """
    first = processed[0]
    shared = [name for name in first if name not in BY_TOKEN]
    for other in processed[1:]:
        if other.keys() != first.keys() or not all(same(first[n], other[n]) for n in shared):
            return None
    pixels = to_device({name: first[name] for name in shared})
    prompts = []
    for inputs in processed:
        own = to_device({name: inputs[name] for name in inputs if name in BY_TOKEN})
        prompts.append(Prompt({**own, **pixels}, tuple(inputs["input_ids"][0].tolist())))
    return prompts


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two inputs are equal."""
    return one is other or torch.equal(one, other)


def common_prefix(prompts: Sequence[Sequence[int]], image_token: int) -> int:
    """Return the length of the longest prefix that prompts about the same images share.

    Each prompt keeps a token of its own, and all images lie within the prefix: 0 if they cannot.

    >>> common_prefix([[1, 9, 9, 4, 5], [1, 9, 9, 4, 6, 7]], image_token=9)
    4
    >>> common_prefix([[1, 9, 9, 4], [1, 9, 9, 4]], image_token=9)
    3
    >>> common_prefix([[1, 2, 9, 9, 5], [1, 3, 9, 9, 5]], image_token=9)
    0
    """
    columns = zip(*prompts, strict=False)
    same = sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, columns))
    length = min(same, min(map(len, prompts)) - 1)
    return 0 if any(image_token in prompt[length:] for prompt in prompts) else length


def first_tokens(inputs: Mapping[str, torch.Tensor], length: int) -> dict[str, torch.Tensor]:
    """Return a prompt's inputs without the tokens after the first `length`."""
    return {
        name: value[:, :length] if name in BY_TOKEN else value for name, value in inputs.items()
    }


def stacked(batches: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the inputs of several prefixes of equal shapes as one batch."""
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}


def shapes(inputs: Mapping[str, torch.Tensor]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return what must be equal for inputs to stand in one batch."""
    return tuple((name, tuple(value.shape)) for name, value in sorted(inputs.items()))


def portions(suffixes: Sequence[int], most: int) -> Iterator[range]:
    """Split questions into consecutive portions of at most `most` tokens, or of one question.

    `suffixes` are the numbers of tokens of the questions after the prefix.

    >>> list(portions([3, 3, 3, 9], most=6))
    [range(0, 2), range(2, 3), range(3, 4)]
    """
    start, total = 0, 0
    for index, tokens in enumerate(suffixes):
        if index > start and total + tokens > most:
            yield range(start, index)
            start, total = index, 0
        total += tokens
    if start < len(suffixes):
        yield range(start, len(suffixes))
