"""What each goal of an attack makes small, on the distribution at the answer position."""

from collections.abc import Sequence
from typing import NamedTuple

import torch


class Judged(NamedTuple):
    """A goal at one image.

    Attributes:
        allowed: Whether the goal's condition on the answer is met.
        value: What is to be small.
        loss: What the gradient is taken of.
    """

    allowed: bool
    value: torch.Tensor
    loss: torch.Tensor


def label_logprobs(logprob: torch.Tensor, labels: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return ln p of each label, the sum over its spellings, [labels], from ln p [vocabulary]."""
    return torch.stack([logprob[list(tokens)].logsumexp(0) for tokens in labels])


def margin(label_logprob: torch.Tensor, label: int) -> torch.Tensor:
    """Return the log-odds of a label against the best other."""
    others = torch.cat([label_logprob[:label], label_logprob[label + 1 :]])
    return label_logprob[label] - others.max()


def entropies(logprob: torch.Tensor) -> torch.Tensor:
    """Return -sum p ln p over the last axis, the vocabulary, in nats."""
    return -(logprob.exp() * logprob).sum(-1)


def judge(
    goal: str, logprob: torch.Tensor, lead: torch.Tensor, cosine: torch.Tensor | None
) -> Judged:
    """Judge one image by a goal of `perturbations.pgd`, from ln p at the answer position.

    `lead` are the log-odds of the clean answer against the best other, `cosine` is that of the
    context with the clean image's, needed for `hidden` only.

    Raises:
        ValueError: The goal is unknown, or `hidden` without a cosine.
    """
    if goal == "flip":
        return Judged(True, lead, lead)
    if goal == "sure":
        value = entropies(logprob)
        return Judged(bool(lead < 0), value, value + lead.clamp(min=0))
    if goal == "unsure":
        value = -entropies(logprob)
    elif goal == "hidden" and cosine is not None:
        value = cosine
    else:
        raise ValueError(
            f"goal {goal!r} cannot be judged; known: flip, sure, unsure, and hidden with a context"
        )
    return Judged(bool(lead > 0), value, value + (-lead).clamp(min=0))
