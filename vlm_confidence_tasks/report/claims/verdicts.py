"""One rule for all claims: from effects and bounds to verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vlm_confidence_tasks.metrics import Interval
from vlm_confidence_tasks.metrics.inference.clusters import LEVEL, smallest_alpha
from vlm_confidence_tasks.report.claims.claims import ALPHA, Part
from vlm_confidence_tasks.report.claims.effects import Effect

# What an interval says of a part: it holds, or is refuted in one of two ways, or neither.
Finding = Literal["holds", "inside the smallest effect", "opposite", "undecided"]
Verdict = Literal["supported", "refuted", "undecided at this sample", "not measured"]
NOT_MEASURED: Verdict = "not measured"
REFUTED = ("opposite", "inside the smallest effect")
# The parts of a claim about one subject, with what was found of each; None if it is not measured.
Claimed = Sequence[tuple[Part, Effect | None]]


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


def decide(claims: Sequence[Claimed], alpha: float = ALPHA) -> list[list[Decision | None]]:
    """Decide all claims together: Holm's method over claims, an intersection-union test in each.

    Of k claims with an interval each is looked at with alpha / k; where some are decided, the
    others are looked at again with what they leave, until none is. That is Holm's step-down of the
    p-values at which the intervals would just hold the bounds, without computing these.

    Args:
        claims: The parts of each claim about one subject, with their effects; None for a part that
            is not measured.
        alpha: The chance of any wrong decision.

    Returns:
        The decision on each part; None where it is not measured.

    Source: Holm 1979; Berger 1982.
    """
    found = [[_decision(part, effect, 1.0 - alpha) for part, effect in parts] for parts in claims]
    left = [n for n, parts in enumerate(claims) if _tested(parts)]
    while left:
        for n in left:
            found[n] = _looked_at(claims[n], alpha / len(left))
        undecided = [n for n in left if _is_open(found[n])]
        if len(undecided) == len(left):
            break
        left = undecided
    return found


def _looked_at(parts: Claimed, alpha: float) -> list[Decision | None]:
    """Decide a claim's parts at a level.

    All hold if each does at the level itself: to be wrong, that must be wrong of any part that does
    not hold. One alone is decided, and may refute the claim, at the level divided by the number of
    parts.
    """
    together = [_decision(part, effect, 1.0 - alpha) for part, effect in parts]
    if all(each is not None and each.finding == "holds" for each in together):
        return together
    level = 1.0 - alpha / max(1, _tested(parts))
    return [_decision(part, effect, level) for part, effect in parts]


def _decision(part: Part, effect: Effect | None, level: float) -> Decision | None:
    if effect is None:
        return None
    interval = effect.at(level)
    if interval is None:
        return Decision("undecided")
    carried = one_image_decides_at(interval, level)
    return Decision("undecided" if carried else find(part, interval), interval, level)


def one_image_decides_at(interval: Interval, level: float) -> bool:
    """Whether one image carries too much of a mean's variance for a verdict at a level."""
    return smallest_alpha(interval.influence) > 1.0 - level


def _tested(parts: Claimed) -> int:
    """Return how many parts have an interval."""
    return sum(effect is not None and effect.at(LEVEL) is not None for _, effect in parts)


def _is_open(found: Sequence[Decision | None]) -> bool:
    """Whether a claim is neither supported nor refuted."""
    said = verdict([each.finding if each else None for each in found])
    return said not in ("supported", "refuted")


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
