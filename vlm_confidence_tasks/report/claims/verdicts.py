"""One rule for all claims: from effects and bounds to verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vlm_confidence_tasks.metrics import Interval
from vlm_confidence_tasks.report.claims.claims import ALPHA, Part
from vlm_confidence_tasks.report.claims.effects import Effect

# What an interval says of a part: it holds, or is refuted in one of two ways, or neither.
Finding = Literal["holds", "inside the smallest effect", "opposite", "undecided"]
Verdict = Literal["supported", "refuted", "undecided at this sample", "not measured"]
NOT_MEASURED: Verdict = "not measured"
REFUTED = ("opposite", "inside the smallest effect")


@dataclass(frozen=True)
class Decision:
    """What was found of a part.

    Attributes:
        interval: The interval that was looked at last; None without one.
    """

    finding: Finding
    interval: Interval | None = None
    level: float | None = None


def find(part: Part, interval: Interval) -> Finding:
    """Hold an interval against a part's bound and against no effect."""
    sign = -1.0 if part.below else 1.0
    low, high = sorted((sign * interval.low, sign * interval.high))
    if low > sign * part.bound:
        return "holds"
    if high >= sign * part.bound:
        return "undecided"
    return "opposite" if high < sign * part.none else "inside the smallest effect"


def decide(tests: Sequence[tuple[Part, Effect]], alpha: float = ALPHA) -> list[Decision]:
    """Decide all parts together, by Holm's method on their intervals.

    Of m parts the intervals of level 1 - alpha / m are looked at; where some decide, the k others
    are looked at again at 1 - alpha / k, until none does. That is Holm's step-down of the
    p-values at which the intervals would just hold the bounds, without computing these. A part
    without an interval is undecided and does not count.

    Source: Holm 1979.
    """
    found = [Decision("undecided")] * len(tests)
    left = list(range(len(tests)))
    while left:
        level = 1.0 - alpha / len(left)
        intervals = {n: tests[n][1].at(level) for n in left}
        without = {n for n, interval in intervals.items() if interval is None}
        if without:
            # They are no tests: the others are looked at again without them.
            left = [n for n in left if n not in without]
            continue
        for n, interval in intervals.items():
            if interval is not None:
                found[n] = Decision(find(tests[n][0], interval), interval, level)
        undecided = [n for n in left if found[n].finding == "undecided"]
        if len(undecided) == len(left):
            break
        left = undecided
    return found


def verdict(findings: Sequence[Finding | None]) -> Verdict:
    """Join the findings on a claim's parts, None for one that was not measured.

    >>> verdict(["holds", "holds"]), verdict(["holds", None]), verdict(["opposite", None])
    ('supported', 'not measured', 'refuted')
    """
    if any(finding in REFUTED for finding in findings):
        return "refuted"
    if None in findings:
        return NOT_MEASURED
    return "undecided at this sample" if "undecided" in findings else "supported"
