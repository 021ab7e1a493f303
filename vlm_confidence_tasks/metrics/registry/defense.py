"""Whether a threshold on entropy would have caught it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from operator import attrgetter

from vlm_confidence_tasks.metrics import intervals, reducers
from vlm_confidence_tasks.metrics.extractors import values
from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry.kinds import (
    ALWAYS,
    DOWN,
    NEITHER,
    UP,
)

# What docs/coverage.md measured: few clean entropies decide where the threshold lies.
_HELD = "; its interval holds in 88 to 97%"

# "Above" is above the 95th percentile of clean entropies.
_DEFENSE = (
    ("defense_reject_clean", "reject_clean", NEITHER, "share of clean images above the threshold"),
    (
        "defense_reject",
        "reject",
        UP,
        "share of perturbed images above the entropy threshold" + _HELD,
    ),
    ("defense_bypass", "bypass", DOWN, "share of perturbed images that pass the threshold" + _HELD),
    ("defense_auroc", "auroc", UP, "AUROC of entropy, perturbed against clean; < 0.5: inverted"),
)


def metrics() -> Iterator[Metric]:
    """Yield what a threshold on entropy rejects."""
    for name, field, better, text in _DEFENSE:
        shown = intervals.of_defense if field == "auroc" else intervals.of_threshold
        measure = attrgetter(field)
        reduce = partial(reducers.from_defense, measure)
        # The threshold is set to reject 5% of clean images: that share estimates nothing.
        interval = None if field == "reject_clean" else partial(shown, measure)
        yield Metric(name, values.entropies, reduce, interval, ALWAYS, better, text)
