"""All metrics, one record each: a file for each thing that is measured.

Groups are in the order of tables.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

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

Part = Literal["channel", "band", "family"]


class Group(NamedTuple):
    """Records that are listed together, for one source or part after the other.

    Attributes:
        records: The records.
        per: The part that each metric is of, which "{channel}", "{band}" or "{family}" in a
            record's name and description stands for; None where a metric is of all.
    """

    records: tuple[Metric, ...]
    per: Part | None = None


GROUPS = (
    Group(answers.METRICS),
    Group(changes.METRICS),
    Group(flips.METRICS),
    Group(flips.METRICS_BY_FAMILY, per="family"),
    Group(calibration.METRICS),
    Group(calibration.METRICS_BY_FAMILY, per="family"),
    Group(repairs.METRICS),
    Group(error_signals.METRICS),
    Group(defense.METRICS),
    Group(stated_certainty.METRICS),
    Group(options.METRICS),
    Group(representations.METRICS_BY_CHANNEL, per="channel"),
    Group(representations.METRICS),
    Group(representations.METRICS_BY_BAND, per="band"),
    Group(attacks.METRICS),
    Group(object_noise.METRICS),
)
