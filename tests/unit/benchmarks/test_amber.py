"""AMBER: its types, and the positive class that is "No"."""

import pytest

from vlm_confidence_tasks.benchmarks import DocumentError, get
from vlm_confidence_tasks.benchmarks.amber import CATEGORIES

from .making import rows, template

AMBER = get("amber")
ROWS = rows("amber/train")
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
AROUND = template("amber/_amber_yaml")["lmms_eval_specific_kwargs"]["default"]
POPE_AROUND = template("pope/_pope_yaml")["lmms_eval_specific_kwargs"]["default"]


def test_prompt_is_the_query_with_popes_ending():
    assert AROUND == POPE_AROUND
    asked = AMBER.question(ROWS[0], AROUND["pre_prompt"], AROUND["post_prompt"])
    ending = "Answer the question using a single word or phrase."
    assert asked.prompt == f"{ROWS[0]['query']}\n{ending}"


def test_question():
    asked = AMBER.question(ROWS[0], "", "")
    assert (asked.question_id, asked.image_id) == (str(ROWS[0]["id"]), "")
    assert (asked.labels, asked.gold, asked.positive) == (("Yes", "No"), "No", "No")
    assert asked.category == "existence"
    assert AMBER.upstream_score is None


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("amber", set(CATEGORIES)),
        ("amber_existence", {"discriminative-hallucination"}),
        (
            "amber_attribute",
            {f"discriminative-attribute-{kind}" for kind in ("state", "number", "action")},
        ),
        ("amber_relation", {"discriminative-relation", "relation"}),
    ],
)
def test_selections(name, types):
    kept = get(name).select(COLUMNS)
    assert {ROWS[row]["type"] for row in kept} == types
    assert len(kept) == sum(row["type"] in types for row in ROWS)


def test_the_parts_make_the_whole():
    parts = ("amber_existence", "amber_attribute", "amber_relation")
    kept = sorted(row for part in parts for row in get(part).select(COLUMNS))
    assert kept == AMBER.select(COLUMNS) == list(range(len(ROWS)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": "perhaps"}, "truth is 'perhaps', expected 'yes' or 'no'"),
        ({"truth": ["yes"]}, r"truth is \['yes'\], expected 'yes' or 'no'"),
        ({"type": "generative"}, "type is 'generative', expected one of discriminative-h"),
        ({"type": None}, "type is None, expected one of"),
    ],
)
def test_a_bad_row_is_named(change, message):
    with pytest.raises(DocumentError, match=message):
        AMBER.question({**ROWS[0], **change}, "", "")


def test_a_part_leaves_no_row_out_for_its_type():
    with pytest.raises(DocumentError, match="row 1: type is None, expected one of"):
        get("amber_relation").select({"type": ["relation", None]})
