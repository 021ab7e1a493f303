"""Readings from the top-k log-probabilities that serving engines return for each step."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.errors import RequestError
from vlm_confidence_tasks.probe.reading import LabelStep, Reading, begun_labels

# How far probabilities that engines serve may be off: their rounding.
ROUNDING = 1e-3
# The same of log-probabilities, relative to them or in nats.
SAME_LOGPROB = 0.01
# Engines mark a token that cannot be, or that is none of the likeliest, by -9999.0, -inf and the
# like. What is below float32's least normal number is taken for such a mark, and for 0.
IMPOSSIBLE = math.log(np.finfo(np.float32).tiny)
# How many tokens servers are asked for unless this variable says otherwise: what OpenAI's allows.
TOP_LOGPROBS = "VLM_CONFIDENCE_TOP_LOGPROBS"
USUAL_K = 20
# How engines spell "the whole vocabulary".
ALL = -1


@dataclass(frozen=True)
class TopKStep:
    """One generated token and the likeliest alternatives.

    Attributes:
        logprob: Its log-probability in nats; one of `IMPOSSIBLE` or less is unknown.
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


def served_step(chosen: int, logprob: float, listed: Sequence[tuple[int, float]]) -> TopKStep:
    """Make a step of what an engine served: the chosen token, and those that it lists.

    Raises:
        RequestError: They contradict each other, so that nothing can be read from them.
        ValueError: A log-probability is NaN or +inf.
    """
    values = [other for _, other in listed]
    if not all(value < math.inf for value in (logprob, *values)):
        raise ValueError("a log-probability is not finite")
    if (wrong := _contradiction(chosen, logprob, listed)) is not None:
        raise RequestError(
            f"the log-probabilities of an answer contradict each other: {wrong}; nothing was "
            "scored: ask another server or version"
        )
    return TopKStep(chosen, logprob, likeliest(chosen, listed))


def _contradiction(chosen: int, logprob: float, listed: Sequence[tuple[int, float]]) -> str | None:
    """Say what cannot be of one step, None if all can."""
    above = max([logprob, *(other for _, other in listed)])
    if above > ROUNDING:
        return f"one is {above:.4g}, above 0"
    own = [other for token, other in listed if token == chosen]
    if own and not any(_same(logprob, other) for other in own):
        places = ", ".join(f"{math.exp(other):.4g}" for other in own)
        return f"a token has probability {math.exp(logprob):.4g}, and {places} in its own list"
    values = [other for _, other in listed]
    least = min(values, default=math.inf)
    if not own and logprob > least and not _same(logprob, least):
        return (
            f"a token of probability {math.exp(logprob):.4g} is not in its own list of the "
            f"likeliest, whose least has {math.exp(least):.4g}"
        )
    together = math.fsum(math.exp(p) for p in (*values, *([] if own or not values else [logprob])))
    if together > 1 + ROUNDING:
        return f"a token and its list have probability {together:.4g} together"
    return None


def _same(one: float, other: float) -> bool:
    """Whether two log-probabilities are one number, but for rounding."""
    if max(one, other) <= IMPOSSIBLE:
        return True
    return math.isclose(one, other, rel_tol=SAME_LOGPROB, abs_tol=SAME_LOGPROB)


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
        logprobs: ln of the k largest probabilities, [k], in any order, nats. Those that are
            `IMPOSSIBLE` count as probability 0, and p_k is the least of the others.
        vocabulary: Number V of tokens in the vocabulary; None if it is unknown.

    Returns:
        Lower and upper bound in nats; equal where all V are known. Without V there is no upper
        bound: it is infinite.

    Raises:
        ValueError: There are none, more than V, one is NaN or +inf, all are impossible, or they
            sum to more than 1, or to less than V - k others below them can make 1 (by more than
            `ROUNDING`).

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
    unknown = None if vocabulary is None else vocabulary - known.size
    # False for NaN too.
    if not (known < math.inf).all():
        raise ValueError("a log-probability is not finite")
    known = known[known > IMPOSSIBLE]
    if not known.size:
        raise ValueError("every token has probability 0")
    p = np.exp(known)
    rest = 1.0 - math.fsum(p)
    if rest < -ROUNDING:
        raise ValueError(f"probabilities sum to {1 - rest}, expected at most 1")
    entropy, smallest = -math.fsum(p * known), float(p[-1])
    if unknown is None:
        return entropy + _concentrated(max(rest, 0.0), smallest), math.inf
    if rest > unknown * smallest + ROUNDING:
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
    vocabulary, whose size may be unknown. Labels have the probability of their tokens among these,
    and the most that their other spellings may hold, of at most p_k each.

    Raises:
        ValueError: There are no steps, or see `entropy_bounds`.
    """
    if not steps:
        raise ValueError("an answer needs at least one step")
    steps = [_normalised(step, vocabulary) for step in steps]
    bounds = [entropy_bounds([p for _, p in step.likeliest], vocabulary) for step in steps]
    tokens = tuple(step.token for step in steps)
    exact = all(len(step.likeliest) == vocabulary for step in steps)
    logprobs = [step.logprob if step.logprob > IMPOSSIBLE else -math.inf for step in steps]
    return Reading(
        tokens=tokens,
        token_entropy=np.array([low for low, _ in bounds], np.float32),
        token_logprob=np.array(logprobs, np.float32),
        label_steps=tuple(
            LabelStep(t, label, *_label_masses(steps[t], labels))
            for t, label in begun_labels(tokens, labels).items()
        ),
        token_entropy_high=(None if exact else np.array([high for _, high in bounds], np.float32)),
    )


def _normalised(step: TopKStep, vocabulary: int | None) -> TopKStep:
    """Divide the probabilities by their sum where that is to be 1, as a softmax does."""
    total = float(np.exp([p for _, p in step.likeliest]).sum())
    whole = len(step.likeliest) == vocabulary
    if abs(total - 1) > ROUNDING or not (whole or total > 1):
        return step
    shift = math.log(total)
    likeliest = [(token, p - shift) for token, p in step.likeliest]
    return TopKStep(step.token, step.logprob - shift, likeliest)


def _label_masses(
    step: TopKStep, labels: Sequence[Sequence[int]]
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Return ln p of each label's seen tokens, the most that its others hold, and all others."""
    own = () if step.token in dict(step.likeliest) else ((step.token, step.logprob),)
    seen = [(token, p) for token, p in (*step.likeliest, *own) if p > IMPOSSIBLE]
    smallest = min(math.exp(p) for token, p in step.likeliest if p > IMPOSSIBLE)
    rest = max(0.0, 1.0 - math.fsum(math.exp(p) for _, p in seen))
    logprobs, unseen = [], []
    listed = {token for token, _ in step.likeliest}
    for tokens in labels:
        spelled = set(tokens)
        parts = [p for token, p in seen if token in spelled]
        logprobs.append(float(np.logaddexp.reduce(parts)) if parts else -math.inf)
        others = spelled - listed - {token for token, _ in seen}
        unseen.append(min(rest, len(others) * smallest))
    return tuple(logprobs), tuple(unseen), rest
