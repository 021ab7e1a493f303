"""Readings: the measurements of one answer, as plain numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HiddenStates:
    """Hidden states and vision tokens of one answer, pooled, in float32.

    Attributes:
        context: Hidden state of the prompt's last token after the final norm, [width]
            (`hidden_states[-1]` in transformers).
        answer: Mean of the same over the generated tokens before the end token, [width]. If
            the answer reached max_new_tokens, the last token is left out, since its state was
            never computed. None if no token is left.
        vision: Mean of the vision tokens that enter the language model, [width of these];
            None if the prompt shows no image.
        dirichlet_energy: Of the vision tokens on their grid; None if the grid is unknown.
        layer_entropy: Entropy in nats of each layer's logit-lens prediction (final norm and
            head applied to its state) at each of the reading's `label_steps`, [steps, layers].
    """

    context: FloatArray
    answer: FloatArray | None
    vision: FloatArray | None
    dirichlet_energy: float | None
    layer_entropy: FloatArray

    @property
    def finite(self) -> bool:
        """Whether no number is NaN or infinite."""
        vectors = (self.context, self.answer, self.vision, self.layer_entropy)
        finite = all(np.isfinite(vector).all() for vector in vectors if vector is not None)
        return finite and (self.dirichlet_energy is None or math.isfinite(self.dirichlet_energy))


@dataclass(frozen=True, slots=True)
class LabelStep:
    """A step of generation that may be the answer position.

    Attributes:
        step: Its index.
        label: Index of the label that the step's token begins; None if it begins none.
        logprob: ln p of each label at the step, of the tokens that were seen: -inf where none of
            them was; () without labels.
        unseen: The most that the other tokens of each label may hold together, where only the
            likeliest tokens are known; () if all are.
        rest: The most that all tokens which were not seen hold together.
    """

    step: int
    label: int | None
    logprob: tuple[float, ...]
    unseen: tuple[float, ...] = ()
    rest: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether no log-probability is NaN or infinite, but of labels that were not seen."""
        return all(math.isfinite(p) or (bool(self.unseen) and p == -math.inf) for p in self.logprob)


@dataclass(frozen=True, slots=True)
class Reading:
    """The measurements of one answer.

    Attributes:
        tokens: Generated token ids before the end token.
        token_entropy: Entropy in nats at each generated token before the end token; at
            the end token itself if it came first. A lower bound where `token_entropy_high`
            is given.
        token_logprob: Log-probability of those tokens in nats; -inf where a serving engine said
            only that it is none of the likeliest.
        label_steps: The first step, and each whose token begins a label. Which of them is
            the answer position depends on the answer's text (`answer_position`).
        option_logprob: For each option, ln p of each of its tokens after the prompt.
        inside: The hidden states; None if they were not captured.
        token_entropy_high: Upper bound of each entropy, if only the probabilities of the k
            likeliest tokens are known, infinite where the vocabulary's size is not; None if
            entropies are exact.
    """

    tokens: tuple[int, ...]
    token_entropy: FloatArray
    token_logprob: FloatArray
    label_steps: tuple[LabelStep, ...]
    option_logprob: tuple[FloatArray, ...] = ()
    inside: HiddenStates | None = None
    token_entropy_high: FloatArray | None = None

    @property
    def finite(self) -> bool:
        """Whether no measurement is NaN or infinite, but those that an engine left open."""
        high, logprob = self.token_entropy_high, self.token_logprob
        if high is not None:
            logprob = logprob[logprob != -np.inf]
        parts = [self.token_entropy, logprob, *self.option_logprob]
        finite = all(np.isfinite(part).all() for part in parts)
        # No upper bound is known where it is infinite; NaN is none.
        finite = finite and (high is None or bool((high >= self.token_entropy).all()))
        finite = finite and (self.inside is None or self.inside.finite)
        return finite and all(at.finite for at in self.label_steps)


def read_row(
    tokens: Sequence[int],
    entropy: FloatArray,
    logprob: FloatArray,
    label_logprobs: FloatArray,
    labels: Sequence[Sequence[int]],
    end_tokens: frozenset[int],
) -> Reading:
    """Cut one row of a batch at its end token and find the steps that begin a label.

    Args:
        tokens: Generated token ids, shape [T]; what follows the end token is padding.
        entropy: Entropy of the distribution at each step, nats, shape [T].
        logprob: Log-probability of each token, nats, shape [T].
        label_logprobs: Log-probability of each of the labels' tokens at each step, in the
            order of the flattened `labels`, shape [T, at least the sum of their lengths].
        labels: Token ids of each label.
        end_tokens: Tokens that end an answer.
    """
    length = next((t for t, token in enumerate(tokens) if token in end_tokens), len(tokens))
    measured = max(length, 1)
    begun = begun_labels(tokens[:length], labels)
    return Reading(
        tokens=tuple(tokens[:length]),
        token_entropy=entropy[:measured].copy(),
        token_logprob=logprob[:measured].copy(),
        label_steps=tuple(
            LabelStep(step, label, _sum_spellings(label_logprobs[step], labels))
            for step, label in begun.items()
        ),
    )


def begun_labels(tokens: Sequence[int], labels: Sequence[Sequence[int]]) -> dict[int, int | None]:
    """Return the first step, and each whose token begins a label, with the label's index.

    `tokens` are the generated ones before the end token, `labels` the token ids of each label.

    >>> begun_labels([7, 8, 5], [[4, 5], [8]])
    {0: None, 1: 1, 2: 0}
    """
    label_of = {token: index for index, spellings in enumerate(labels) for token in spellings}
    begun = {t: label_of[token] for t, token in enumerate(tokens) if token in label_of}
    return {0: None} | begun


def _sum_spellings(logprob: FloatArray, labels: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Sum the probabilities of each label's tokens, in log space."""
    ends = np.cumsum([len(spellings) for spellings in labels], dtype=int)
    parts = np.split(logprob[: ends[-1]].astype(np.float64), ends[:-1]) if len(ends) else []
    return tuple(float(np.logaddexp.reduce(part)) for part in parts)


def label_probabilities(logprob: Sequence[float]) -> tuple[tuple[float, ...], float]:
    """Return the labels' probabilities divided by their sum, and that sum.

    Computed in log space, so that it is correct where the sum underflows. The sum is clipped
    to 1, which rounding in float32 can exceed.

    >>> probs, mass = label_probabilities([math.log(0.3), math.log(0.1)])
    >>> [round(p, 6) for p in probs], round(mass, 6)
    ([0.75, 0.25], 0.4)
    """
    total = float(np.logaddexp.reduce(logprob))
    return tuple(math.exp(value - total) for value in logprob), min(math.exp(total), 1.0)


def confidence_bounds(at: LabelStep, label: int) -> tuple[float, float]:
    """Return the least and the greatest p(label) / sum over labels that unseen tokens allow.

    With s the labels' seen probabilities and u <= `unseen`, sum u <= `rest`, those of their other
    tokens, it is s / (sum s + u of the others) at least, and (s + u) / (sum s + u) at most.

    >>> at = LabelStep(0, 0, (math.log(0.6), math.log(0.2)), unseen=(0.2, 0.1), rest=0.2)
    >>> [round(bound, 6) for bound in confidence_bounds(at, 0)]
    [0.666667, 0.8]
    """
    if not at.unseen:
        probs, _ = label_probabilities(at.logprob)
        return probs[label], probs[label]
    seen = [math.exp(value) for value in at.logprob]
    own, total, more = seen[label], math.fsum(seen), at.unseen[label]
    others = min(at.rest, max(0.0, math.fsum(at.unseen) - more))
    low = own / (total + others) if own > 0 else 0.0
    return low, (own + more) / (total + more) if total > 0 else 1.0
