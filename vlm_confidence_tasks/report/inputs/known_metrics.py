"""Which metrics a results file may hold, and in which order they are shown."""

from collections.abc import Iterable

from vlm_confidence_tasks import perturbations
from vlm_confidence_tasks.metrics import NamedMetric, metrics_for


def known_metrics(families: Iterable[str]) -> dict[str, NamedMetric]:
    """Return the metrics of tasks with the registered families and the given ones."""
    return metrics_for(ordered_families({*perturbations.families(), *families}))


def ordered_families(names: Iterable[str]) -> list[str]:
    """Return families in the order of the registry, those that it does not know after them."""
    rank = {name: n for n, name in enumerate(perturbations.families())}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))
