"""Whether a results file's numbers are those of the samples beside it."""

import math
from collections.abc import Mapping, Sequence

TOLERANCE = 1e-9


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
