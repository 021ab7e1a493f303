"""Option likelihoods in an evaluation in this process."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.conftest import again, load, numbers


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
    values = numbers(found, "seed_loglik")
    names = set(values)
    sided = {"accuracy", "mean_accuracy", "margin", "confidence", "ece", "brier", "nll"}
    assert names >= {f"loglik_{name}{side}" for name in sided for side in ("", "_clean")}
    assert {"loglik_ifr", "loglik_iv", "accuracy", "ece"} <= names
    # The answer is the likeliest option.
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
        made = again(found, task, tmp_path)
        assert made == pytest.approx(numbers(found, task), abs=1e-12)
        assert any(name.startswith("loglik_") for name in made) == task.endswith("_loglik")
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
