"""Answers on clean and on perturbed images: are they right, and how sure."""

from __future__ import annotations

import numpy as np

from vlm_confidence_tasks.metrics.answers import Answers
from vlm_confidence_tasks.metrics.catalogue.metric import (
    BOTH,
    DOCUMENTS,
    DOWN,
    MEAN_HELD,
    PERTURBED,
    RATE_HELD,
    UP,
    Metric,
    only,
)
from vlm_confidence_tasks.metrics.functional.calibration import log_probability
from vlm_confidence_tasks.metrics.functional.checks import Floats, any_number
from vlm_confidence_tasks.metrics.statistics.calibration_errors import confidence, correct
from vlm_confidence_tasks.metrics.statistics.means import POSITIVE, SHARE, Mean, Rate
from vlm_confidence_tasks.metrics.statistics.ratios import CountRatio
from vlm_confidence_tasks.metrics.statistics.thresholds import entropy


def said_yes(answers: Answers) -> Floats:
    """Whether each answer to a yes-no question is "Yes"; source: Li et al. 2023 (POPE)."""
    return only(answers.asks_yes_no, answers.said == 1.0)


def entropy_at_answer(answers: Answers) -> Floats:
    """Entropy over the vocabulary at the answer position, where the counterpart has one, nats."""
    return only(~np.isnan(answers.counterpart.entropy_answer), answers.entropy_answer)


def gold_surprise(answers: Answers) -> Floats:
    """-ln p(right label) in nats, over the answers that the other calibration measures use."""
    surprise = -log_probability(answers.label_prob(answers.gold))
    return only(~np.isnan(answers.confidence), surprise)


def invalid(answers: Answers) -> Floats:
    """Whether no label could be read from each answer."""
    return only(answers.labelled, answers.answer < 0)


def answer_mass(answers: Answers) -> Floats:
    """Probability of all labels together at the answer position."""
    return only(answers.labelled, answers.answer_mass)


def position_unknown(answers: Answers) -> Floats:
    """Whether the answer position of each measured answer is unknown."""
    return only(answers.labelled & ~np.isnan(answers.logprob), answers.position_unknown)


def bounded(answers: Answers) -> Floats:
    """Whether each entropy that has bounds is known only within bounds too wide for one number."""
    return only(~np.isnan(answers.entropy_low), np.isnan(answers.entropy))


def width(answers: Answers) -> Floats:
    """How far apart the bounds of each confidence are."""
    gap: Floats = answers.confidence_high - answers.confidence_low
    return gap


def confidence_open(answers: Answers) -> Floats:
    """Whether each confidence that has bounds is known only within bounds too wide for one."""
    return only(~np.isnan(answers.confidence_low), np.isnan(answers.confidence))


def truncated(answers: Answers) -> Floats:
    """Whether the limit of tokens cut each answer off, in tasks where it did one."""
    return _said_of_any(answers, "truncated")


def filtered(answers: Answers) -> Floats:
    """Whether a content filter withheld each answer or a part, in tasks where it did one."""
    return _said_of_any(answers, "filtered")


def other_model(answers: Answers) -> Floats:
    """Whether another model than was asked gave each answer, in tasks where it did one."""
    return _said_of_any(answers, "other_model")


def _said_of_any(answers: Answers, name: str) -> Floats:
    """Return what engines say of each answer; NaN in tables where they say it of none."""
    found = getattr(answers, name)
    whole = found if answers.whole is None else getattr(answers.whole, name)
    return only(np.full(found.shape, whole.any()), found)


def unsettled(answers: Answers) -> Floats:
    """Whether the k likeliest tokens leave the label probabilities open, at a known position."""
    asked = answers.labelled & ~np.isnan(answers.entropy_low) & ~answers.position_unknown
    return only(asked, ~any_number(answers.probs))


METRICS = (
    Metric(
        "accuracy",
        Rate(correct),
        "share of right answers to {images}",
        higher_is_better=UP,
        sides=BOTH,
        core=BOTH,
        per_image=True,
        limits=RATE_HELD,
        needs="1,000",
        cannot_tell="whether wrong answers are guesses or refusals: see `refusal_rate`",
    ),
    Metric(
        "yes_ratio",
        Rate(said_yes),
        'share of answers to {images} that are "Yes"',
        sides=BOTH,
        needs="500",
        cannot_tell="whether the balance of the data or of the model moved it",
    ),
    Metric(
        "entropy",
        Mean(entropy, POSITIVE),
        "mean token entropy on {images}, in nats",
        sides=BOTH,
        core=BOTH,
        per_image=True,
        limits=MEAN_HELD,
        cannot_tell="which of several right wordings were in doubt; compare only within a model",
    ),
    Metric(
        "entropy_answer",
        Mean(entropy_at_answer, POSITIVE),
        "mean entropy at the answer position on {images}, in nats",
        sides=BOTH,
        cannot_tell="doubt about the words around the answer",
    ),
    Metric(
        "confidence",
        Mean(confidence, SHARE),
        "mean probability of the answers to {images}, without unparsed ones",
        sides=BOTH,
        core=BOTH,
        per_image=True,
        limits=MEAN_HELD,
        cannot_tell="how likely any label is: see `answer_mass`",
    ),
    Metric(
        "nll",
        Mean(gold_surprise, POSITIVE),
        "mean -ln p(right label) on {images}, in nats",
        higher_is_better=DOWN,
        sides=BOTH,
        needs="500",
        cannot_tell="typical answers: a few confident errors decide it",
    ),
    Metric(
        "invalid_rate",
        Rate(invalid),
        "share of answers to {images} that name no label",
        higher_is_better=DOWN,
        sides=BOTH,
        core=PERTURBED,
        per_image=True,
        limits=RATE_HELD,
        cannot_tell="why: refusals are in `refusal_rate`, the texts in the samples",
    ),
    Metric(
        "refusal_rate",
        Rate(lambda a: a.refused),
        "share of answers to {images} that refuse: they name no label, and say they cannot",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="refusals in words that are not in `benchmarks/refusals.py`",
    ),
    Metric(
        "answer_mass",
        Mean(answer_mass, SHARE),
        "mean probability of all labels on {images}",
        higher_is_better=UP,
        sides=BOTH,
        cannot_tell="which label; where it is low, `confidence` says little",
    ),
    Metric(
        "position_unknown",
        Rate(position_unknown),
        "share of answers to {images} whose label begins at no known token: no confidence",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="how sure these answers were: they are in no calibration",
    ),
    Metric(
        "entropy_low",
        Mean(lambda a: a.entropy_low, POSITIVE),
        "mean lower bound of the entropy on {images}, in nats, from the k likeliest tokens",
        sides=BOTH,
        cannot_tell="where between the bounds the entropy lies",
    ),
    Metric(
        "entropy_high",
        Mean(lambda a: a.entropy_high, POSITIVE),
        "mean upper bound of the entropy on {images}, in nats, from the k likeliest tokens",
        sides=BOTH,
        cannot_tell="as `entropy_low`; absent where the size of the vocabulary is unknown",
    ),
    Metric(
        "entropy_bounded",
        Rate(bounded),
        "share of answers to {images} with bounds in place of an entropy: in no other entropy",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="the mean entropy of all answers: these are the doubtful ones",
    ),
    Metric(
        "probs_unsettled",
        Rate(unsettled),
        "share of answers to {images} with a label outside the k likeliest tokens: no `nll`",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="the mean `nll` of all answers: sure and doubtful ones are left out",
    ),
    Metric(
        "confidence_low",
        Mean(lambda a: a.confidence_low, SHARE),
        "mean lower bound of the confidence on {images}, from the k likeliest tokens",
        sides=BOTH,
        cannot_tell="where between the bounds the confidence lies",
    ),
    Metric(
        "confidence_high",
        Mean(lambda a: a.confidence_high, SHARE),
        "mean upper bound of the confidence on {images}, from the k likeliest tokens",
        sides=BOTH,
        cannot_tell="as `confidence_low`",
    ),
    Metric(
        "confidence_width",
        Mean(width, SHARE),
        "mean difference of the bounds of the confidence on {images}",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="how far `confidence` is off: it lies anywhere between them",
    ),
    Metric(
        "confidence_open",
        Rate(confidence_open),
        "share of answers to {images} with bounds too far apart for a confidence: in no "
        "calibration",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="how sure these answers were: their bounds are in the samples",
    ),
    Metric(
        "truncated_rate",
        Rate(truncated),
        "share of answers to {images} that the limit of tokens cut off, as the engine says",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="whether the label came before; absent where an engine says it of no answer",
    ),
    Metric(
        "filtered_rate",
        Rate(filtered),
        "share of answers to {images} that a server's content filter withheld, whole or in part",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="why; absent where a server says it of no answer",
    ),
    Metric(
        "other_model_rate",
        Rate(other_model),
        "share of answers to {images} from another model than was asked, as the server says",
        higher_is_better=DOWN,
        sides=BOTH,
        cannot_tell="which: the samples name it; absent where it is none",
    ),
    Metric(
        "accuracy_upstream_clean",
        Rate(lambda a: a.upstream),
        "upstream's own score of the answers to {images}",
        higher_is_better=UP,
        sides=DOCUMENTS,
        needs="1,000",
        cannot_tell='perturbed images; it is strict: "Yes." is wrong in POPE',
    ),
    Metric(
        "precision",
        CountRatio(lambda a: a.gold_positive, lambda a: a.said_positive, (1, 1, 1, 0)),
        "share of positive answers to {images} that are right",
        higher_is_better=UP,
        sides=BOTH,
        needs="500 of each class",
        cannot_tell='POPE against AMBER: "Yes" is positive in POPE, "No" in AMBER',
    ),
    Metric(
        "recall",
        CountRatio(lambda a: a.gold_positive, lambda a: a.said_positive, (1, 1, 0, 1)),
        "share of positive documents answered positive on {images}",
        higher_is_better=UP,
        sides=BOTH,
        needs="500 of each class",
        cannot_tell="as `precision`",
    ),
    Metric(
        "f1",
        CountRatio(lambda a: a.gold_positive, lambda a: a.said_positive, (2, 2, 1, 1)),
        "harmonic mean of precision and recall on {images}",
        higher_is_better=UP,
        sides=BOTH,
        core=BOTH,
        needs="500 of each class",
        cannot_tell="as `precision`",
    ),
)
