"""Readings from the top-k log-probabilities that serving engines return for each step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.probe.reading import LabelStep, Reading, begun_labels

# Probabilities that are less than this apart are one number.
SAME_PROBABILITY = 1e-3


@dataclass(frozen=True)
class TopKStep:
    """One generated token and the likeliest alternatives.

    Attributes:
        token: The token that was chosen.
        logprob: Its log-probability in nats.
        likeliest: Log-probabilities in nats of the k likeliest tokens, by token.
    """

    token: int
    logprob: float
    likeliest: Mapping[int, float]


def entropy_bounds(logprobs: ArrayLike, vocabulary: int) -> tuple[float, float]:
    """Return bounds of a distribution's entropy, given its k largest probabilities.

    With p_1 >= ... >= p_k, r = 1 - sum p and H_k = -sum p ln p, the entropy is at least
    H_k - m p_k ln p_k - q ln q with m = floor(r / p_k) and q = r - m p_k, where the remaining
    mass r is as concentrated as the constraint p <= p_k allows. It is at most
    H_k - r ln(r / (V - k)), where r is uniform over the other tokens.

    Args:
        logprobs: ln of the k largest probabilities, [k], in any order, nats.
        vocabulary: Number V of tokens in the vocabulary.

    Returns:
        Lower and upper bound in nats; equal where all V are known.

    Raises:
        ValueError: There are none, more than V, one is not finite, or they sum to more
            than 1, or to less than V - k others below them can make 1 (by more than float32
            rounding).

    Entropy is Schur-concave, so these are its extremes under that constraint.

    >>> low, high = entropy_bounds(np.log([0.5, 0.25]), vocabulary=4)
    >>> round(low, 4), round(high, 4)
    (1.0397, 1.213)
    """
    known = np.sort(np.asarray(logprobs, dtype=np.float64))[::-1]
    if known.ndim != 1 or not 0 < known.size <= vocabulary or not np.isfinite(known).all():
        raise ValueError(
            f"expected 1 to {vocabulary} finite log-probabilities, got shape {known.shape}"
        )
    p = np.exp(known)
    rest = 1.0 - math.fsum(p)
    if rest < -1e-4:
        raise ValueError(f"probabilities sum to {1 - rest}, expected at most 1")
    unknown, smallest = vocabulary - known.size, float(p[-1])
    if rest > unknown * smallest + 1e-4:
        raise ValueError(
            f"probabilities sum to {1 - rest}, and {unknown} other tokens of at most {smallest} "
            "each do not fill the rest: is the vocabulary larger, or are these not the likeliest?"
        )
    entropy = -math.fsum(p * known)
    if rest <= 0 or unknown == 0:
        return entropy, entropy
    whole = math.floor(rest / smallest)
    left = rest - whole * smallest
    low = entropy - whole * smallest * float(known[-1]) - (left * math.log(left) if left else 0.0)
    high = entropy - rest * math.log(rest / unknown)
    # The bounds are equal for uniform distributions, where rounding can swap them.
    return min(low, high), high


def read_top_k(
    steps: Sequence[TopKStep], labels: Sequence[Sequence[int]], vocabulary: int
) -> Reading:
    """Turn one answer's steps into a reading, with bounds in place of entropies.

    Label probabilities are included only where the k likeliest tokens of a step settle them:
    every label has a token among these, and its other spellings, of at most p_k each, cannot
    hold more than `SAME_PROBABILITY` together.

    Args:
        steps: The generated tokens before the end token; the end token itself if it came first.
        labels: Token ids of each label.
        vocabulary: Number of tokens in the vocabulary.

    Raises:
        ValueError: There are no steps, or see `entropy_bounds`.
    """
    if not steps:
        raise ValueError("an answer needs at least one step")
    bounds = [entropy_bounds(list(step.likeliest.values()), vocabulary) for step in steps]
    tokens = tuple(step.token for step in steps)
    return Reading(
        tokens=tokens,
        token_entropy=np.array([low for low, _ in bounds], np.float32),
        token_logprob=np.array([step.logprob for step in steps], np.float32),
        label_steps=tuple(
            LabelStep(t, label, _settled(steps[t].likeliest, labels))
            for t, label in begun_labels(tokens, labels).items()
        ),
        token_entropy_high=np.array([high for _, high in bounds], np.float32),
    )


def _settled(likeliest: Mapping[int, float], labels: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Return ln p of each label at a step, () if the likeliest tokens do not settle them."""
    known = [[likeliest[token] for token in label if token in likeliest] for label in labels]
    smallest = math.exp(min(likeliest.values()))
    rest = 1.0 - math.fsum(map(math.exp, likeliest.values()))
    unknown = [
        min(rest, (len(label) - len(part)) * smallest)
        for label, part in zip(labels, known, strict=True)
    ]
    if not all(known) or max(unknown, default=0.0) > SAME_PROBABILITY:
        return ()
    return tuple(float(np.logaddexp.reduce(part)) for part in known)
