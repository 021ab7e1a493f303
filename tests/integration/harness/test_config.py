"""YAMLs, options and data that cannot be used, each refused in one line."""

from __future__ import annotations

from pathlib import Path

import datasets
import pytest
from conftest import write_pope
from lmms_eval.tasks import TaskManager

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness.task_config import read_config, stop_texts

from .kept_runs import evaluate

TASK = {"task": "t", "benchmark": "pope", "perturbations": []}
NOISE = {"name": "gaussian_noise", "epsilon": 0.3}
TASKS = {
    "no_such_metric": "perturbations: []\nmetric_list: [{metric: acc_norm}]",
    "aggregated": "perturbations: []\nmetric_list: [{metric: accuracy, aggregation: mean}]",
    "extra_key": "perturbations: []\nmetric_list: [{metric: ece, n_bins: 10}]",
    "worse_is_better": "perturbations: []\nmetric_list: [{metric: ece, higher_is_better: true}]",
    "neither": "perturbations: []\nmetric_list: [{metric: entropy, higher_is_better: maybe}]",
    "of_nothing": "perturbations: []\n"
    "metric_list: [{metric: accuracy_upstream_clean}, {metric: accuracy}, {metric: ece}]",
    "no_such_other": "perturbations: []\nmetrics: [ece, acc_norm]",
    "some_metrics": "perturbations: []\nmetrics: some",
    "no_metrics": "perturbations: []\nmetric_list: []",
    "empty_prompt": "perturbations: []\n"
    "lmms_eval_specific_kwargs: {default: {pre_prompt: , post_prompt: x}}",
    "misspelt_prompt": "perturbations: []\nlmms_eval_specific_kwargs: {default: {post_promt: x}}",
    # Its file is called otherwise.
    "slash": "perturbations: []\ntask: a/slash",
    "one_tag": 'perturbations: []\nreasoning_tags: [["<think>"]]',
    "likelihood": "perturbations: []\noutput_type: loglikelihood",
    "other_clusters": "perturbations: []\ncluster_key: imageid",
    "overridden": "perturbations: []\ndataset_kwargs: {data_files: x}",
    "number_for_path": "perturbations: []\ndataset_path: 3",
    "no_such_control": "perturbations: []\nrepresentations: true\ncontrol: other_images",
    "control_of_nothing": "perturbations: []\ncontrol: same_question",
    "no_tokens": "perturbations: []\ngeneration_kwargs: {max_new_tokens: 0}",
    "do_sample": "perturbations: []\ngeneration_kwargs: {do_sample: true}",
    "no_such_key": "perturbations: []\nfilter_list: []",
    "no_perturbations": "",
    "no_such_epsilon": "perturbations: [{name: gaussian_noise, epsilon: -1}]",
    "sampling": "perturbations: []\ngeneration_kwargs: {temperature: 0.7}",
    "beams": "perturbations: []\ngeneration_kwargs: {num_beams: 4}",
    "until_yes": "perturbations: []\ngeneration_kwargs: {until: true}",
    "some": "perturbations: []\nrepresentations: some",
    "perhaps": "perturbations: []\nloglik: perhaps",
    "fourth": "perturbations: []\nverbal: fourth",
    "open": "perturbations: []\nbenchmark: caption\nloglik: true",
    "masked": "perturbations: [{name: object_noise, confidence: 0.5}]\nmasks: 3",
    "missing": "perturbations: [{name: object_noise, confidence: 0.5}]\non_missing: none",
}


@pytest.fixture(autouse=True)
def data(few_questions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            "overridden",
            "task overridden: dataset_kwargs has data_files, which VLM_CONFIDENCE_DATA overrides: "
            "leave the key out or unset the variable",
        ),
        ("no_such_metric", "task no_such_metric: unknown metric 'acc_norm'; known: accuracy"),
        ("aggregated", "task aggregated: metric 'accuracy' has aggregation 'mean': leave it out"),
        ("extra_key", "task extra_key: metric 'ece' has unknown key 'n_bins'; an entry of metric_"),
        ("worse_is_better", "metric 'ece' has higher_is_better True, expected False: leave it out"),
        ("neither", "metric 'entropy' has higher_is_better 'maybe', expected true or false"),
        (
            "of_nothing",
            "task of_nothing: perturbations is empty, and without any there is no accuracy, ece",
        ),
        ("no_such_other", "task no_such_other: unknown metric 'acc_norm'; known: accuracy"),
        ("some_metrics", "task some_metrics: metrics is 'some', expected all or a list of metrics"),
        ("no_metrics", "task no_metrics: metric_list is empty: leave it out"),
        ("empty_prompt", "task empty_prompt: pre_prompt is None, expected text"),
        ("misspelt_prompt", "unknown key 'post_promt' in lmms_eval_specific_kwargs; it has pre"),
        ("a/slash", "task a/slash: the task's name is part of file names: leave out the slash"),
        ("one_tag", "task one_tag: reasoning_tags is .*, expected pairs of tags"),
        ("likelihood", "task likelihood: output_type is 'loglikelihood': perturbed tasks generate"),
        ("other_clusters", "task other_clusters: cluster_key is 'imageid', expected image_id"),
        ("number_for_path", "task number_for_path: dataset_path is 3, expected a data set's id"),
        ("no_such_control", "control is 'other_images', expected same_question: leave it out"),
        ("control_of_nothing", "control: same_question compares .*: add representations: true"),
        ("no_tokens", "task no_tokens: max_new_tokens is 0, expected a whole number"),
        ("do_sample", "task do_sample: generation_kwargs has do_sample: True"),
        ("no_such_key", "task no_such_key: unknown key 'filter_list'; a perturbed task has"),
        ("no_perturbations", "task no_perturbations: key 'perturbations' is missing"),
        ("no_such_epsilon", "task no_such_epsilon: .*epsilon.*-1"),
        ("sampling", "task sampling: generation_kwargs has temperature: 0.7; .*num_beams to? ?1?"),
        ("beams", "task beams: generation_kwargs has num_beams: 4"),
        ("until_yes", "task until_yes: generation_kwargs has until: True, expected text or a list"),
        ("some", "task some: representations is 'some', expected true or false"),
        ("perhaps", "task perhaps: loglik is 'perhaps', expected true or false"),
        ("fourth", "task fourth: verbal is 'fourth', expected third or first"),
        ("open", "loglik is true, but no question of benchmark caption"),
        ("masked", "task masked: masks is 3, expected the name of a provider"),
        ("missing", "task missing: on_missing is 'none', expected skip or global"),
    ],
)
def test_a_yaml_that_cannot_be_used(manager: TaskManager, task: str, message: str) -> None:
    with pytest.raises(TaskError, match=message.replace("num_beams to? ?1?", "num_beams: 1")):
        evaluate(manager, [task])


def test_a_direction_is_passed_on_where_the_metric_has_none() -> None:
    listed = [{"metric": "entropy", "higher_is_better": False}, {"metric": "ece"}]
    _, config = read_config(TASK | {"perturbations": [NOISE], "metric_list": listed})
    assert [entry["higher_is_better"] for entry in config["metric_list"]] == [False, False]
    assert listed[1] == {"metric": "ece"}


def test_the_metrics_beside_the_core_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(**keys: object) -> set[str]:
        _, config = read_config(TASK | keys)
        return {entry["metric"] for entry in config["metric_list"]}

    core, every = listed(), read_config(TASK)[0].metrics.keys()
    assert len(core) <= 20 and "aurc" not in core
    assert listed(metrics=["aurc"]) == core | {"aurc"}
    with pytest.warns(FutureWarning, match="coverage_90 is now hit_90"):
        assert listed(metrics=["coverage_90"]) == core | {"hit_90"}
    with pytest.warns(FutureWarning, match="coverage_90 is now hit_90"):
        old = {"metric_list": [{"metric": "coverage_90"}]}
        assert listed(perturbations=[NOISE], **old) == {"hit_90"}
    with pytest.warns(FutureWarning), pytest.raises(TaskError, match="there is no hit_90: add"):
        listed(**old)
    assert listed(metrics="all") == every
    monkeypatch.setenv("VLM_CONFIDENCE_METRICS", "all")
    assert listed() == listed(metrics=["aurc"]) == every
    monkeypatch.setenv("VLM_CONFIDENCE_METRICS", "aurc")
    with pytest.raises(TaskError, match="VLM_CONFIDENCE_METRICS is 'aurc', expected all"):
        read_config(TASK)


def test_a_stop_text_is_not_taken_letter_by_letter() -> None:
    assert stop_texts("t", {"until": "ASSISTANT:"}) == ("ASSISTANT:",)
    assert stop_texts("t", {"until": ["a", "b"]}) == ("a", "b")
    assert stop_texts("t", {}) == stop_texts("t", None) == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gen_kwargs": "temperature=0.5"}, "temperature: 0.5"),
        ({"num_fewshot": 2}, "--num_fewshot"),
        ({"repeats": 3}, "--repeats"),
        ({"cache_requests": True}, "--cache_requests"),
    ],
)
def test_an_option_that_perturbed_tasks_refuse(
    manager: TaskManager, options: dict, message: str
) -> None:
    with pytest.raises(TaskError, match=f"task pope_eps0.3.*{message}"):
        evaluate(manager, ["pope_eps0.3"], **options)


def test_greedy_settings_on_the_command_line_are_fine(manager: TaskManager) -> None:
    found = evaluate(
        manager, ["pope_eps0.3"], gen_kwargs="temperature=0,num_beams=1,max_new_tokens=3"
    )
    assert all(
        len(record["token_entropy"]) <= 3
        for row in found["samples"]["pope_eps0.3"]
        for record in row["readouts"]
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_folder", "no folder .*missing_folder/pope; expected .*test.parquet"),
        ("missing_split", "no split 'test' in .*; expected .*, found adversarial.parquet"),
        ("missing_column", "column 'category' is missing; benchmark pope needs question_id"),
        ("no_images", "column 'image' holds no images"),
        ("torn", "cannot read .*test.parquet"),
        ("bad_answer", "document 0: answer is 'maybe', expected 'yes' or 'no'"),
    ],
)
def test_local_data_that_cannot_be_used(
    manager: TaskManager, name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    if name != "missing_folder":
        write_pope(folder, [0, 23])
        (file,) = folder.glob("pope/*.parquet")
        rows = datasets.Dataset.from_parquet(str(file))
        file.unlink()
        target = file.parent / "test.parquet"
        if name == "missing_split":
            rows.to_parquet(str(file.parent / "adversarial.parquet"))
        elif name == "missing_column":
            rows.remove_columns("category").to_parquet(str(target))
        elif name == "no_images":
            flat = rows.remove_columns("image").add_column("image", [1.5, 2.5])
            flat.to_parquet(str(target))
        elif name == "torn":
            target.write_bytes(b"PAR1 and then nothing")
        else:
            rows.map(lambda row: {"answer": "maybe"}).to_parquet(str(target))
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(folder))
    with pytest.raises(TaskError, match=f"task pope_eps0.3.*{message}"):
        evaluate(manager, ["pope_eps0.3"])
