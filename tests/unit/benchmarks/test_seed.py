"""SEED-Bench against upstream's own functions."""

import pytest
from lmms_eval.tasks.seedbench import utils as upstream

from vlm_confidence_tasks.benchmarks import DocumentError, get

from .making import TEXTS, rows

SEED = get("seed")
ROWS = rows("seed/test")
KEPT = SEED.select({"data_type": [row["data_type"] for row in ROWS]})


def ask(row):
    return SEED.question(row, "", "")


def test_only_images_are_asked_about():
    assert len(KEPT) == len(ROWS) - 1
    assert {ROWS[row]["data_type"] for row in KEPT} == {"image"}
    assert SEED.select({"data_type": ["video"]}) == []
    with pytest.raises(DocumentError, match="row 1: data_type is None, expected image or video"):
        SEED.select({"data_type": ["video", None]})


def test_prompts_are_upstreams():
    odd = {**ROWS[0], "question": " Which?\n", "choice_c": "None", "choice_d": "A. both"}
    for row in (*(ROWS[row] for row in KEPT), odd):
        assert ask(row).prompt == upstream.seed_doc_to_text(row)


@pytest.mark.parametrize("gold", "ABCD")
def test_upstreams_score(gold):
    row = {**ROWS[0], "answer": gold}
    for text in TEXTS:
        result = upstream.seed_process_result(row, [text.strip()])["seed_image"]
        theirs = upstream.seed_aggregation_result([result])
        assert SEED.upstream_score(ask(row), text) == theirs, text


def test_question():
    asked = ask(ROWS[0])
    assert (asked.labels, asked.gold, asked.positive) == (("A", "B", "C", "D"), "A", None)
    assert (asked.question_id, asked.image_id, asked.category) == ("101669", "shapes_0", "2")
    assert asked.options == ("red circle", "orange cross", "blue triangle", "purple circle")


def test_what_the_data_set_need_not_have():
    unnamed = {name: ROWS[0][name] for name in SEED.columns}
    assert (ask(unnamed).image_id, ask(unnamed).category) == ("", "")


@pytest.mark.parametrize("answer", ["E", "", None, "AB"])
def test_a_bad_answer_is_named(answer):
    with pytest.raises(DocumentError, match=f"answer is {answer!r}, expected one of A, B, C, D"):
        ask({**ROWS[0], "answer": answer})
