"""Combines a Reading and an answer's text into the Readout that metrics use."""

import math
from typing import Any

from vlm_confidence_tasks.probe.reading import LabelStep, Reading, label_probabilities
from vlm_confidence_tasks.types import Question, Readout, Variant

# Bounds of an entropy that differ by less, in nats, are reported as one value.
SAME_ENTROPY = 1e-3


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
) -> Readout:
    """Build the readout of one answer, with the options' scores where its task has them (`loglik`).

    Without a reading (a backend without logits) it has no numbers, without a position of the
    answer no probabilities.
    """
    measured: dict[str, Any] = {}
    if reading is not None:
        measured = _tokens(reading)
        if question.labels and reading.label_steps:
            measured |= _labels(question, answer, position) | _at_answer(reading, position)
        if loglik and reading.option_logprob:
            measured |= _options(question, reading)
    return Readout.of(variant, image_sha256, text, answer, correct, **measured)


def _tokens(reading: Reading) -> dict[str, Any]:
    entropies = tuple(float(value) for value in reading.token_entropy)
    entropy = sum(entropies) / len(entropies)
    logprob = float(reading.token_logprob.mean(dtype="float64"))
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


def _labels(question: Question, answer: str | None, position: LabelStep | None) -> dict[str, Any]:
    if position is None or not position.logprob:
        return {}
    logprob = dict(zip(question.labels, position.logprob, strict=True))
    values, mass = label_probabilities(position.logprob)
    probs = dict(zip(question.labels, values, strict=True))
    best, second = sorted(logprob.values(), reverse=True)[:2]
    return {
        "probs": probs,
        "answer_mass": mass,
        "confidence": None if answer is None else probs[answer],
        "margin": best - second,
        "gold_margin": _gold_margin(logprob, question.gold),
    }


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
