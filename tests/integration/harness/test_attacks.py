"""Attacks on the embedded model through the real harness."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import write_pope
from lmms_eval.tasks import TaskManager

from vlm_confidence_tasks.attacks import ObjectiveProvider, objective_provider
from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.metrics import Answers, measure, values
from vlm_confidence_tasks.probe.logit_source import NoLogits

from .conftest import documents, load
from .kept_runs import evaluate, said

EIGHT = 8 / 255
FLIP = f"{{name: pgd, goal: flip, epsilon: {EIGHT}, steps: 6, delta: [own, signs, other]}}"
TASKS = {
    "flip": f"perturbations: [{FLIP}]",
    "weak": "perturbations: "
    f"[{{name: pgd, goal: flip, epsilon: [{1 / 255}, {4 / 255}], steps: 4}}]",
    "short": f"perturbations: [{{name: pgd, goal: flip, epsilon: {EIGHT}, steps: 1}}]",
    "goals": f"perturbations: [{{name: pgd, goal: [sure, unsure], epsilon: {EIGHT}, steps: 6}}]\n"
    "representations: true",
    "hi": "perturbations: [{name: pgd_hi, mode: [pixel, low, noise]}]\nloglik: true",
    "exam": "benchmark: mmmu\ntest_split: validation\n"
    f"perturbations: [{{name: pgd, goal: flip, epsilon: {EIGHT}, steps: 1}}]",
}
# Eight images, three questions each.
ROWS = [18 * image + question for image in range(8) for question in (0, 7, 14)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = write_pope(tmp_path_factory.mktemp("data"), ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLM_CONFIDENCE_DATA", str(folder))
        yield folder


@pytest.fixture(scope="module")
def kept(manager: TaskManager, data: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run of the attack that keeps its answers: folder, results and what it said."""
    folder = tmp_path_factory.mktemp("kept")
    with said() as lines:
        found = evaluate(manager, ["flip"], folder, limit=None)
    return folder, found, lines


def readouts(found: dict, task: str) -> list[list[dict]]:
    return [row["readouts"] for row in found["samples"][task]]


def test_a_flip_attack_beats_both_controls(kept, tmp_path: Path) -> None:
    numbers = measure(Answers.of(documents(kept[1], "flip", tmp_path)))
    assert numbers["attack_success_flip"].value > 0.3
    for name in ("attack_over_signs", "attack_over_other", "attack_over_control"):
        assert numbers[name].low > 0, name
    assert numbers["ifr_pgd_signs"].value < 0.1


def test_the_cost_is_said(kept) -> None:
    (line,) = [line for line in kept[2] if line.startswith("attacks: ")]
    steps, images = map(int, re.search(r"(\d+) gradient steps for (\d+) images", line).groups())
    # Random signs ask the model nothing.
    assert (steps, images) == (len(ROWS) * 2 * 7, len(ROWS) * 3)
    # The sandbox's images have the model's size: nothing is resized.
    assert float(re.search(r"at most (\S+) from the processor's", line)[1]) < 1e-5


def test_a_resumed_run_attacks_nothing_again(
    kept, manager: TaskManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, before, _ = kept

    def never(self, *given):
        raise AssertionError("attacked again")

    monkeypatch.setattr(ObjectiveProvider, "__call__", never)
    with said() as lines:
        after = evaluate(manager, ["flip"], folder, limit=None)
    assert readouts(after, "flip") == readouts(before, "flip")
    assert not [line for line in lines if line.startswith("attacks: ")]


def test_images_are_kept_before_their_answers(
    data: Path, manager: TaskManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends between an attack and the answer need not attack again."""
    from vlm_confidence_tasks.evaluation.response_cache import cache

    add = cache.ResponseCache.add
    with monkeypatch.context() as patch:
        patch.setattr(cache.ResponseCache, "add", lambda self, answers: None)
        first = evaluate(manager, ["short"], tmp_path)
    assert cache.ResponseCache.add is add

    def never(self, *given):
        raise AssertionError("attacked again")

    monkeypatch.setattr(ObjectiveProvider, "__call__", never)
    again = evaluate(manager, ["short"], tmp_path)
    assert readouts(again, "short") == readouts(first, "short")


def test_the_same_pixels_without_a_cache_whichever_tasks_ask(
    kept, data: Path, manager: TaskManager
) -> None:
    alone = evaluate(manager, ["flip", "short"], limit=2)
    shown = [
        [[r["image_sha256"] for r in row["readouts"]] for row in found["samples"]["flip"][:2]]
        for found in (kept[1], alone)
    ]
    assert shown[0] == shown[1]


def test_goals_keep_or_leave_the_answer(data: Path, manager: TaskManager, tmp_path: Path) -> None:
    found = documents(evaluate(manager, ["goals"], limit=12), "goals", tmp_path)
    numbers = values(Answers.of(found))
    assert numbers["attack_success_unsure"] > 0.5
    for sample in found:
        for readout in sample.variants:
            goal = dict(readout.variant.parameters)["goal"]
            if goal == "unsure":
                assert readout.answer == sample.clean.answer


def test_the_objective_is_what_the_run_then_measures(
    data: Path, manager: TaskManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best value of each attack is the log-odds of the answer to the shown image."""
    from vlm_confidence_tasks.attacks.objective import ModelObjective

    values: list[list[float]] = []
    made, judged = ModelObjective.__init__, ModelObjective.__call__

    def init(self, *args, **kwargs):
        values.append([])
        made(self, *args, **kwargs)

    def call(self, image):
        found = judged(self, image)
        values[-1].append(found.value)
        return found

    monkeypatch.setattr(ModelObjective, "__init__", init)
    monkeypatch.setattr(ModelObjective, "__call__", call)
    leads = [
        math.log(shown["probs"][clean["answer"]] / (1 - shown["probs"][clean["answer"]]))
        for clean, shown in readouts(evaluate(manager, ["short"], limit=4), "short")
    ]
    assert sorted(leads) == pytest.approx(sorted(map(min, values)), abs=1e-3)


def test_the_other_attack_lowers_the_clean_options_likelihood(
    data: Path, manager: TaskManager, tmp_path: Path
) -> None:
    found = documents(evaluate(manager, ["hi"], limit=6), "hi", tmp_path)
    for sample in found:
        best = sample.clean.loglik_answer
        before = sample.clean.option_logprob[best]
        pixel, low, noise = (readout.option_logprob[best] for readout in sample.variants)
        assert pixel < min(before, noise) and low < before
    numbers = values(Answers.of(found))
    assert {"attack_success_loglik", "attack_over_noise"} <= numbers.keys()


def test_several_images_and_several_tokens_before_the_answer(
    manager: TaskManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
    rows = evaluate(manager, ["exam"], limit=12)["samples"]["exam"]
    attacked = [row["readouts"] for row in rows if len(row["readouts"]) > 1]
    assert attacked and any(len(row["readouts"]) == 1 for row in rows if not row["labels"])
    for clean, shown in attacked:
        assert shown["image_sha256"] != clean["image_sha256"]


def test_another_prompt_than_the_adapters_is_noticed(
    data: Path, manager: TaskManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt = objective_provider.make_prompt

    def other(source, question, images, answered):
        images = [image.rotate(90) for image in images]
        return rebuilt(source, question, images, answered)

    def rotated(path, image):
        return path._process([image.rotate(90)])

    monkeypatch.setattr(objective_provider, "make_prompt", other)
    monkeypatch.setattr(objective_provider.PixelPath, "exact", rotated)
    what = "the prompt that the attack rebuilds gives a label another ln p, by .* nothing was sc"
    with pytest.raises(MeasurementError, match=what):
        evaluate(manager, ["short"], limit=6)


def test_a_model_without_a_gradient_is_named(data: Path, manager: TaskManager) -> None:
    lm = load(arguments="shared_prefix=false")
    lm.logit_source = NoLogits("Served")
    lm.logit_source.rows = None
    what = "variant pgd.*an attack needs the gradient of a transformers model and its processor"
    with pytest.raises(MeasurementError, match=what):
        evaluate(manager, ["short"], model=lm)


@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_models_give_a_gradient_or_say_why_not(
    data: Path, manager: TaskManager, bits: int
) -> None:
    """bitsandbytes packs 4-bit weights for some processors, without a way back."""
    try:
        found = evaluate(manager, ["short"], limit=2, model_args=f"load_in_{bits}bit=True")
    except MeasurementError as error:
        assert bits == 4 and "4-bit weights that bitsandbytes packed for this CPU" in str(error)
        return
    for clean, shown in readouts(found, "short"):
        assert shown["image_sha256"] != clean["image_sha256"]
