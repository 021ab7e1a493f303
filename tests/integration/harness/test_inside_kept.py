"""Representations of answers that come from a journal, and of runs that go on past failures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from conftest import of_images, write_pope
from lmms_eval.tasks import TaskManager

from .kept_runs import evaluate, reused, said

NOISE = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
INSIDE = f"{NOISE}\nrepresentations: true"
TASKS = {"plain": NOISE, "inside": INSIDE, "lenient": f"{INSIDE}\nmax_failures: 1"}


def records(found: dict, task: str) -> list[list[dict]]:
    return [sample["readouts"] for sample in found["samples"][task]]


def test_cached_representations_give_the_same_numbers(
    manager: TaskManager, few_questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))
    with said() as lines:
        first = evaluate(manager, ["inside"], tmp_path)
    assert reused(lines).startswith("reused 0 of")
    with said() as lines:
        again = evaluate(manager, ["inside"], tmp_path)
    before, _, total = reused(lines).removeprefix("reused ").partition(" of ")
    assert before == total.split()[0] and int(before) > 6
    assert records(again, "inside") == records(first, "inside")
    assert again["results"]["inside"] == first["results"]["inside"]
    assert first["results"]["inside"]["drift_context,none"] > 0
    # What was captured is more than this task wants.
    with said() as lines:
        plain = evaluate(manager, ["plain"], tmp_path)
    assert reused(lines).startswith("reused 6 of 6")
    assert all("inside" not in one for document in records(plain, "plain") for one in document)


def test_answers_cached_without_representations_are_not_used_for_tasks_with_them(
    manager: TaskManager, few_questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))
    evaluate(manager, ["plain"], tmp_path)
    with said() as lines:
        evaluate(manager, ["inside"], tmp_path)
    assert reused(lines).startswith("reused 0 of")


def test_a_failed_document_is_not_used_as_a_control(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = of_images(lambda stored: stored[:300], "41")
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [0, 40, 80, 120], torn)))
    found = evaluate(manager, ["lenient"], limit=4)
    assert found["results"]["lenient"]["failed,none"] == 1
    measured = [document for document in records(found, "lenient") if document]
    assert len(measured) == 3
    for clean, variant in measured:
        assert clean["inside"]["control"]["context"] > 0
        assert variant["inside"]["drift"]["context"] > 0
    assert math.isfinite(found["results"]["lenient"]["drift_ratio_context,none"])
