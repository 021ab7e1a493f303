"""Numbers of generated answers: correctness, entropy, confidence, flips.

Each function takes a sample and some of its Readouts, and returns one number a Readout:
an empty list where the measure does not apply to the sample, and nothing for a Readout
whose backend gave no logits. The metric is the mean of these over all samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from operator import attrgetter

from vlm_confidence_tasks.metrics.functional.calibration import log_probability
from vlm_confidence_tasks.metrics.functional.entropy import visual_entropy
from vlm_confidence_tasks.metrics.sample import Sample
from vlm_confidence_tasks.types import Readout

Readouts = Sequence[Readout]
# Confidence of each answer, and whether it is right.
Pairs = Callable[[Sample, Readouts], list[tuple[float, bool]]]


def correct(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer is right; an answer that could not be read is wrong."""
    return [] if sample.gold is None else [float(bool(r.correct)) for r in readouts]


def upstream(sample: Sample, readouts: Readouts) -> list[float]:
    """Upstream's own score of the clean text: one number a sample, as upstream's task has it.

    Of all samples, also of those without a perturbed answer, so that the mean is upstream's.
    """
    return [] if sample.upstream_clean is None else [sample.upstream_clean]


def said_yes(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer to a yes-no question is "Yes"; source: Li et al. 2023 (POPE)."""
    if sample.positive is None or "Yes" not in sample.labels:
        return []
    return [float(r.answer == "Yes") for r in readouts]


def invalid(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether no label could be read from each answer."""
    return [float(r.answer is None) for r in readouts] if sample.labels else []


def position_unknown(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether the answer position of each measured answer is unknown."""
    if not sample.labels:
        return []
    return [float(r.position_unknown) for r in readouts if r.logprob is not None]


def bounded(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer's entropy is known only within bounds too wide for one number.

    Nothing where every entropy is exact.
    """
    return [float(r.entropy is None) for r in readouts if r.entropy_low is not None]


def lower_bound(sample: Sample, readouts: Readouts) -> list[float]:
    """Lower bound of each answer's entropy, in nats, where bounds are all that is known."""
    return [r.entropy_low for r in readouts if r.entropy_low is not None]


def upper_bound(sample: Sample, readouts: Readouts) -> list[float]:
    """Upper bound likewise; nothing where the size of the vocabulary is unknown."""
    return [r.entropy_high for r in readouts if r.entropy_high is not None]


def unsettled(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether the k likeliest tokens leave an answer's label probabilities open.

    Of answers whose position is known; nothing where every entropy is exact.
    """
    if not sample.labels:
        return []
    found = [r for r in readouts if r.entropy_low is not None and not r.position_unknown]
    return [float(r.probs is None) for r in found]


def answer_mass(sample: Sample, readouts: Readouts) -> list[float]:
    """Probability of all labels together at the answer position."""
    if not sample.labels:
        return []
    return [r.answer_mass for r in readouts if r.answer_mass is not None]


def confidence(sample: Sample, readouts: Readouts) -> list[float]:
    """Probability of each answer that could be read."""
    return [r.confidence for r in readouts if r.confidence is not None] if sample.labels else []


def calibrated(sample: Sample, readouts: Readouts) -> list[tuple[float, bool]]:
    """Confidence and correctness of each answer that has both."""
    if sample.gold is None or not sample.labels:
        return []
    return [(r.confidence, bool(r.correct)) for r in readouts if r.confidence is not None]


def squared_gap(pairs: Pairs, sample: Sample, readouts: Readouts) -> list[float]:
    """(confidence - correct)^2 of the given answer, not over all labels; source: Brier 1950."""
    return [(confidence - right) ** 2 for confidence, right in pairs(sample, readouts)]


def gold_surprise(sample: Sample, readouts: Readouts) -> list[float]:
    """-ln probs[gold] in nats, over the instances that the other calibration measures use."""
    gold = sample.gold
    if gold is None or not sample.labels:
        return []
    found = [r.probs[gold] for r in readouts if r.probs is not None and r.confidence is not None]
    return [-log_probability(probability) for probability in found]


def entropy(sample: Sample, readouts: Readouts) -> list[float]:
    """Mean token entropy of each answer whose counterpart has one too, in nats."""
    return _where_both(attrgetter("entropy"), sample, readouts)


def entropy_difference(sample: Sample, readouts: Readouts) -> list[float]:
    """Entropy of each answer minus the clean answer's, in nats."""
    clean = sample.clean.entropy
    return [] if clean is None else [value - clean for value in entropy(sample, readouts)]


def entropy_at_answer(sample: Sample, readouts: Readouts) -> list[float]:
    """Entropy over the vocabulary at the answer position of each answer, likewise."""
    return _where_both(attrgetter("entropy_answer"), sample, readouts)


def _where_both(
    number: Callable[[Readout], float | None], sample: Sample, readouts: Readouts
) -> list[float]:
    """Take a number of each answer, clean or perturbed, of the pairs in which both have it."""
    if number(sample.clean) is None:
        return []
    if readouts is not sample.perturbed:
        readouts = list(compress(readouts, [number(r) is not None for r in sample.perturbed]))
    return [found for found in map(number, readouts) if found is not None]


def entropy_at_answer_difference(sample: Sample, readouts: Readouts) -> list[float]:
    """That entropy minus the clean answer's, in nats."""
    clean = sample.clean.entropy_answer
    return [] if clean is None else [h - clean for h in entropy_at_answer(sample, readouts)]


def entropy_drop(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer's entropy is under the clean one's; "The Confidence Trap", 4."""
    return [float(difference < 0) for difference in entropy_difference(sample, readouts)]


def flip(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer is another than the clean one (IFR); unparsed is an answer too.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).
    """
    if not sample.labels:
        return []
    return [float(r.answer != sample.clean.answer) for r in readouts]


def any_flip(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether any answer is another than the clean one (IV): one number a sample.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).
    """
    flips = flip(sample, readouts)
    return [max(flips)] if flips else []


def answer_entropy(sample: Sample, readouts: Readouts) -> list[float]:
    """Entropy of the answers to the clean image and its variants, in nats."""
    if not sample.labels or not readouts:
        return []
    return [visual_entropy([sample.clean.answer, *(r.answer for r in readouts)])]


def broken(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer is wrong, where the clean one is right: R->W / (R->W + R->R)."""
    if not sample.clean.correct:
        return []
    return [1.0 - right for right in correct(sample, readouts)]


def repaired(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer is right, where the clean one is wrong: W->R / (W->R + W->W)."""
    return [] if sample.clean.correct else correct(sample, readouts)


def repaired_where_named(right: bool, sample: Sample, readouts: Readouts) -> list[float]:
    """`repaired`, of the overlays that named the right answer, or of those that named another.

    An overlay never names the clean answer: where that is wrong, it may give the right one away.
    """
    named = [r for r in readouts if r.overlay_label is not None]
    return repaired(sample, [r for r in named if (r.overlay_label == sample.gold) == right])


def false_positive_repaired(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer is "No", where gold is "No" and the clean answer "Yes".

    An unparsed answer is no correction. Source: "Same Answer, Different Representations"
    (arXiv 2602.06652), on POPE.
    """
    return _corrected(sample, readouts, right="No", wrong="Yes")


def false_negative_repaired(sample: Sample, readouts: Readouts) -> list[float]:
    """Whether each answer is "Yes", where gold is "Yes" and the clean answer "No".

    A clean answer that could not be read is no false negative. Source: as above.
    """
    return _corrected(sample, readouts, right="Yes", wrong="No")


def _corrected(sample: Sample, readouts: Readouts, right: str, wrong: str) -> list[float]:
    if sample.positive != "Yes" or sample.gold != right or sample.clean.answer != wrong:
        return []
    return [float(r.answer == right) for r in readouts]
