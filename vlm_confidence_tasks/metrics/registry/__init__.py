"""All metrics, a `Metric` each: a file for each thing that is measured.

A metric's name is built here and nowhere taken apart again. A metric that could not be
computed is absent from the results, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from vlm_confidence_tasks.metrics.metric import Metric
from vlm_confidence_tasks.metrics.registry import (
    answers,
    attacks,
    calibration,
    changes,
    defense,
    flips,
    loglik,
    object_noise,
    representations,
    trust,
    verbal,
)


def metrics_for(
    families: Iterable[str], provides: frozenset[str] | None = None
) -> dict[str, Metric]:
    """Return the metrics of a task by name, in the order of tables.

    Args:
        families: Of the perturbations, in the order of their flip rates.
        provides: What the task measures besides its answers, of {"verbal", "loglik",
            "representations", "same_question", "attacks", "object_noise"}; None for all.

    >>> [name for name in metrics_for(["noise"], frozenset()) if "noise" in name]
    ['ifr_noise', 'iv_noise']
    """
    found = chain(
        answers.means(),
        verbal.means(),
        loglik.means(),
        answers.upstream(),
        changes.means(),
        flips.pooled(),
        flips.macro(),
        *map(flips.of_family, families),
        loglik.flips(),
        calibration.metrics(),
        trust.metrics(),
        answers.confusions(),
        defense.metrics(),
        changes.tests(),
        verbal.claims(),
        representations.metrics(),
        attacks.metrics(),
        object_noise.metrics(),
    )
    return {m.name: m for m in found if provides is None or m.requires <= provides}
