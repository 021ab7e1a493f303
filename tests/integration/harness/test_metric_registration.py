"""What the harness is handed of each document, for standard errors of its own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.making import METRICS, open_document
from msgspec.structs import replace

from vlm_confidence_tasks.harness.metric_registration import DocumentValues
from vlm_confidence_tasks.metrics import Answers

# The entropies of a document's variants, and its image.
rows = st.lists(
    st.tuples(st.lists(st.floats(0, 10), max_size=6), st.integers(0, 4)), min_size=2, max_size=20
).filter(lambda rows: any(entropies for entropies, _ in rows))


def table(held: list[tuple[list[float], int]]) -> Answers:
    return Answers.of(
        replace(
            open_document(None, ("x", None, 1.0), [("x", None, entropy) for entropy in entropies]),
            image_id=f"image {image}",
        )
        for entropies, image in held
    )


@given(rows)
def test_scores_of_equal_weight_have_the_pooled_mean_and_its_clustered_error(held):
    answers = table(held)
    values = DocumentValues.of(METRICS["entropy"], answers)
    found = [values.at(n, f"image {image}") for n, (_, image) in enumerate(held)]
    # A document none of whose answers counts is handed nothing.
    assert [one is None for one in found] == [not entropies for entropies, _ in held]
    shown = [(one["score"], *row) for one, row in zip(found, held, strict=True) if one]
    assert [one["n"] for one in found if one] == [len(entropies) for _, entropies, _ in shown]
    scores, images = np.array([row[0] for row in shown]), np.array([row[2] for row in shown])
    pooled = METRICS["entropy"].value(answers)
    assert scores.mean() == pytest.approx(pooled, abs=1e-9)
    # The sandwich over images of sum n (s - R) / sum n, from the scores of equal weight.
    size = sum(len(entropies) for entropies, _ in held)
    residual = np.array([sum(x - pooled for x in entropies) / size for _, entropies, _ in shown])
    plain = (scores - scores.mean()) / scores.size
    direct, found = (
        sum(column[images == image].sum() ** 2 for image in set(images))
        for column in (residual, plain)
    )
    assert found == pytest.approx(direct, abs=1e-9)


def test_of_equal_weights_a_score_is_the_documents_mean():
    held = [([1.0, 2.0], 0), ([4.0, 4.0], 1), ([0.0, 1.0], 0)]
    values = DocumentValues.of(METRICS["entropy"], table(held))
    found = [values.at(n, "i") for n in range(3)]
    assert found == [{"score": s, "n": 2, "image_id": "i"} for s in (1.5, 4.0, 0.5)]


def test_what_is_no_mean_is_counted_alone():
    values = DocumentValues.of(METRICS["defense_auroc"], table([([1.0, 2.0], 0), ([], 1)]))
    assert values.at(0, "a") == {"n": 2, "image_id": "a"} and values.at(1, "b") is None
