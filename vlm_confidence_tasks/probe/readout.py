"""Combines a Reading and an answer's text into the Readout that metrics use."""

import math
import os
from typing import Any

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.probe.reading import (
    LabelStep,
    Reading,
    confidence_bounds,
    label_probabilities,
)
from vlm_confidence_tasks.types import Question, Readout, Variant

# Bounds of an entropy that differ by less, in nats, are reported as one value.
SAME_ENTROPY = 1e-3
# The probabilities of all labels are given where no label's unseen tokens may hold more.
SAME_PROBABILITY = 1e-3
# How far apart the bounds of a confidence may be for it to be given, unless the variable says
# otherwise.
MAX_WIDTH = "VLM_CONFIDENCE_MAX_WIDTH"
USUAL_WIDTH = 0.05


def max_width() -> float:
    """Return how far apart the bounds of a confidence may be.

    Raises:
        TaskError: The environment variable is no number from 0 to 1.
    """
    value = os.environ.get(MAX_WIDTH) or str(USUAL_WIDTH)
    try:
        width = float(value)
    except ValueError:
        width = math.nan
    if not 0 <= width <= 1:
        raise TaskError(f"{MAX_WIDTH} is {value!r}, expected a number from 0 to 1")
    return width


def make_readout(
    question: Question,
    variant: Variant,
    image_sha256: str,
    text: str,
    answer: str | None,
    correct: bool | None,
    reading: Reading | None,
    position: LabelStep | None,
    loglik: bool = False,
    widest: float = USUAL_WIDTH,
) -> Readout:
    """Build the readout of one answer, with the options' scores where its task has them (`loglik`).

    Without a reading (a backend without logits) it has no numbers, without a position of the
    answer no probabilities. A confidence of which only bounds are known is given where these are
    at most `widest` apart.
    """
    measured: dict[str, Any] = {}
    if reading is not None:
        measured = _tokens(reading)
        if question.labels and reading.label_steps:
            measured |= _labels(question, answer, position, widest)
            measured |= _at_answer(reading, position)
            if reading.token_entropy_high is not None:
                measured |= _bounds(question, answer, position)
        if loglik and reading.option_logprob:
            measured |= _options(question, reading)
    return Readout.of(variant, image_sha256, text, answer, correct, **measured)


def _tokens(reading: Reading) -> dict[str, Any]:
    entropies = tuple(float(value) for value in reading.token_entropy)
    entropy = sum(entropies) / len(entropies)
    mean = float(reading.token_logprob.mean(dtype="float64"))
    logprob = mean if math.isfinite(mean) else None
    if reading.token_entropy_high is None:
        return {"token_entropy": entropies, "entropy": entropy, "logprob": logprob}
    high = sum(map(float, reading.token_entropy_high)) / len(entropies)
    return {
        "entropy": _middle(entropy, high),
        "entropy_low": entropy,
        "entropy_high": high if math.isfinite(high) else None,
        "logprob": logprob,
    }


def _middle(low: float, high: float) -> float | None:
    """Return the middle of bounds that are near enough for one value."""
    return (low + high) / 2 if high - low < SAME_ENTROPY else None


def _at_answer(reading: Reading, position: LabelStep | None) -> dict[str, Any]:
    if position is None:
        return {"position_unknown": True}
    if position.label is None:
        return {}
    entropies = reading.token_entropy, reading.token_entropy_high
    low, high = (None if part is None else float(part[position.step]) for part in entropies)
    entropy = low if high is None or low is None else _middle(low, high)
    return {"answer_step": position.step, "entropy_answer": entropy}


def _labels(
    question: Question, answer: str | None, position: LabelStep | None, widest: float
) -> dict[str, Any]:
    """Return what is read from the labels' probabilities, as far as seen tokens settle them."""
    if position is None or not position.logprob or max(position.logprob) == -math.inf:
        return {}
    logprob = dict(zip(question.labels, position.logprob, strict=True))
    values, mass = label_probabilities(position.logprob)
    probs = dict(zip(question.labels, values, strict=True))
    widths = dict(zip(question.labels, _widths(position), strict=True))
    known = answer is not None and widths[answer] <= widest
    sure = {"confidence": probs[answer] if answer is not None and known else None}
    if not _settled(position) or max(widths.values()) > widest:
        return sure
    best, second = sorted(logprob.values(), reverse=True)[:2]
    gold_margin = _gold_margin(logprob, question.gold)
    return {
        "probs": probs,
        "answer_mass": mass,
        **sure,
        "margin": _finite(best - second),
        "gold_margin": None if gold_margin is None else _finite(gold_margin),
    }


def _widths(position: LabelStep) -> list[float]:
    """Return how far apart the bounds of each label's confidence are."""
    if not position.unseen:
        return [0.0] * len(position.logprob)
    bounds = (confidence_bounds(position, n) for n in range(len(position.logprob)))
    return [high - low for low, high in bounds]


def _settled(position: LabelStep) -> bool:
    """Whether each label was seen, or cannot be, and its unseen tokens hold next to nothing."""
    labels = zip(position.logprob, position.unseen, strict=False)
    return all(
        unseen <= SAME_PROBABILITY and (unseen == 0 or logprob > -math.inf)
        for logprob, unseen in labels
    )


def _bounds(question: Question, answer: str | None, position: LabelStep | None) -> dict[str, Any]:
    if answer is None or position is None or not position.logprob:
        return {}
    low, high = confidence_bounds(position, question.labels.index(answer))
    return {"confidence_low": low, "confidence_high": high}


def _finite(value: float) -> float | None:
    """Return a number; None for a margin over a label that cannot be."""
    return value if math.isfinite(value) else None


def _gold_margin(logprob: dict[str, float], gold: str | None) -> float | None:
    if gold is None:
        return None
    return logprob[gold] - max(value for label, value in logprob.items() if label != gold)


def _options(question: Question, reading: Reading) -> dict[str, Any]:
    scores = list(zip(question.labels, reading.option_logprob, strict=True))
    return {
        "option_logprob": {k: float(score.sum(dtype="float64")) for k, score in scores},
        "option_logprob_mean": {k: float(score.mean(dtype="float64")) for k, score in scores},
    }
