import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vlm_confidence_tasks.metrics import threshold_defense


def test_equal_to_numpy_and_sklearn():
    rng = np.random.default_rng(0)
    clean, perturbed = rng.exponential(1, 400), rng.exponential(1.4, 700)
    defense = threshold_defense(clean, perturbed)
    ordered = np.sort(clean)
    place = 0.95 * 399
    low = int(place)
    threshold = ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])
    assert defense.threshold == pytest.approx(threshold)
    assert defense.reject_clean == pytest.approx(20 / 400)
    assert defense.reject == pytest.approx(sum(h > threshold for h in perturbed) / 700)
    assert defense.bypass == 1 - defense.reject
    truth = [0] * 400 + [1] * 700
    assert defense.auroc == pytest.approx(roc_auc_score(truth, [*clean, *perturbed]))


def test_an_inverted_defense_is_under_a_half():
    defense = threshold_defense([2.0, 3.0, 4.0], [0.0, 1.0])
    assert defense.auroc == 0 and defense.reject == 0 and defense.bypass == 1


def test_at_the_threshold_is_not_rejected():
    defense = threshold_defense([1.0, 1.0], [1.0])
    assert (defense.reject_clean, defense.reject, defense.auroc) == (0, 0, 0.5)
