"""POPE against upstream's own functions."""

import pytest
from lmms_eval.tasks.pope import utils as upstream

from vlm_confidence_tasks.benchmarks import DocumentError, get

from .making import TEXTS, rows, template, upstream_yaml

POPE = get("pope")
ROWS = rows("pope/test")
AROUND = template("pope/_pope_yaml")["lmms_eval_specific_kwargs"]["default"]
UPSTREAM_AROUND = upstream_yaml("pope/pope.yaml")["lmms_eval_specific_kwargs"]["default"]


def ask(row):
    return POPE.question(row, AROUND["pre_prompt"], AROUND["post_prompt"])


def test_prompts_are_upstreams():
    spaced = {**ROWS[0], "question": " Is there a cat? \n"}
    for row in (*ROWS, spaced):
        assert ask(row).prompt == upstream.pope_doc_to_text(row, UPSTREAM_AROUND)


@pytest.mark.parametrize("row", [ROWS[0], ROWS[1]], ids=["yes", "no"])
@pytest.mark.parametrize("text", TEXTS)
def test_upstreams_score(row, text):
    theirs = upstream.pope_process_results(row, [text.strip()])["pope_accuracy"]["score"]
    assert POPE.upstream_score(ask(row), text) == theirs


def test_question():
    asked = ask(ROWS[1])
    assert (asked.labels, asked.gold, asked.positive) == (("Yes", "No"), "No", "Yes")
    assert (asked.image_id, asked.category) == (ROWS[1]["image_source"], "adversarial")
    assert (asked.question_id, asked.content, asked.options) == ("2", (), ())


@pytest.mark.parametrize("answer", ["maybe", "", None, "yes."])
def test_a_bad_answer_is_named(answer):
    with pytest.raises(DocumentError, match=f"answer is {answer!r}, expected 'yes' or 'no'"):
        ask({**ROWS[0], "answer": answer})
