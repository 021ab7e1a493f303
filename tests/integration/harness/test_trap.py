"""Tasks that follow the code of "The Confidence Trap", through the real harness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import of_images, write_pope
from lmms_eval.tasks import TaskManager

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness.trap_task import TrapTask

from .conftest import load
from .kept_runs import evaluate as evaluate_by_name

NAMES = ("caption_trap_eps0.3", "caption_trap_clamponly", "caption_trap_eps0.3_noclamp")


def test_the_clamp_makes_the_difference_beside_a_perturbed_task(
    evaluate: Callable[..., dict],
) -> None:
    alone = evaluate(*NAMES, limit=2)["results"]
    found = evaluate(*NAMES, "caption_eps0.3", limit=2)["results"]
    source, clamp, noise = (found[name]["trap_entropy_delta,none"] for name in NAMES)
    assert clamp == pytest.approx(source, rel=0.05) and abs(noise) < abs(clamp) / 10
    assert found["caption_eps0.3"]["entropy_delta,none"] is not None
    for name in NAMES:
        for metric in ("trap_entropy_delta,none", "trap_entropy_clean,none"):
            assert alone[name][metric] == found[name][metric]


def test_its_answers_are_no_ones_cache(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
    first = evaluate_by_name(manager, [NAMES[1]], tmp_path, limit=1)
    monkeypatch.setattr(
        TrapTask, "answer", lambda self, *given: '{"entropy": 2, "entropy_clean": 1}'
    )
    again = evaluate_by_name(manager, [NAMES[1]], tmp_path, limit=1)
    assert again["results"][NAMES[1]]["trap_entropy_delta,none"] == 1.0
    assert first["results"][NAMES[1]]["trap_entropy_delta,none"] != 1.0


def test_the_adapter_is_left_as_it_was(evaluate: Callable[..., dict]) -> None:
    lm = load()
    before = lm.generate_until
    evaluate(NAMES[1], lm=lm, limit=1)
    assert lm.generate_until == before


def test_an_unknown_condition_is_refused() -> None:
    with pytest.raises(TaskError, match="task x: condition is 'best' and epsilon 0.0, expected so"):
        TrapTask({"task": "x", "benchmark": "caption", "condition": "best"})


def test_a_truncated_image_is_not_filled_with_grey(
    manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = of_images(lambda stored: stored[:-40], "24")
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, [0, 23], cut)))
    said = f"task {NAMES[0]}, document 1: cannot read its image: OSError: .*truncated"
    with pytest.raises(TaskError, match=said):
        evaluate_by_name(manager, [NAMES[0]])
