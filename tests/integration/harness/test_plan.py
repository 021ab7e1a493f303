"""The plan of a run is what the run does."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from conftest import evaluate_command, run_command, write_pope
from lmms_eval.models import get_model
from lmms_eval.tasks import TaskManager, get_task_dict

from vlm_confidence_tasks.harness import plan
from vlm_confidence_tasks.harness.adapter import HarnessAdapter
from vlm_confidence_tasks.models.counting_adapter import counting
from vlm_confidence_tasks.models.shared_prefix import SharedPrefix
from vlm_confidence_tasks.sandbox import MODEL_DIR

from .kept_runs import evaluate, write_tasks

NOISE = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]\nGENERATION"
SHORT = "generation_kwargs: {max_new_tokens: 1, temperature: 0, do_sample: false}"
TASKS = {
    "noise": NOISE,
    "scaled": "perturbations: [{name: scale, factor: 0.5}]\nmax_side: 48\nGENERATION",
    "inside": f"{NOISE}\nrepresentations: true\ncontrol: same_question",
    "scored": f"{NOISE}\nloglik: true",
    "doubtful": f"{NOISE}\nverbal: first",
    "overlay": "perturbations: [{name: text_overlay}]\nGENERATION",
}
# Five questions about one image, and two about others.
ROWS = [0, 1, 2, 3, 4, 41, 82]


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    texts = {name: text.replace("GENERATION", SHORT) for name, text in TASKS.items()}
    folder = write_tasks(tmp_path_factory.mktemp("tasks"), **texts)
    return TaskManager("WARNING", folder, include_defaults=False)


@pytest.fixture
def seven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Seven documents as data, and blocks that are shared without the check's own answers."""
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(write_pope(tmp_path, ROWS)))

    def trusted(self, kind, blocks, rows, arguments):
        self._chosen[kind] = "packed"
        return self._in_memory(blocks, rows, arguments, "packed")

    monkeypatch.setattr(SharedPrefix, "_checked", trusted)


def planned(manager: TaskManager, *names: str, arguments: str = "") -> dict[str, plan.Share]:
    made = counting(get_model("tiny_llava")).create_from_arg_string(arguments, {"batch_size": 1})
    assert {parameter.device.type for parameter in made.model.parameters()} == {"meta"}
    return plan.plan(made, get_task_dict(list(names), manager, "chat"), None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list]:
    """The calls of the engine, in plans and in runs: keys; of second turns without the answer."""
    calls: list[list] = []
    generate = HarnessAdapter.generate

    def spy(self, requests):
        calls.append(
            [
                (one.task.name, one.index, one.key.image, one.key.prompt if not one.first else "")
                for one in requests
            ]
        )
        return generate(self, requests)

    monkeypatch.setattr(HarnessAdapter, "generate", spy)
    return calls


def test_a_run_makes_the_calls_that_are_planned(manager, seven, asked) -> None:
    shares = planned(manager, *TASKS)
    expected = list(asked)
    asked.clear()
    evaluate(manager, list(TASKS), limit=None)
    assert asked == expected
    total = shares["all"]
    assert total.answers.total() == sum(map(len, asked))
    assert {name: share.documents for name, share in shares.items()} == {
        **dict.fromkeys(TASKS, len(ROWS)),
        "all": len(ROWS) * len(TASKS),
    }
    # What tasks share is counted in the one that asks: here in the one that scores options too.
    clean = {name: shares[name].answers["clean"] for name in TASKS}
    assert clean == dict.fromkeys(TASKS, 0) | {"scored": 7, "scaled": 7}
    assert {kind: total.answers[kind] for kind in plan.KINDS} == {
        "clean": 14,
        "perturbed": 21,
        "control": 14,
        "blank": 7,
        "second turn": 14,
    }
    assert total.counts["scored_options"] == 2 * 2 * len(ROWS)
    assert total.adaptive and not shares["noise"].adaptive


class Passes:
    """Counts what really goes through a model."""

    def __init__(self, lm) -> None:
        self.tokens = self.images = 0
        lm.model.model.language_model.register_forward_pre_hook(self._text, with_kwargs=True)
        lm.model.model.vision_tower.register_forward_pre_hook(self._vision, with_kwargs=True)

    def _text(self, module, args, kwargs) -> None:
        self.tokens += kwargs["inputs_embeds"].shape[:2].numel()

    def _vision(self, module, args, kwargs) -> None:
        pixels = args[0] if args else kwargs["pixel_values"]
        self.images += len(pixels)


@pytest.mark.parametrize("names", [("noise",), ("noise", "scaled"), ("inside",)])
@pytest.mark.parametrize("shared", [True, False])
def test_tokens_and_passes_are_those_of_the_run(
    manager, seven, names: tuple[str, ...], shared: bool
) -> None:
    shares = planned(manager, *names)
    share = shares[plan.ALL if len(names) > 1 else names[0]]
    lm = get_model("tiny_llava").create_from_arg_string(
        f"shared_prefix={shared}", {"batch_size": 1}
    )
    passes = Passes(lm)
    evaluate(manager, list(names), model=lm, limit=None)
    answers = share.answers.total()
    assert passes.tokens == share.counts["prompt_tokens" if shared else "prompt_tokens_alone"]
    # generate(), of which the shared path asks its settings once, looks at an image for that.
    assert passes.images == (share.counts["passes"] + 1 if shared else answers)
    assert share.counts["new_tokens"] == answers


COMMAND = ("vlm-confidence", "plan", "--model", "tiny_llava")


def test_the_command_says_what_the_run_then_does(tmp_path: Path) -> None:
    tasks = ("--tasks", "pope_eps0.3,amber_existence_eps0.3", "--limit", "20")
    said = run_command([*COMMAND, *tasks, "--json"], tmp_path)
    assert said.code == 0, said.output
    shares = json.loads(said.output[said.output.index("{") : said.output.rindex("}") + 1])
    made = run_command(evaluate_command(tasks[1], *tasks[2:]), tmp_path)
    total = sum(shares["all"]["answers"].values())
    assert f" {total}/{total} " in made.output
    for name in tasks[1].split(","):
        rows = made.samples(name).values()
        assert shares[name]["documents"] == len(rows) == 20
        shown = Counter()
        for kind, place in (("clean", 0), ("perturbed", 1)):
            shown[kind] = len({row["readouts"][place]["image_sha256"] for row in rows})
        assert {kind: shares[name]["images"][kind] for kind in shown} == shown
    table = run_command([*COMMAND, *tasks], tmp_path)
    assert table.code == 0
    assert re.search(r"^documents +20 +20 +40$", table.output, re.M)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--tasks nothing", "there is no task nothing: `lmms_eval tasks list` shows them"),
        ("--tasks pope_eps0.3 --model llava_hf", "plan knows --model hf_multimodal, llava and tin"),
        ("--tasks pope_eps0.3 --model none", "--model none --model_args : configuration and pro"),
        ("--tasks pope_eps0.3 --model_args pretrained=TEXT", "gpt2 is no vision-language model"),
        ("--tasks pope_eps0.3 --model_args pretrained=BARE", "configuration and processor cannot"),
        ("--tasks pope_eps0.3 --limit 0", "--limit: must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_planned_is_one_line(tmp_path: Path, arguments: str, named: str) -> None:
    for name in ("TEXT", "BARE"):
        (tmp_path / name).mkdir()
    (tmp_path / "TEXT" / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "BARE" / "config.json").write_text((MODEL_DIR / "config.json").read_text())
    done = run_command([*COMMAND, *arguments.split()], tmp_path)
    assert done.code != 0
    assert done.last_line.startswith("vlm-confidence") and named in done.last_line
    assert "Traceback" not in done.output


def test_help_names_it(tmp_path: Path) -> None:
    assert "what a run would cost" in run_command(["vlm-confidence", "--help"], tmp_path).output
