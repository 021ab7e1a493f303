"""How the answers to one document spread."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def visual_entropy(answers: Sequence[str | None]) -> float:
    """Entropy of the answers to one document, in nats.

    -sum over distinct answers a of n_a/n ln(n_a/n): 0 if all agree.

    Args:
        answers: The answers to the clean image and to its variants, [1 + V]; None for one that
            could not be read, which is an answer of its own.

    Raises:
        ValueError: There are no answers.

    Source: "Same Answer, Different Representations" (arXiv 2602.06652).

    >>> round(visual_entropy(["Yes", "Yes", "No", None]), 4)
    1.0397
    """
    if not answers:
        raise ValueError(f"answers must not be empty, got {answers!r}")
    counts = sorted(Counter(answers).values())
    # The form ln n - sum(n_a ln n_a)/n would leave rounding noise where all agree.
    return math.fsum(n / len(answers) * math.log(len(answers) / n) for n in counts)
