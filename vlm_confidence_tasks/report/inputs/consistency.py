"""Whether a results file's numbers are those of the samples beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vlm_confidence_tasks.metrics import expected_calibration_error
from vlm_confidence_tasks.report.inputs.samples import Pairs, SamplesFile

TOLERANCE = 1e-9


def quick_numbers(rows: SamplesFile) -> dict[str, float]:
    """Compute the metrics that need little time, from the rows alone.

    Between them they depend on every answer, its correctness, confidence and entropy,
    so that a samples file of another run, or one that was changed, does not pass.
    """
    numbers = dict(_sided("_clean", rows.clean))
    numbers.update(_sided("", rows.pairs))
    flips = [row.clean.answer != answer.answer for row, answer in rows.pairs if row.labels]
    return numbers | _mean("ifr", flips)


def _sided(suffix: str, pairs: Pairs) -> Iterator[tuple[str, float]]:
    right = [bool(answer.correct) for row, answer in pairs if row.gold is not None]
    entropy = [answer.entropy for _, answer in pairs if answer.entropy is not None]
    answers = [answer for row, answer in pairs if row.labels]
    sure = [answer.confidence for answer in answers if answer.confidence is not None]
    yield from _mean(f"accuracy{suffix}", right).items()
    yield from _mean(f"entropy{suffix}", entropy).items()
    yield from _mean(f"confidence{suffix}", sure).items()
    yield from _mean(f"invalid_rate{suffix}", [a.answer is None for a in answers]).items()
    confidence, correct = calibrated(pairs)
    if confidence:
        yield f"ece{suffix}", expected_calibration_error(confidence, correct)


def calibrated(pairs: Pairs) -> tuple[list[float], list[bool]]:
    """Return confidence and correctness of the answers that have both."""
    held = [
        (answer.confidence, bool(answer.correct))
        for row, answer in pairs
        if answer.confidence is not None and row.labels and row.gold is not None
    ]
    return [sure for sure, _ in held], [right for _, right in held]


def _mean(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: float(np.mean(values))} if values else {}


def disagreement(
    reported: Mapping[str, float], computed: Mapping[str, float], names: Sequence[str]
) -> str | None:
    """Say which of the named metrics differ between results file and samples, if any do.

    >>> disagreement({"ece": 0.5}, {"ece": 0.5, "ifr": 0.1}, ["ece"]) is None
    True
    >>> disagreement({"ece": 0.5}, {"ece": 0.4}, ["ece"])
    'ece is 0.5 there, 0.4 from the samples'
    """
    wrong = [name for name in names if not _same(reported.get(name), computed.get(name))]
    if not wrong:
        return None
    name = wrong[0]
    more = f", and {len(wrong) - 1} more differ" if wrong[1:] else ""
    return f"{name} is {reported.get(name)} there, {computed.get(name)} from the samples{more}"


def _same(reported: float | None, computed: float | None) -> bool:
    if reported is None or computed is None:
        return reported is computed
    return math.isclose(reported, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
