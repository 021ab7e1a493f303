"""Tasks that are named after an epsilon and have no YAML."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lmms_eval import evaluator
from lmms_eval.tasks import TaskManager, get_task_dict

from harness.conftest import load, samples
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness import plugin
from vlm_confidence_tasks.harness.epsilon_tasks import split_name, task_config

FOLDER = Path(plugin.task_folder())
PREFIXES = {path.name[1:-5] for path in FOLDER.glob("*/_*_yaml")}
NAMES = {
    "pope_eps0.17": "pope/_pope_yaml",
    "seed_eps0.05": "seed/_seed_yaml",
    "pope_adv_eps0.25": "pope/_pope_adv_yaml",
    "caption_eps0.4": "caption/_caption_yaml",
    "mmmu_eps1": "mmmu/_mmmu_yaml",
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
    for name, template in NAMES.items():
        epsilon = float(name.rpartition("_eps")[2])
        (folder / f"{name}.yaml").write_text(
            f"include: {FOLDER / template}\ntask: {name}\n"
            f"perturbations: [{{name: gaussian_noise, epsilon: {epsilon}}}]\n"
        )
    (folder / "mine.yaml").write_text(
        f"include: {FOLDER / 'pope/_pope_yaml'}\ntask: pope_epsilons\n"
        "perturbations: [{name: gaussian_noise, epsilon: [0.1, 0.2]}]\n"
    )
    (folder / "group.yaml").write_text(
        "group: strengths\ntask: [pope_eps0.3, pope_eps0.37, {task: pope_eps0.38, max_side: 64}]\n"
    )
    return TaskManager("WARNING", include_path=str(folder), include_defaults=False)


@given(st.sampled_from(sorted(PREFIXES)), st.floats(0, 1))
def test_every_template_and_every_epsilon_make_a_name(prefix: str, epsilon: float) -> None:
    assert split_name(f"{prefix}_eps{epsilon}", PREFIXES) == (prefix, epsilon)


def test_the_prefixes_are_those_of_the_templates() -> None:
    assert {"pope", "pope_adv", "amber_relation", "seed", "mmmu", "caption"} <= PREFIXES


@pytest.mark.parametrize(
    "name",
    ["pope", "pope_eps", "pope_blur", "vqa_eps0.1", "pope_eps0.*", "pope_eps0.[12]", "", "x/y"],
)
def test_other_names_are_the_harness_own(name: str) -> None:
    assert split_name(name, PREFIXES) is None
    assert task_config(name, (), str(FOLDER)) is None


BAD = ["pope_eps1.5", "pope_eps-1", "pope_epsfoo", "pope_epsnan", "pope_eps0,3", "pope_eps0_3"]
BAD += ["seed_eps0.3 ", "pope_eps..3", "pope_eps1e9", "pope_eps0.3_blur"]


@pytest.mark.parametrize("name", BAD)
def test_an_epsilon_that_is_none_is_named(name: str, manager: TaskManager) -> None:
    prefix, text = name.split("_eps")
    message = (
        f"task {name}: epsilon is {text!r}, expected a number in [0, 1], as in {prefix}_eps0.17"
    )
    for attempt in (manager.match_tasks, manager.load_task_or_group):
        with pytest.raises(TaskError) as caught:
            attempt([name])
        assert str(caught.value) == message


@pytest.mark.parametrize("name", NAMES)
def test_a_made_task_is_that_of_a_yaml(name: str, manager: TaskManager, own: TaskManager) -> None:
    assert name not in manager.all_tasks and name in own.all_tasks
    assert task_config(name, manager.all_tasks, str(FOLDER)) == own._get_config(name)
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
    matched = ["amber_eps0.3", "pope_eps0.1", "pope_eps0.17", "pope_eps0.2", "seed_eps0.05"]
    assert manager.match_tasks(asked) == matched
    assert manager.match_tasks("pope_eps0.17") == ["pope_eps0.17"]
    assert list(get_task_dict(matched, manager)) == matched[::-1]
    assert manager.all_tasks == before


def test_groups_may_name_them(own: TaskManager) -> None:
    (tasks,) = own.load_task_or_group(["strengths"]).values()
    shown = {name: (str(task.plan.variants[0]), task.plan.max_side) for name, task in tasks.items()}
    assert shown == {
        "pope_eps0.3": ("gaussian_noise(epsilon=0.3, seed=0)", None),
        "pope_eps0.37": ("gaussian_noise(epsilon=0.37, seed=0)", None),
        "pope_eps0.38": ("gaussian_noise(epsilon=0.38, seed=0)", 64),
    }


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
