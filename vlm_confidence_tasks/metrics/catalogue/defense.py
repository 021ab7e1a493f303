"""Whether a threshold on entropy would have caught it."""

from __future__ import annotations

from operator import attrgetter

from vlm_confidence_tasks.metrics.catalogue.metric import DOWN, PERTURBED, UP, Metric
from vlm_confidence_tasks.metrics.statistics.thresholds import EntropyThreshold

# What the coverage study measured: few clean entropies decide where the threshold lies.
HELD = "its interval holds in 84 to 100%"

# The threshold is the 95th percentile of clean entropies.
METRICS = (
    Metric(
        "defense_reject_clean",
        EntropyThreshold(attrgetter("reject_clean"), bounded=False),
        "share of clean images above the threshold",
        cannot_tell="anything: it is 0.05 by construction, ties apart",
    ),
    Metric(
        "defense_reject",
        EntropyThreshold(attrgetter("reject")),
        "share of perturbed images above the entropy threshold",
        higher_is_better=UP,
        limits=HELD,
        cannot_tell="other thresholds: see `defense_auroc`",
    ),
    Metric(
        "defense_bypass",
        EntropyThreshold(attrgetter("bypass")),
        "share of perturbed images that pass the threshold",
        higher_is_better=DOWN,
        limits=HELD,
        cannot_tell="as `defense_reject`",
    ),
    Metric(
        "defense_auroc",
        EntropyThreshold(attrgetter("auroc"), rejects=False),
        "AUROC of entropy, perturbed against clean; < 0.5: inverted",
        higher_is_better=UP,
        core=PERTURBED,
        cannot_tell="the rates at one threshold: see `defense_reject`",
    ),
)
