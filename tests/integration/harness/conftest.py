"""Evaluations in this process, on the embedded model."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager
from stand_in import StandIn, stand_in

from vlm_confidence_tasks.metrics import Answers, Sample, values
from vlm_confidence_tasks.report.inputs.samples import read_samples

from .fault_table import happened as happened
from .kept_runs import evaluate as evaluate_tasks
from .kept_runs import write_tasks


@pytest.fixture(scope="session")
def installed() -> TaskManager:
    return TaskManager("WARNING", include_defaults=False)


@pytest.fixture(scope="module")
def manager(
    request: pytest.FixtureRequest,
    installed: TaskManager,
    tmp_path_factory: pytest.TempPathFactory,
) -> TaskManager:
    """The package's tasks, and those that a file of tests writes down in `TASKS`."""
    tasks = getattr(request.module, "TASKS", None)
    if tasks is None:
        return installed
    folder = write_tasks(tmp_path_factory.mktemp("tasks"), **tasks)
    return TaskManager("WARNING", folder, include_defaults=False)


def load(simple: bool = False, arguments: str = "", batch_size: int = 1):
    """Load the model anew: the harness takes it out of its adapter after an evaluation."""
    more = {"batch_size": batch_size}
    return get_model("tiny_llava", simple).create_from_arg_string(arguments, more)


@pytest.fixture
def evaluate(manager: TaskManager, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """A function that evaluates tasks on the sandbox's data, with short answers and all metrics."""
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
    monkeypatch.setenv("VLM_CONFIDENCE_METRICS", "all")

    def run(*tasks: str, lm=None, limit: int = 3) -> dict:
        options = {"limit": limit, "gen_kwargs": "max_new_tokens=4"}
        return evaluate_tasks(manager, list(tasks), model=lm or "tiny_llava", **options)

    return run


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """An OpenAI-compatible server that knows the truth."""
    import openai

    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")

    def complete(api_key: str, api_base: str, **payload):
        return openai.OpenAI(api_key=api_key, base_url=api_base).chat.completions.create(**payload)

    # litellm is large; the adapter calls this one function of it.
    monkeypatch.setitem(sys.modules, "litellm", types.SimpleNamespace(completion=complete))
    with stand_in() as running:
        yield running


@pytest.fixture
def ask_server(manager: TaskManager, server: StandIn) -> Callable[..., dict]:
    """A function that evaluates a task with one of the harness's adapters on the server."""

    def run(
        model: str = "openai", folder: Path | None = None, task: str = "noisy", **options
    ) -> dict:
        arguments = {"base_url": server.url, "max_retries": 2, "retry_backoff_s": 0.01}
        arguments |= {"num_cpus" if model == "async_openai" else "num_concurrent": 8}
        arguments |= options.pop("arguments", {})
        given = ",".join(f"{key}={value}" for key, value in arguments.items())
        given = f"model_version=stand-in,{given}"
        return evaluate_tasks(manager, [task], folder, model=model, model_args=given, **options)

    return run


def numbers(found: dict, task: str) -> dict[str, float]:
    """The task's metrics, without their standard errors."""
    results = found["results"][task].items()
    values = {key.split(",")[0]: value for key, value in results if "_stderr" not in key}
    return {name: value for name, value in values.items() if isinstance(value, float)}


def samples(found: dict, task: str) -> str:
    """The task's samples file, as text."""
    return "".join(json.dumps(row, default=str) + "\n" for row in found["samples"][task])


def documents(found: dict, task: str, folder: Path) -> list[Sample]:
    """The task's samples as reports read them."""
    file = folder / f"x_samples_{task}.jsonl"
    file.write_text(samples(found, task))
    return read_samples(file).samples


def again(found: dict, task: str, folder: Path) -> dict[str, float]:
    """The task's metrics, computed again from its samples file."""
    return values(Answers.of(documents(found, task, folder)))
