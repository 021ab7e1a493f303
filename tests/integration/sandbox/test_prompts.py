"""The prompts that the tiny model is trained on are upstream's own."""

from __future__ import annotations

import pytest

from tiny_world import wording
from tiny_world.mmmu import mmmu_rows
from tiny_world.pope import pope_rows
from tiny_world.seed import seed_rows

POST = {"pre_prompt": "", "post_prompt": "\nAnswer the question using a single word or phrase."}
MMMU = {
    "prompt_type": "format",
    "multiple_choice_prompt": "Answer with the option's letter from the given choices directly.",
    "open_ended_prompt": "Answer the question using a single word or phrase.",
}


def test_pope() -> None:
    upstream = pytest.importorskip("lmms_eval.tasks.pope.utils")
    row = pope_rows()["test"][0]
    assert upstream.pope_doc_to_text(row, POST) == wording.short_prompt(row["question"])


def test_seed() -> None:
    upstream = pytest.importorskip("lmms_eval.tasks.seedbench.utils")
    row = seed_rows()["test"][0]
    choices = [row[f"choice_{letter}"] for letter in "abcd"]
    assert upstream.seed_doc_to_text(row) == wording.seed_prompt(row["question"], choices)


def test_mmmu() -> None:
    upstream = pytest.importorskip("lmms_eval.tasks.mmmu.utils")
    for row in mmmu_rows()["validation"]:
        options = upstream.ast.literal_eval(row["options"])
        expected = (
            wording.mmmu_prompt(row["question"], options)
            if options
            else wording.open_prompt(row["question"])
        )
        prompt = upstream.construct_prompt(
            row, MMMU["multiple_choice_prompt"], MMMU["open_ended_prompt"], "format"
        )
        assert prompt == expected
