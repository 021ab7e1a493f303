"""What a run leaves behind: rows, results, and the same numbers computed again."""

from __future__ import annotations

import json
import math
from collections import defaultdict

import pytest
from conftest import Run, evaluate_command, run_command
from lmms_eval.tasks.pope import utils as upstream

from vlm_confidence_tasks import cli
from vlm_confidence_tasks.metrics import metrics_for

from .kept_runs import write_tasks

ROW = {"question_id", "image_id", "image_sha256", "gold", "readouts", "category", "labels"}
RECORD = {
    *("variant", "parameters", "seed", "image_sha256", "text", "answer", "correct"),
    *("entropy", "token_entropy", "logprob", "probs", "answer_mass", "confidence", "margin"),
}

OVERLAYS = "overlays"
TASK = """class: !function pairs.Pairs
benchmark: mmmu
test_split: validation
lmms_eval_specific_kwargs: {}
perturbations: [{name: text_overlay, content: semantic, index: [0, 1, 2]}]"""
PAIRS = """from msgspec.structs import replace
from vlm_confidence_tasks.harness.task import PerturbedTask

class Pairs(PerturbedTask):
    def question(self, index):
        return replace(super().question(index), image_id=f"pair {index % 20}")
"""


def test_a_row_has_every_documented_key(sweep: Run) -> None:
    for row in sweep.samples("pope_eps0.2").values():
        assert ROW <= row.keys()
        clean, noisy = row["readouts"]
        assert clean.keys() >= RECORD and noisy.keys() >= RECORD
        assert (clean["variant"], noisy["variant"]) == ("clean", "gaussian_noise")
        assert noisy["parameters"] == {"epsilon": 0.2}
        assert clean["image_sha256"] == row["image_sha256"] != noisy["image_sha256"]
        assert row["gold"] in row["labels"]


def test_a_task_prints_its_core_metrics_and_captions_entropies_alone(sweep: Run) -> None:
    core = {name for name, metric in metrics_for(["noise"]).items() if metric.is_core}
    # There is no p where one image decides.
    core -= {"entropy_delta_p"}
    assert set(sweep.numbers("pope_eps0.3")) - {"entropy_delta_p"} == core
    assert set(sweep.numbers("caption_eps0.3")) - {"entropy_delta_p"} == {
        *("entropy", "entropy_clean", "entropy_delta", "entropy_drop_rate", "defense_auroc")
    }
    images = [row["image_id"] for row in sweep.samples("caption_eps0.3").values()]
    assert len(images) == len(set(images))


def recomputed(run: Run, task: str, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    cli.main(["recompute", "--json", str(run.samples_file(task))])
    numbers: dict[str, float] = json.loads(capsys.readouterr().out)
    return numbers


@pytest.mark.parametrize("task", ["pope_eps0.1", "pope_eps0.5", "caption_eps0.3"])
def test_recompute_gives_the_numbers_of_the_results_file_and_all_others(
    sweep: Run, task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    again = recomputed(sweep, task, capsys)
    reported = sweep.numbers(task)
    assert again.keys() > reported.keys() and "defense_reject" in again
    for name, value in reported.items():
        assert again[name] == pytest.approx(value, abs=1e-9, rel=0)


def test_clean_accuracy_equals_upstreams_on_the_same_texts(
    sweep: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = sweep.samples("pope_eps0.3").values()
    scored = [
        upstream.pope_process_results(
            {"answer": row["gold"].lower(), "question_id": row["question_id"]},
            [row["readouts"][0]["text"]],
        )["pope_accuracy"]
        for row in rows
    ]
    theirs = upstream.pope_aggregate_accuracy(scored)
    assert recomputed(sweep, "pope_eps0.3", capsys)["accuracy_upstream_clean"] == theirs


def test_results_record_the_configuration(sweep: Run) -> None:
    config = sweep.results["configs"]["pope_eps0.3"]
    assert config["benchmark"] == "pope"
    assert config["perturbations"] == ["gaussian_noise(epsilon=0.3, seed=0)"]
    assert config["vlm_confidence_tasks"]


def test_one_progress_bar(sweep: Run) -> None:
    assert "Perturbed: 100%" in sweep.output
    assert "Model Responding" not in sweep.output


def test_standard_errors_are_clustered_by_image(sweep: Run) -> None:
    results = sweep.results["results"]["pope_eps0.3"]
    assert isinstance(results["accuracy_stderr_clustered,none"], float)
    assert results["f1_stderr_clustered,none"] == "N/A"


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Overlays on questions with one to three of them, of which pairs share an image's name."""
    folder = tmp_path_factory.mktemp("unequal")
    (folder / "pairs.py").write_text(PAIRS)
    tasks = write_tasks(folder, **{OVERLAYS: TASK})
    command = evaluate_command(OVERLAYS, "--include_path", tasks, "--limit", "40")
    run = run_command(command, folder)
    assert run.code == 0, run.output
    return run


def documents(run: Run) -> list[dict]:
    """Rows whose question has options, and so overlays."""
    rows = map(json.loads, run.samples_file(OVERLAYS).read_text().splitlines())
    return [row for row in rows if len(row["readouts"]) > 1]


@pytest.mark.parametrize(
    ("metric", "number"),
    [
        ("entropy", lambda clean, variant: variant["entropy"]),
        ("entropy_clean", lambda clean, variant: clean["entropy"]),
        ("entropy_delta", lambda clean, variant: variant["entropy"] - clean["entropy"]),
        ("ifr", lambda clean, variant: float(variant["answer"] != clean["answer"])),
    ],
)
def test_standard_errors_are_those_of_the_printed_mean(unequal: Run, metric: str, number) -> None:
    """The harness's formula, of documents with the weight of their variants."""
    results = unequal.results["results"][OVERLAYS]
    held = [
        (row["image_id"], [number(row["readouts"][0], r) for r in row["readouts"][1:]])
        for row in documents(unequal)
    ]
    count, size = len(held), sum(len(numbers) for _, numbers in held)
    assert len({len(numbers) for _, numbers in held}) > 1
    mean = sum(sum(numbers) for _, numbers in held) / size
    assert results[f"{metric},none"] == pytest.approx(mean)
    deviations = [count * sum(x - mean for x in numbers) / size for _, numbers in held]
    images = defaultdict(float)
    for (image, _), deviation in zip(held, deviations, strict=True):
        images[image] += deviation
    assert len(images) == count / 2
    squares = sum(deviation**2 for deviation in deviations)
    naive = squares / (count * (count - 1))
    between = sum(deviation**2 for deviation in images.values()) - squares
    clustered = math.sqrt(naive + between / count**2)
    assert results[f"{metric}_stderr_clt,none"] == pytest.approx(math.sqrt(naive))
    assert results[f"{metric}_stderr_clustered,none"] == pytest.approx(clustered)
    assert results["ifr_macro_stderr_clustered,none"] == "N/A"


def test_clean_numbers_have_the_weights_of_perturbed_ones(unequal: Run) -> None:
    found = unequal.numbers(OVERLAYS)
    assert found["entropy"] - found["entropy_clean"] == pytest.approx(found["entropy_delta"])
    rows = unequal.samples_file(OVERLAYS).read_text().splitlines()
    assert len(rows) == 40 > len(documents(unequal))
    scores = [json.loads(row)["upstream_clean"] for row in rows]
    assert found["accuracy_upstream_clean"] == pytest.approx(sum(scores) / 40)


def test_an_overlays_record_says_which_label_it_named(unequal: Run) -> None:
    for row in documents(unequal):
        clean, *overlays = row["readouts"]
        named = [overlay["overlay_label"] for overlay in overlays]
        others = [label for label in row["labels"] if label != clean["answer"]]
        assert named == others[: len(named)]
        assert "overlay_label" not in clean
