"""All question forms of POPE and AMBER, and all questions of the sandbox's data."""

from __future__ import annotations

import pyarrow.parquet as parquet
import pytest

from vlm_confidence_tasks.masks import phrases
from vlm_confidence_tasks.sandbox import DATA_DIR
from vlm_confidence_tasks.sandbox.world import OBJECTS, SHAPES

FORMS = {
    # POPE
    "Is there a snowboard in the image?": ("snowboard",),
    "Is there an umbrella in the image?": ("umbrella",),
    "Is there a dining table in the imange?": ("dining table",),
    "Is there a wine glass in the image?": ("wine glass",),
    # AMBER: existence
    "Is there a sky in this image?": ("sky",),
    # state
    "Is the sky sunny in this image?": ("sky",),
    "Is the traffic light red in this image?": ("traffic light",),
    "Are the leaves green in this image?": ("leaf",),
    # number
    "Is there only one bird in this image?": ("bird",),
    "Are there two people in this image?": ("person",),
    "Are there three wine glasses in this image?": ("wine glass",),
    "Are there four benches in this image?": ("bench",),
    "Are there two buses in this image?": ("bus",),
    "Are there three babies in this image?": ("baby",),
    "Are there five horses in this image?": ("horse",),
    # action
    "Does the man sit in this image?": ("man",),
    "Does the woman stand on the beach in this image?": ("woman",),
    "Is the man walking in this image?": ("man",),
    "Is the young woman holding an umbrella in this image?": ("young woman",),
    "Do the children run in this image?": ("child",),
    "Does the man wear a hat in this image?": ("man",),
    "Is the building burning in this image?": ("building",),
    # relation
    "Is there direct contact between the beach and umbrella in this image?": ("beach", "umbrella"),
    "Is there direct contact between the man and the two dogs in this image?": ("man", "dog"),
}


@pytest.mark.parametrize(("question", "expected"), FORMS.items())
def test_forms(question: str, expected: tuple[str, ...]) -> None:
    assert phrases(question) == expected
    assert phrases(f" {question.upper()} ") == expected


@pytest.mark.parametrize("question", ["", "What color is the car?", "Describe this image."])
def test_other_forms_name_nothing(question: str) -> None:
    assert phrases(question) == ()


@pytest.mark.parametrize(
    ("benchmark", "split", "column"), [("pope", "test", "question"), ("amber", "train", "query")]
)
def test_every_question_of_the_sandbox_names_things_of_its_world(
    benchmark: str, split: str, column: str
) -> None:
    table = parquet.read_table(DATA_DIR / benchmark / f"{split}.parquet", columns=[column])
    for question in table.column(column).to_pylist():
        found = phrases(question)
        assert len(found) == 1 + ("to the" in question), question
        for phrase in found:
            assert phrase in (*OBJECTS, *SHAPES), question
            assert phrase in question
