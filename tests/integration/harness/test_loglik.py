"""Option likelihoods in an evaluation in this process."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from lmms_eval.tasks import TaskManager

from harness.conftest import load, numbers, samples
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.metrics import task_metrics
from vlm_confidence_tasks.report.inputs.samples import read_samples


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    folder = tmp_path_factory.mktemp("tasks")
    for name, key in {"odd": "loglik: perhaps", "fourth": "verbal: fourth"}.items():
        (folder / f"{name}.yaml").write_text(
            "class: !function vlm_confidence_tasks.harness.task.PerturbedTask\n"
            f"benchmark: pope\ntest_split: test\ntask: {name}\nperturbations: []\n{key}\n"
        )
    return TaskManager("WARNING", str(folder), include_defaults=False)


def records(found: dict, task: str) -> list[dict]:
    return [record for row in found["samples"][task] for record in row["readouts"]]


def test_options_are_scored_for_every_variant_beside_the_letter(evaluate) -> None:
    found = evaluate("seed_loglik")
    rows = found["samples"]["seed_loglik"]
    assert all(len(row["readouts"]) == 5 for row in rows)
    for record in records(found, "seed_loglik"):
        assert set(record["option_logprob"]) == set(record["probs"]) == set("ABCD")
        for label, total in record["option_logprob"].items():
            mean = record["option_logprob_mean"][label]
            assert total <= mean < 0
            count = total / mean
            assert count == pytest.approx(round(count), abs=1e-5)
    names = set(numbers(found, "seed_loglik"))
    sided = {"accuracy", "mean_accuracy", "margin", "confidence", "ece", "brier", "nll"}
    assert names >= {f"loglik_{name}{side}" for name in sided for side in ("", "_clean")}
    assert {"loglik_ifr", "loglik_iv", "accuracy", "ece"} <= names


def test_the_answer_is_the_likeliest_option(evaluate) -> None:
    found = evaluate("seed_loglik")
    rows, values = found["samples"]["seed_loglik"], numbers(found, "seed_loglik")
    for key, name in (("option_logprob", "accuracy"), ("option_logprob_mean", "mean_accuracy")):
        right = [
            max(record[key], key=record[key].get) == row["gold"]
            for row in rows
            for record in row["readouts"][1:]
        ]
        assert values[f"loglik_{name}"] == pytest.approx(sum(right) / len(right))


def test_numbers_again_from_the_samples(evaluate, tmp_path: Path) -> None:
    found = evaluate("seed_loglik", "pope_loglik", "pope_eps0.1", "mmmu_loglik", limit=8)
    for task in ("seed_loglik", "pope_loglik", "pope_eps0.1", "mmmu_loglik"):
        file = tmp_path / f"{task}.jsonl"
        file.write_text(samples(found, task))
        again = task_metrics(read_samples(file).samples)
        assert again == pytest.approx(numbers(found, task), abs=1e-12)
        assert any(name.startswith("loglik_") for name in again) == task.endswith("_loglik")
    # Shared requests are generated once; only those that need options are scored.
    assert "option_logprob" not in records(found, "pope_eps0.1")[0]
    kinds = {"option_logprob" in row["readouts"][0] for row in found["samples"]["mmmu_loglik"]}
    assert True in kinds


def test_yes_and_no_have_the_odds_of_the_first_token(evaluate) -> None:
    """One spelling of each in the options, all of them in the answer's probabilities."""
    for record in records(evaluate("pope_loglik"), "pope_loglik"):
        if record["probs"] is not None and record["answer_step"] in (0, None):
            for label, total in record["option_logprob"].items():
                mass = record["probs"][label] * record["answer_mass"]
                assert total <= math.log(mass) + 1e-4


@pytest.mark.parametrize("tasks", [("pope_eps0.1", "pope_loglik"), ("pope_loglik", "pope_eps0.1")])
def test_options_do_not_change_the_answers(evaluate, tasks) -> None:
    texts = {}
    for chosen in (("pope_eps0.1",), tasks):
        found = evaluate(*chosen)
        texts[chosen] = [
            (record["text"], record["entropy"]) for record in records(found, "pope_eps0.1")
        ]
    assert texts["pope_eps0.1",] == texts[tasks]


def test_logits_that_are_not_finite_after_the_first_step_end_the_run(evaluate) -> None:
    lm = load()

    def spoil(module, args, kwargs, output):
        if output.logits.shape[1] > 1:
            output.logits[:] = float("nan")

    lm.model.register_forward_hook(spoil, with_kwargs=True)
    message = r"task seed_loglik, document \d+ .*(not finite|differs)"
    with pytest.raises(RuntimeError, match=message):
        evaluate("seed_loglik", lm=lm)


def test_options_add_only_short_forward_passes(evaluate) -> None:
    lm = load(arguments="shared_prefix=false")
    lengths, pictures = [], []
    lm.model.register_forward_hook(
        lambda module, args, kwargs, output: lengths.append(kwargs["input_ids"].shape[1]),
        with_kwargs=True,
    )
    lm.model.model.vision_tower.register_forward_hook(lambda *given: pictures.append(1))
    found = evaluate("seed_loglik", lm=lm)
    answers = len(records(found, "seed_loglik"))
    assert sum(length > 16 for length in lengths) == len(pictures) == answers
    steps = sum(length == 1 for length in lengths)
    assert len(lengths) - steps - answers <= 4 * answers + 1


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("odd", "task odd: loglik is 'perhaps', expected true or false"),
        ("fourth", "task fourth: verbal is 'fourth', expected third or first"),
    ],
)
def test_keys_that_cannot_be_used(evaluate, task: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        evaluate(task)
