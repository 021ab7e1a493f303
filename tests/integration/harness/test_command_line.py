"""Options and names of the command line: each is applied, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import run_command
from lmms_eval.tasks import TaskManager

from .conftest import load
from .kept_runs import TEMPLATE, evaluate, said

NOISE = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
TASKS = {
    "noisy": NOISE,
    "stated": f"{NOISE}\nverbal: third",
    "misspelt": f"{NOISE}\ngeneration_kwargs: {{max_new_token: 5}}",
    "of_nothing": "perturbations: []\nmetric_list: [{metric: accuracy}]",
    "no_numbers": "perturbations: []\nmetrics: []",
}
SILENT = "{% for m in messages %}{% if m.role == 'user' %}<image>{% endif %}{% endfor %}ASSISTANT:"
REFUSING = "{% for m in messages %}{{ raise_exception('System role not supported') }}{% endfor %}"
# What a run is asked beside a model, a task and where to write, and what it says; None: nothing.
REFUSED = [
    ({"model": "tiny_lava"}, "--model tiny_lava: no such adapter (did you mean tiny_llava?)"),
    (
        {"model": "tinyllava"},
        "--model tinyllava: lmms-eval's adapter of this name cannot be loaded (did you mean "
        "tiny_llava?); is the package installed that it needs? NameError: ",
    ),
    (
        {"tasks": "pope_textoverly"},
        "Tasks not found: pope_textoverly (did you mean pope_textoverlay?)",
    ),
    ({"tasks": "noisy,pope_zzz*"}, "Tasks not found: pope_zzz* (did you mean pope?)"),
    ({"apply_chat_template": True}, "--apply_chat_template: adapter tiny_llava cannot apply one"),
    ({"output_path": "2024"}, "--output_path 2024: lmms_eval would read another name"),
    ({"output_path": "a,b=c"}, "--output_path a,b=c: lmms_eval would read another name"),
    (
        {"tasks": "pope_eps0.3,caption_eps0.3", "limit": 0.3},
        "--limit 0.3: lmms_eval takes as many documents of every task as this share "
        "of one of them is (6 of caption_eps0.3, 8 of pope_eps0.3): give a number of documents",
    ),
    ({"limit": 0}, "--limit 0: give a number of documents, a share"),
    ({"limit": 2.5}, "--limit 2.5: give a number of documents, a share"),
    ({"offset": 24}, "--offset 24: task noisy has 24 documents"),
    (
        {"gen_kwargs": "max_new_token=5"},
        "task noisy: generation_kwargs has max_new_token, which TinyLlava does not read (did you "
        "mean max_new_tokens?)",
    ),
    ({"gen_kwargs": "repetition_penalty=1.2"}, "has repetition_penalty, which TinyLlava does not"),
    ({"tasks": "misspelt"}, "task misspelt: generation_kwargs has max_new_token, which TinyLlava"),
    (
        {"system_instruction": "Be brief.", "force_simple": True},
        "--system_instruction cannot be applied: TinyLlavaSimple takes texts, not chat messages",
    ),
    (
        {"system_instruction": "Be brief.", "model_args": f'chat_template="{SILENT}"'},
        "--system_instruction cannot be applied: the model's chat template leaves it out",
    ),
    (
        {"system_instruction": "Be brief.", "model_args": f'chat_template="{REFUSING}"'},
        "--system_instruction cannot be applied: the model's chat template refuses it (System",
    ),
    (
        {"system_instruction": "Be brief.", "tasks": "pope_pgd_flip"},
        "--system_instruction cannot be applied: task pope_pgd_flip writes prompts of its own",
    ),
    (
        {"system_instruction": "Be brief.", "tasks": "caption_trap_eps0.1"},
        "--system_instruction cannot be applied: task caption_trap_eps0.1 writes prompts of its",
    ),
    ({"baseline": "x.jsonl"}, "leave out --baseline, which finds no score of a document"),
    ({"max_tokens": 5}, "leave out --max_tokens: TinyLlava counts no tokens"),
    ({"tasks": "of_nothing"}, "perturbations is empty, and without any there is no accuracy: add"),
    ({"tasks": "no_numbers", "predict_only": True}, None),
    ({"tasks": "no_numbers"}, "task no_numbers has no numbers: none of its metrics can be"),
    (
        {"tasks": "pope"},
        "task pope is not of this package, and its data cannot be loaded (ConnectionError: ",
    ),
]


def test_what_is_refused(few_questions: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    for name, own in TASKS.items():
        keys = yaml.safe_load(TEMPLATE.replace("!function ", "")) | yaml.safe_load(own)
        text = yaml.safe_dump(keys | {"task": name}, sort_keys=False)
        text = text.replace("class: ", "class: !function ")
        (tmp_path / "tasks" / f"{name}.yaml").write_text(text)
    base = {"model": "tiny_llava", "tasks": "noisy", "include_path": "tasks", "limit": 2}
    base |= {"output_path": "results"}
    (tmp_path / "runs.yaml").write_text(yaml.safe_dump([base | given for given, _ in REFUSED]))
    run = run_command(["lmms_eval", "--config", "runs.yaml"], tmp_path, few_questions)
    assert run.code == 1
    said = {n: message for n, (_, message) in enumerate(REFUSED, 1) if message is not None}
    lines = run.output.strip().splitlines()[-len(said) :]
    for line, (number, message) in zip(lines, said.items(), strict=True):
        assert line.startswith(f"lmms_eval: error: run {number} of runs.yaml: "), line
        assert message in line, (line, message)
    folder = str(few_questions)
    assert lines[-1].endswith(f"VLM_CONFIDENCE_DATA={folder} holds data of perturbed tasks only")
    # Nothing of what is refused is written, but the samples of a task without numbers.
    written = [json.loads(file.read_text()) for file in tmp_path.rglob("*_results.json")]
    assert {task for results in written for task in results["configs"]} == {"no_numbers"}


def test_a_system_instruction_begins_every_prompt_and_is_part_of_keys_and_results(
    manager: TaskManager, few_questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))

    def run(**options) -> tuple[dict, set[str], list[str]]:
        lm, prompts = load(), set()
        for processor in (lm.processor, lm._processor_ahead):
            make = processor.apply_chat_template

            def noted(*args, make=make, **kwargs) -> str:
                prompts.add(text := make(*args, **kwargs))
                return text

            processor.apply_chat_template = noted
        with said() as lines:
            found = evaluate(manager, ["stated"], tmp_path, model=lm, model_args=None, **options)
        return found, prompts, [line for line in lines if "reused" in line]

    plain, before, _ = run()
    found, prompts, reused = run(system_instruction="Be brief.")
    assert reused == ["reused 0 of 12 answers"]
    # The check's own prompt is among them.
    assert len(prompts) > len(before) > 1
    assert all(prompt.startswith("Be brief. USER: ") for prompt in prompts)
    assert before == {p.removeprefix("Be brief. ") for p in prompts} & before
    settings = found["configs"]["stated"]["generation_kwargs"]
    assert settings.pop("system_instruction") == "Be brief."
    assert plain["configs"]["stated"]["generation_kwargs"] == settings
    rows = zip(plain["samples"]["stated"], found["samples"]["stated"], strict=True)
    for one, other in rows:
        assert one["readouts"] != other["readouts"] and one["arguments"] == other["arguments"]
    again, _, reused = run(system_instruction="Be brief.")
    assert reused == ["reused 12 of 12 answers"]
    assert again["samples"] == found["samples"]
