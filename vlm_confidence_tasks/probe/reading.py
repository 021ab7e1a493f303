"""What one call of generate() showed of one answer, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Captured:
    """What happened inside the model in one answer: vectors in float32, and a few numbers.

    Attributes:
        context: Hidden state of the prompt's last token after the final norm, [width]:
            what transformers gives as `hidden_states[-1]`.
        answer: Mean of the same over the generated tokens before the end token, [width]. The
            last one is left out where the answer was cut off by its greatest length, for no
            step computed its state; None if nothing is left.
        vision: Mean of the vision tokens that enter the language model, [width of these];
            None if the prompt shows no image.
        dirichlet_energy: Of the vision tokens on their grid; None where there is none.
        layer_entropy: Entropy in nats of the head's prediction from each layer's state, after
            the final norm, at the answer position, [layers].
    """

    context: FloatArray
    answer: FloatArray | None
    vision: FloatArray | None
    dirichlet_energy: float | None
    layer_entropy: FloatArray

    @property
    def finite(self) -> bool:
        """Whether all of it is usable (no NaN, no infinity)."""
        vectors = (self.context, self.answer, self.vision, self.layer_entropy)
        finite = all(np.isfinite(vector).all() for vector in vectors if vector is not None)
        return finite and (self.dirichlet_energy is None or math.isfinite(self.dirichlet_energy))


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers of one answer.

    Attributes:
        tokens: Generated token ids before the end token.
        token_entropy: Entropy in nats at each generated token before the end token; at
            the end token itself if it came first. A lower bound where `token_entropy_high`
            is given.
        token_logprob: Log-probability of those tokens in nats.
        label_logprob: ln p of each label at the answer position, () without labels.
        answer_step: Index of the first token that begins a label, or None if none does;
            `label_logprob` is then that of the first step.
        option_logprob: For each option that was scored after the prompt, ln p of each of
            its tokens.
        inside: What was captured inside the model; None if nothing was.
        token_entropy_high: Upper bound of each entropy, where only the likeliest tokens'
            probabilities are known; None where entropies are exact.
    """

    tokens: tuple[int, ...]
    token_entropy: FloatArray
    token_logprob: FloatArray
    label_logprob: tuple[float, ...]
    answer_step: int | None
    option_logprob: tuple[FloatArray, ...] = ()
    inside: Captured | None = None
    token_entropy_high: FloatArray | None = None

    @property
    def finite(self) -> bool:
        """Whether every logit behind these numbers was usable (no NaN, no infinity)."""
        parts = [self.token_entropy, self.token_logprob, *self.option_logprob]
        if self.token_entropy_high is not None:
            parts.append(self.token_entropy_high)
        finite = all(np.isfinite(part).all() for part in parts)
        finite = finite and (self.inside is None or self.inside.finite)
        return finite and all(map(math.isfinite, self.label_logprob))


def read_row(
    tokens: Sequence[int],
    entropy: FloatArray,
    logprob: FloatArray,
    label_logits: FloatArray,
    labels: Sequence[Sequence[int]],
    end_tokens: frozenset[int],
) -> Reading:
    """Cut one row of a batch at its end token and find the answer position.

    Args:
        tokens: Generated token ids, shape [T]; what follows the end token is padding.
        entropy: Entropy of the distribution at each step, nats, shape [T].
        logprob: Log-probability of each token, nats, shape [T].
        label_logits: Log-probability of each of the labels' tokens at each step, in the
            order of `labels` laid end to end, shape [T, sum of their lengths].
        labels: Token ids that say each label.
        end_tokens: Tokens that end an answer.
    """
    length = next((t for t, token in enumerate(tokens) if token in end_tokens), len(tokens))
    kept = max(length, 1)
    says = {token for spelled in labels for token in spelled}
    step = next((t for t in range(length) if tokens[t] in says), None)
    return Reading(
        tokens=tuple(tokens[:length]),
        token_entropy=entropy[:kept].copy(),
        token_logprob=logprob[:kept].copy(),
        label_logprob=_label_logprobs(label_logits[step or 0], labels),
        answer_step=step,
    )


def _label_logprobs(logits: FloatArray, labels: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Sum the probabilities of each label's tokens, in log space."""
    ends = np.cumsum([len(spelled) for spelled in labels], dtype=int)
    parts = np.split(logits[: ends[-1]].astype(np.float64), ends[:-1]) if len(ends) else []
    return tuple(float(np.logaddexp.reduce(part)) for part in parts)


def label_probabilities(logprob: Sequence[float]) -> tuple[tuple[float, ...], float]:
    """Return the labels' probabilities divided by their sum, and that sum.

    Computed from logarithms, so that it holds where the sum underflows. Rounding in
    float32 can lift the sum of all but certain labels above 1; it is held there.

    >>> probs, mass = label_probabilities([math.log(0.3), math.log(0.1)])
    >>> [round(p, 6) for p in probs], round(mass, 6)
    ([0.75, 0.25], 0.4)
    """
    total = float(np.logaddexp.reduce(logprob))
    return tuple(math.exp(value - total) for value in logprob), min(math.exp(total), 1.0)
