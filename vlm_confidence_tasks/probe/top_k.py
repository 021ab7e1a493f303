"""Readings from the top-k log-probabilities that serving engines return for each step."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.probe.reading import LabelStep, Reading, begun_labels

# Probabilities that are less than this apart are one number.
SAME_PROBABILITY = 1e-3
# How many tokens servers are asked for unless this variable says otherwise: what OpenAI's allows.
TOP_LOGPROBS = "VLM_CONFIDENCE_TOP_LOGPROBS"
USUAL_K = 20
# How engines spell "the whole vocabulary".
ALL = -1


@dataclass(frozen=True)
class TopKStep:
    """One generated token and the likeliest alternatives.

    Attributes:
        likeliest: The k likeliest tokens, each with its log-probability in nats. A token may
            occur twice, since servers name tokens by their text, and two may have the same.
    """

    token: int
    logprob: float
    likeliest: Sequence[tuple[int, float]]


def wanted_top_k() -> int | None:
    """Return how many tokens the user asks for, `ALL` for all; None if that is not said.

    Raises:
        ValueError: The environment variable is neither a whole number above 0 nor "all".
    """
    value = os.environ.get(TOP_LOGPROBS) or None
    if value is None or value == "all":
        return None if value is None else ALL
    if not (value.isascii() and value.isdigit() and int(value)):
        raise ValueError(f"{TOP_LOGPROBS} is {value!r}, expected a whole number above 0, or all")
    return int(value)


def likeliest(chosen: int, listed: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """Return the likeliest tokens of those that an engine lists for a step.

    Engines list the chosen token even where it is not among the k likeliest. It is left out
    where it is the least likely of those listed, since tokens that are not may be likelier.

    >>> likeliest(9, [(9, -8.0), (7, -0.1), (8, -3.0)])
    [(7, -0.1), (8, -3.0)]
    """
    others = [entry for entry in listed if entry[0] != chosen]
    own = [logprob for token, logprob in listed if token == chosen]
    extra = len(own) == 1 and others and own[0] < min(logprob for _, logprob in others)
    return others if extra else listed


def entropy_bounds(logprobs: ArrayLike, vocabulary: int | None) -> tuple[float, float]:
    """Return bounds of a distribution's entropy, given its k largest probabilities.

    With p_1 >= ... >= p_k, r = 1 - sum p and H_k = -sum p ln p, the entropy is at least
    H_k - m p_k ln p_k - q ln q with m = floor(r / p_k) and q = r - m p_k, where the remaining
    mass r is as concentrated as the constraint p <= p_k allows. It is at most
    H_k - r ln(r / (V - k)), where r is uniform over the other tokens.

    Args:
        logprobs: ln of the k largest probabilities, [k], in any order, nats.
        vocabulary: Number V of tokens in the vocabulary; None if it is unknown.

    Returns:
        Lower and upper bound in nats; equal where all V are known. Without V there is no upper
        bound: it is infinite.

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
    if known.ndim != 1 or not 0 < known.size <= (vocabulary or known.size):
        raise ValueError(
            f"expected 1 to {vocabulary or 'V'} log-probabilities, got shape {known.shape}"
        )
    if not np.isfinite(known).all():
        raise ValueError("a log-probability is not finite")
    p = np.exp(known)
    rest = 1.0 - math.fsum(p)
    if rest < -1e-4:
        raise ValueError(f"probabilities sum to {1 - rest}, expected at most 1")
    entropy, smallest = -math.fsum(p * known), float(p[-1])
    if vocabulary is None:
        return entropy + _concentrated(max(rest, 0.0), smallest), math.inf
    unknown = vocabulary - known.size
    if rest > unknown * smallest + 1e-4:
        raise ValueError(
            f"probabilities sum to {1 - rest}, and {unknown} other tokens of at most {smallest} "
            "each do not fill the rest: is the vocabulary larger, or are these not the likeliest?"
        )
    if rest <= 0 or unknown == 0:
        return entropy, entropy
    low = entropy + _concentrated(rest, smallest)
    high = entropy - rest * math.log(rest / unknown)
    # The bounds are equal for uniform distributions, where rounding can swap them.
    return min(low, high), high


def _concentrated(rest: float, most: float) -> float:
    """Return the least entropy that a mass adds whose parts are of at most `most` each."""
    whole = math.floor(rest / most)
    left = rest - whole * most
    return -whole * most * math.log(most) - (left * math.log(left) if left > 0 else 0.0)


def read_top_k(
    steps: Sequence[TopKStep], labels: Sequence[Sequence[int]], vocabulary: int | None
) -> Reading:
    """Turn one answer's steps, without its end token unless that came first, into a reading.

    It has bounds in place of entropies, or exact ones where the k likeliest tokens are the whole
    vocabulary, whose size may be unknown.

    Label probabilities are included only where the k likeliest tokens of a step settle them:
    every label has a token among these, and its other spellings, of at most p_k each, cannot
    hold more than `SAME_PROBABILITY` together.

    Raises:
        ValueError: There are no steps, or see `entropy_bounds`.
    """
    if not steps:
        raise ValueError("an answer needs at least one step")
    bounds = [entropy_bounds([p for _, p in step.likeliest], vocabulary) for step in steps]
    tokens = tuple(step.token for step in steps)
    exact = all(len(step.likeliest) == vocabulary for step in steps)
    return Reading(
        tokens=tokens,
        token_entropy=np.array([low for low, _ in bounds], np.float32),
        token_logprob=np.array([step.logprob for step in steps], np.float32),
        label_steps=tuple(
            LabelStep(t, label, _settled(steps[t].likeliest, labels))
            for t, label in begun_labels(tokens, labels).items()
        ),
        token_entropy_high=(None if exact else np.array([high for _, high in bounds], np.float32)),
    )


def _settled(
    likeliest: Sequence[tuple[int, float]], labels: Sequence[Sequence[int]]
) -> tuple[float, ...]:
    """Return ln p of each label at a step, () if the likeliest tokens do not settle them."""
    label_of = {token: index for index, label in enumerate(labels) for token in label}
    known: list[list[float]] = [[] for _ in labels]
    unseen = [set(label) for label in labels]
    for token, logprob in likeliest:
        if token in label_of:
            known[label_of[token]].append(logprob)
            unseen[label_of[token]].discard(token)
    smallest = math.exp(min(logprob for _, logprob in likeliest))
    rest = 1.0 - math.fsum(math.exp(logprob) for _, logprob in likeliest)
    unknown = [min(rest, len(spellings) * smallest) for spellings in unseen]
    if not all(known) or max(unknown, default=0.0) > SAME_PROBABILITY:
        return ()
    return tuple(float(np.logaddexp.reduce(part)) for part in known)
