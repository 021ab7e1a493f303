"""All metrics, one record each: a file for each thing that is measured.

A group is a tuple of records that are listed together for one source, channel, band or family
after the other.
"""

from __future__ import annotations

from vlm_confidence_tasks.metrics.catalogue import (
    answers,
    attacks,
    calibration,
    changes,
    defense,
    error_signals,
    flips,
    object_noise,
    options,
    repairs,
    representations,
    stated_certainty,
)
from vlm_confidence_tasks.metrics.catalogue.metric import Metric

GROUPS: tuple[tuple[Metric, ...], ...] = (
    answers.METRICS,
    changes.METRICS,
    flips.METRICS,
    flips.METRICS_BY_FAMILY,
    calibration.METRICS,
    repairs.METRICS,
    error_signals.METRICS,
    defense.METRICS,
    stated_certainty.METRICS,
    options.METRICS,
    representations.METRICS_BY_CHANNEL,
    representations.METRICS,
    representations.METRICS_BY_BAND,
    attacks.METRICS,
    object_noise.METRICS,
)
