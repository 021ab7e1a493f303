"""Tasks that are composed of their names, beside the YAMLs of a user."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lmms_eval import evaluator
from lmms_eval.tasks import TaskManager, get_task_dict
from lmms_eval.utils import load_yaml_config

from harness.conftest import load, samples
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness import plugin
from vlm_confidence_tasks.harness.task_names import FOLDER, shipped

PREFIXES = sorted(shipped().templates.keys() - {"caption_trap"})
JPEG = "{name: jpeg, severity: [1, 2, 3, 4, 5]}"
HIDDEN = (
    f"{{name: pgd, goal: hidden, epsilon: [{2 / 255}, {4 / 255}, {8 / 255}, 0.1], "
    "delta: [own, signs, other]}"
)
DRIFT = (
    "representations: true\nmetrics: [drift_context, drift_ratio_context, drift_unflipped_context]"
)
STATED = "[verbal_confidence, verbal_ece, verbal_invalid_rate]"
LOGLIK = "loglik: true\nmetrics: [loglik_accuracy, loglik_ifr]"
# What is not listed: its template, its perturbation and its other keys.
NAMES = {
    "pope_eps0.17": ("pope/_pope_yaml", "{name: gaussian_noise, epsilon: 0.17}", ""),
    "seed_eps0.05": ("seed/_seed_yaml", "{name: gaussian_noise, epsilon: 0.05}", ""),
    "pope_adv_eps0.25": ("pope/_pope_adv_yaml", "{name: gaussian_noise, epsilon: 0.25}", ""),
    "caption_eps0.4": ("caption/_caption_yaml", "{name: gaussian_noise, epsilon: 0.4}", ""),
    "mmmu_eps1": ("mmmu/_mmmu_yaml", "{name: gaussian_noise, epsilon: 1.0}", ""),
    "pope_eps0.17_drift": (
        "pope/_pope_yaml",
        "{name: gaussian_noise, epsilon: 0.17}",
        DRIFT,
    ),
    "pope_eps0.3_verbal3": (
        "pope/_pope_yaml",
        "{name: gaussian_noise, epsilon: 0.3}",
        f"verbal: third\nmetrics: {STATED}",
    ),
    "amber_relation_jpeg_verbal1": (
        "amber/_amber_relation_yaml",
        JPEG,
        f"verbal: first\nmetrics: {STATED}",
    ),
    "seed_jpeg_loglik": ("seed/_seed_yaml", JPEG, LOGLIK),
    # What is measured takes the place of what the first suffix measures by itself,
    "pope_objectnoise_verbal1": (
        "pope/_pope_yaml",
        "{name: object_noise, confidence: [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], "
        "where: object}",
        f"verbal: first\nmetrics: [objectnoise_alignment, mask_missing_rate, {STATED[1:]}",
    ),
    # but not of what its attack is judged by.
    "mmmu_pgd_hidden_loglik": (
        "mmmu/_mmmu_yaml",
        HIDDEN,
        "loglik: true\nrepresentations: true\n"
        "metrics: [attack_success, attack_over_control, loglik_accuracy, loglik_ifr]",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def sandbox():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
        plugin.install_tasks()
        yield


@pytest.fixture(scope="module")
def manager(sandbox: None) -> TaskManager:
    return TaskManager("WARNING", include_defaults=False)


@pytest.fixture(scope="module")
def own(sandbox: None, tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    """A manager with a YAML for each of the tasks, and one that begins like them."""
    folder = tmp_path_factory.mktemp("own")
    for name, (template, perturbation, keys) in NAMES.items():
        (folder / f"{name}.yaml").write_text(
            f"include: {FOLDER / template}\ntask: {name}\n{keys}\nperturbations: [{perturbation}]\n"
        )
    (folder / "mine.yaml").write_text(
        f"include: {FOLDER / 'pope/_pope_yaml'}\ntask: pope_epsilons\n"
        "perturbations: [{name: gaussian_noise, epsilon: [0.1, 0.2]}]\n"
    )
    (folder / "group.yaml").write_text(
        "group: strengths\ntask: [pope_eps0.3, pope_eps0.37, {task: pope_eps0.38, max_side: 64}]\n"
    )
    (folder / "small.yaml").write_text("group: small\ntask: [seed_eps]\nmax_side: 64\n")
    (folder / "listed.yaml").write_text(
        f"include: {FOLDER / 'seed/_seed_yaml'}\ntask: seed_jpeg\n"
        "perturbations: [{name: jpeg, severity: 2}]\n"
    )
    return TaskManager("WARNING", include_path=str(folder), include_defaults=False)


@given(st.sampled_from(PREFIXES), st.floats(0, 1))
def test_every_prefix_and_every_epsilon_make_a_name(prefix: str, epsilon: float) -> None:
    made = shipped().config(f"{prefix}_eps{epsilon}")
    assert made["perturbations"] == [{"name": "gaussian_noise", "epsilon": epsilon}]
    template = load_yaml_config(str(shipped().templates[prefix]))
    assert {key: made[key] for key in template} == template


@pytest.mark.parametrize(
    "name",
    ["pope", "pope_", "pope_shiny", "vqa_eps0.1", "pope_eps0.*", "pope_eps0.[12]", "", "x/y"]
    + ["pope_eps0.3.yaml", "pope_drift?", "pope__drift", "caption_trap_blur", "pope_blur_"],
)
def test_other_names_are_the_harness_own(name: str) -> None:
    assert shipped().config(name) is None


BAD = ["pope_eps1.5", "pope_eps-1", "pope_epsfoo", "pope_epsnan", "pope_eps0,3", "pope_eps0_3"]
BAD += ["seed_eps0.3 ", "pope_eps..3", "pope_eps1e9", "pope_eps0.3_blur", "pope_eps2_drift"]


@pytest.mark.parametrize("name", BAD)
def test_an_epsilon_that_is_none_is_named(name: str, manager: TaskManager) -> None:
    prefix, text = name.removesuffix("_drift").split("_eps")
    message = (
        f"task {name}: epsilon is {text!r}, expected a number in [0, 1], as in {prefix}_eps0.17"
    )
    for attempt in (manager.match_tasks, manager.load_task_or_group):
        with pytest.raises(TaskError) as caught:
            attempt([name])
        assert str(caught.value) == message


ORDER = (
    "expected a prefix, one suffix of what is shown and one of what is measured (drift, loglik, "
    "verbal1, verbal3), as in pope_blur_verbal3"
)
CANNOT = {
    "seed_verbal3": "verbal3 is for questions that ask for yes or no, which those of seed do not",
    "mmmu_jpeg_verbal1": "verbal1 is for questions that ask for yes or no, which those of mmmu do "
    "not",
    "caption_blur": "blur is for questions that have right answers, which those of caption do not",
    "caption_eps0.2_loglik": "loglik is for questions that have right answers, which those of "
    "caption do not",
    "amber_existence_objectnoise": "objectnoise is for questions that name things in the image, "
    "which those of amber_existence do not",
    "pope_verbal3_blur": ORDER,
    "pope_drift_loglik": ORDER,
    "pope_blur_jpeg": ORDER,
    "pope_blur_jpeg_verbal3": ORDER,
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_be_says_why(name: str, manager: TaskManager) -> None:
    for attempt in (manager.match_tasks, manager.load_task_or_group):
        with pytest.raises(TaskError) as caught:
            attempt([name])
        assert str(caught.value) == f"task {name}: {CANNOT[name]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_made_task_is_that_of_a_yaml(name: str, manager: TaskManager, own: TaskManager) -> None:
    assert name not in manager.all_tasks and name in own.all_tasks
    assert shipped().config(name) == own._get_config(name)
    made, written = (one.load_task_or_group([name])[name] for one in (manager, own))
    assert made.plan.variants == written.plan.variants
    assert list(made.plan.metrics) == list(written.plan.metrics)
    assert made.dump_config() == written.dump_config()
    assert made.aggregation().keys() == written.aggregation().keys()


def test_names_of_a_yaml_are_left_alone(own: TaskManager) -> None:
    loaded = own.load_task_or_group(["pope_epsilons"])["pope_epsilons"]
    assert len(loaded.plan.variants) == 2


def test_names_match_beside_patterns_and_stay_out_of_the_list(manager: TaskManager) -> None:
    before = list(manager.all_tasks)
    asked = ["seed_eps0.05", "pope_eps0.[12]", "pope_eps0.17", "nothing", "amber_eps0.3"]
    asked += ["pope_jpeg*", "seed_jpeg_drift"]
    matched = ["amber_eps0.3", "pope_eps0.1", "pope_eps0.17", "pope_eps0.2", "pope_jpeg"]
    matched += ["seed_eps0.05", "seed_jpeg_drift"]
    assert manager.match_tasks(asked) == matched
    assert manager.match_tasks("pope_eps0.17") == ["pope_eps0.17"]
    assert list(get_task_dict(matched, manager)) == matched[::-1]
    assert manager.all_tasks == before


def test_groups_may_name_them(own: TaskManager) -> None:
    (tasks,) = own.load_task_or_group(["strengths"]).values()
    shown = {
        name: (str(task.plan.variants[0]), task.plan.settings.max_side)
        for name, task in tasks.items()
    }
    assert shown == {
        "pope_eps0.3": ("gaussian_noise(epsilon=0.3, seed=0)", None),
        "pope_eps0.37": ("gaussian_noise(epsilon=0.37, seed=0)", None),
        "pope_eps0.38": ("gaussian_noise(epsilon=0.38, seed=0)", 64),
    }


def test_a_group_may_change_the_tasks_of_one_that_is_made(own: TaskManager) -> None:
    ((group, tasks),) = own.load_task_or_group(["small"]).items()
    (tasks,) = tasks.values()
    assert group.group == "small" and sorted(tasks) == [f"seed_eps0.{n}" for n in (1, 2, 3, 5)]
    assert {task.plan.settings.max_side for task in tasks.values()} == {64}


def test_a_yaml_of_the_same_name_is_taken(manager: TaskManager, own: TaskManager) -> None:
    mine, ours = (one.load_task_or_group(["seed_jpeg"])["seed_jpeg"] for one in (own, manager))
    assert (len(mine.plan.variants), len(ours.plan.variants)) == (1, 5)


def test_an_evaluation_gives_what_one_of_a_yaml_gives(
    manager: TaskManager, own: TaskManager
) -> None:
    made, written = (
        evaluator.simple_evaluate(
            load(),
            tasks=["pope_eps0.17"],
            task_manager=one,
            limit=4,
            log_samples=True,
            bootstrap_iters=0,
        )
        for one in (manager, own)
    )
    assert made["results"] == written["results"]
    assert made["configs"] == written["configs"]
    assert samples(made, "pope_eps0.17") == samples(written, "pope_eps0.17")
    assert json.loads(samples(made, "pope_eps0.17").splitlines()[0])["readouts"][1][
        "parameters"
    ] == {"epsilon": 0.17}


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """The harness's own evaluate, put back in place of the wrapped one for a test."""
    plugin.install_seam()
    original = evaluator.evaluate.__wrapped__
    monkeypatch.setattr(evaluator, "evaluate", original)
    monkeypatch.setattr(evaluator.ResponseCache, "create", evaluator.ResponseCache.create)
    return original


def test_making_a_manager_puts_the_seam_in(stock: Callable) -> None:
    TaskManager("WARNING", include_defaults=False)
    assert evaluator.evaluate.__wrapped__ is stock


def test_a_manager_made_before_the_evaluator_was_whole_puts_it_in_when_it_loads(
    stock: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(evaluator, "evaluate")
    early = TaskManager("WARNING", include_defaults=False)
    assert not hasattr(evaluator, "evaluate")
    monkeypatch.setattr(evaluator, "evaluate", stock, raising=False)
    early.load_task_or_group(["pope_eps0.3"])
    assert evaluator.evaluate.__wrapped__ is stock
