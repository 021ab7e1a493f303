"""Which differences matter, of which metric: those of docs/claims.md."""

from __future__ import annotations

import pytest

from report.synthetic import answers, noise, questions
from vlm_confidence_tasks.metrics import Answers, Mean, metrics_for
from vlm_confidence_tasks.metrics.statistics.means import PerImage
from vlm_confidence_tasks.report.claims.claims import SHARE
from vlm_confidence_tasks.report.smallest_effects import SCALE, smallest_effect

METRICS = metrics_for(["noise"])
TABLE = Answers.of([document for _, document in answers(questions(20), [noise(0.3)])])


@pytest.mark.parametrize(
    "name",
    [
        *("accuracy", "accuracy_clean", "accuracy_per_image", "ifr_noise", "ifr_macro", "f1"),
        *("confidence", "overconfidence_clean", "verbal_confidence", "overconfidence_per_image"),
        *("entropy_drop_rate", "invalid_rate_per_image", "attack_over_noise", "right_to_wrong"),
    ],
)
def test_of_shares_and_probabilities_it_is_that_of_the_claims(name: str) -> None:
    assert smallest_effect(name, METRICS, TABLE) == SHARE == 0.01


@pytest.mark.parametrize(("name", "clean"), SCALE.items())
def test_of_entropies_it_is_a_share_of_the_clean_one(name: str, clean: str) -> None:
    expected = METRICS[clean].value(TABLE)
    assert smallest_effect(name, METRICS, TABLE) == 0.01 * expected > 0


def test_of_every_mean_and_change_of_an_entropy_there_is_a_scale() -> None:
    """But of bounds, which are no entropies, and of what a document's answers share."""
    in_nats = {
        name
        for name, metric in METRICS.items()
        if isinstance(metric.statistic, Mean | PerImage) and "entropy" in name
        if smallest_effect(name, METRICS, TABLE) != SHARE
    }
    bounds = {f"entropy_{end}{side}" for end in ("low", "high") for side in ("", "_clean")}
    assert in_nats - bounds - {"visual_entropy"} == SCALE.keys()


@pytest.mark.parametrize(
    "name", ["nll", "brier", "brier_top_clean", "ece", "auroc", "temperature", "drift_context"]
)
def test_of_others_none_is_fixed(name: str) -> None:
    assert smallest_effect(name, METRICS, TABLE) is None
