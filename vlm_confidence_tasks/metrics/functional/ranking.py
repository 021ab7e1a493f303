"""Whether confidence puts right answers above wrong ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vlm_confidence_tasks.metrics.functional.checks import (
    Bools,
    Floats,
    Ints,
    answered,
    flags,
    same_length,
    vector,
)


def auroc(score: ArrayLike, positive: ArrayLike) -> float | None:
    """Area under the ROC curve: the chance that a positive scores above a negative.

    AUROC = P(s+ > s-) + P(s+ = s-) / 2, so ties count a half whatever their order.

    Args:
        score: Score of each instance, [N], any finite numbers.
        positive: Whether each instance is a positive, [N].

    Returns:
        A number in [0, 1], 0.5 for scores that tell nothing; None if there are only
        positives or only negatives.

    Raises:
        ValueError: Empty or unequal columns, or a score that is not finite.

    Source: Hanley and McNeil 1982.

    >>> auroc([0.9, 0.8, 0.8, 0.1], [1, 1, 0, 0])
    0.875
    >>> auroc([0.9, 0.8], [1, 1]) is None
    True
    """
    score, positive = vector("score", score), flags("positive", positive)
    same_length(score=score, positive=positive)
    return auroc_of_ranks(dense_ranks(score), positive)


def dense_ranks(numbers: ArrayLike) -> Ints:
    """Return the place of each number among the distinct ones, from 0 on, [N].

    >>> dense_ranks([0.9, 0.1, 0.9]).tolist()
    [1, 0, 1]
    """
    column = np.asarray(numbers)
    # A stable sort, since numbers are often in order already, or nearly so.
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    ranks = np.zeros(column.size, dtype=np.intp)
    ranks[order[1:]] = np.cumsum(ordered[1:] != ordered[:-1])
    return ranks


def auroc_of_ranks(rank: Ints, positive: Bools) -> float | None:
    """AUROC of scores that are ranked already: a pass, where `auroc` sorts.

    Args:
        rank: `dense_ranks` of the scores, or some of them, [N].
        positive: Whether each instance is a positive, [N].

    Returns:
        As `auroc`; not checked: it is called for many subsets of the same columns.
    """
    hits = np.bincount(rank, positive)
    misses = np.bincount(rank) - hits
    below = np.cumsum(misses)
    # Whole numbers and halves of them, which these sums hold exactly.
    pairs, won = float(hits.sum() * below[-1]), float(hits @ (below - misses / 2.0))
    return won / pairs if pairs else None


@dataclass(frozen=True)
class RiskCoverageCurve:
    """What answering only above a confidence would cost, from the strictest on.

    Attributes:
        threshold: The distinct confidences, falling, [T].
        coverage: Share of answers with at least that confidence, [T].
        risk: Share of wrong answers among those, [T].
        count: Answers with exactly that confidence, [T].
        wrong: Wrong answers with exactly that confidence, [T].
    """

    threshold: Floats
    coverage: Floats
    risk: Floats
    count: Ints
    wrong: Ints


def risk_coverage_curve(confidence: ArrayLike, correct: ArrayLike) -> RiskCoverageCurve:
    """Compute risk against coverage at each distinct confidence.

    Equal confidences are accepted together, so the curve does not depend on order.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: El-Yaniv and Wiener 2010; Geifman and El-Yaniv 2017.

    >>> risk_coverage_curve([0.9, 0.5, 0.5], [1, 1, 0]).coverage.round(4).tolist()
    [0.3333, 1.0]
    """
    confidence, correct = answered(confidence, correct)
    threshold, index, count = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(index[~correct], minlength=count.size)
    accepted = np.cumsum(count)
    return RiskCoverageCurve(
        threshold=-threshold,
        coverage=accepted / confidence.size,
        risk=np.cumsum(wrong) / accepted,
        count=count,
        wrong=wrong,
    )


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve, in [0, 1]; lower is better.

    AURC = 1/N sum over k of risk(k), the risk of the k most confident answers. Within
    ties the errors are spread evenly, which is the mean over all orders of the ties.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Geifman et al. 2019, "Bias-reduced uncertainty estimation".

    >>> aurc([0.9, 0.5], [1, 0])
    0.25
    >>> aurc([0.5, 0.5], [1, 0]) == aurc([0.5, 0.5], [0, 1]) == 0.5
    True
    """
    confidence, correct = answered(confidence, correct)
    return aurc_of_ranks(dense_ranks(confidence), correct)


def aurc_of_ranks(rank: Ints, correct: Bools) -> float:
    """AURC of confidences that are ranked already, as `auroc_of_ranks`."""
    counts, wrong = np.bincount(rank), np.bincount(rank, ~correct)
    shown = np.flatnonzero(counts)[::-1]
    errors = np.cumsum(np.repeat(wrong[shown] / counts[shown], counts[shown]))
    return float(np.mean(errors / np.arange(1, errors.size + 1)))


def excess_aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """E-AURC: AURC less that of the best order, in which all right answers come first.

    The best order's is the mean over k of max(0, k - right answers) / k.

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Geifman et al. 2019, who approximate the best order's; here it is exact.

    >>> excess_aurc([0.9, 0.5], [1, 0]), excess_aurc([0.9, 0.5], [0, 1])
    (0.0, 0.5)
    """
    return aurc(confidence, correct) - _best_aurc(flags("correct", correct))


def _best_aurc(correct: Bools) -> float:
    ranks = np.arange(1, correct.size + 1)
    return float((np.maximum(ranks - np.count_nonzero(correct), 0) / ranks).mean())


def prediction_rejection_ratio(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """How much of the best order's gain over a random order confidence reaches; at most 1.

    With the accuracy of the answers that are left, over all shares of rejected ones, the area is
    1 - AURC, and that of a random order the accuracy: (e - AURC) / (e - best AURC), with the
    share e of wrong answers. Within ties the errors are spread evenly.

    Returns:
        0 for a confidence that tells nothing; None if all answers are right, or all wrong.

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Malinin and Gales 2021; lm-polygraph (Fadeeva et al. 2023).

    >>> prediction_rejection_ratio([0.9, 0.5], [1, 0])
    1.0
    >>> prediction_rejection_ratio([0.5, 0.5], [1, 0])
    0.0
    """
    area, right = aurc(confidence, correct), flags("correct", correct)
    if right.all() or not right.any():
        return None
    errors = np.count_nonzero(~right) / right.size
    return float((errors - area) / (errors - _best_aurc(right)))


def augrc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the generalised risk-coverage curve, in [0, 1/2]; lower is better.

    The generalised risk is the share of all answers that are given and wrong. Within ties it
    rises evenly. With accuracy a it is (1 - AUROC) a (1 - a) + (1 - a)^2 / 2.

    Args:
        confidence: Probability given to each answer, [N], in [0, 1].
        correct: Whether each answer is right, [N].

    Raises:
        ValueError: Empty or unequal columns, NaN, or a confidence outside [0, 1].

    Source: Traub et al. 2024 (arXiv 2407.01032).

    >>> augrc([0.9, 0.5], [1, 0]), augrc([0.9, 0.5], [0, 1])
    (0.125, 0.375)
    """
    confidence, correct = answered(confidence, correct)
    return augrc_of_ranks(dense_ranks(confidence), correct)


def augrc_of_ranks(rank: Ints, correct: Bools) -> float:
    """AUGRC of confidences that are ranked already, as `auroc_of_ranks`."""
    counts = np.bincount(rank)
    wrong = np.bincount(rank[~correct], minlength=counts.size)
    given = np.cumsum(wrong[::-1])[::-1]
    return float((given - wrong / 2.0) @ counts / rank.size**2)
