"""Every command that the docs show does what they say, or could where there is a hub."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Run, run_command
from lmms_eval import models
from lmms_eval.tasks import TaskManager

from vlm_confidence_tasks import cli
from vlm_confidence_tasks.calibration.config import read_config
from vlm_confidence_tasks.cli import csp
from vlm_confidence_tasks.metrics import metrics_for
from vlm_confidence_tasks.metrics.statistics.refitted import OfViews
from vlm_confidence_tasks.sandbox import SANDBOX

ROOT = Path(__file__).parents[2]
PACKAGE = "vlm_confidence_tasks"
PATTERNS = ("*.md", "docs/*.md", "docs/studies/*.md", "task_yamls/*/*.md")
PAGES = sorted(page for pattern in PATTERNS for page in ROOT.glob(pattern))
BLOCK = re.compile(r"```sh\n(.*?)```", re.S)
INDENTED = re.compile(r"^    ((?:make|python scripts/|lmms_eval|vlm-confidence) ?.*)$", re.M)


def commands() -> list[str]:
    """Return each distinct command of the docs, without its comment."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for block in BLOCK.findall(text):
            found += block.strip().splitlines()
        found += INDENTED.findall(text)
    return list(dict.fromkeys(line.split("  #")[0].strip() for line in found if line.strip()))


ALL = commands()


def starting(*words: str) -> list[str]:
    return [line for line in ALL if line.startswith(words)]


README = (ROOT / "README.md").read_text()
NEWCOMERS = (ROOT / "docs" / "first-hour.md").read_text()
# What the newcomer's path shows, a language and a text each, in order.
FIRST_HOUR = re.findall(
    r"```(\w+)\n(.*?)```", NEWCOMERS.partition("\n## A task of your own without")[0], re.S
)
IN_ORDER = [line for kind, text in FIRST_HOUR if kind == "sh" for line in text.splitlines()]
EMBEDDED = [line for line in ALL if "lmms_eval --model tiny_llava" in line and line not in IN_ORDER]
EVALUATIONS = [line for line in ALL if "lmms_eval" in line or "-m vlm_confidence_tasks" in line]
OF_THE_HUB = [
    line for line in EVALUATIONS if "--model " in line and line not in (*EMBEDDED, *IN_ORDER)
]
GENERATE = "python scripts/sandbox/generate_sandbox_data.py"
MAKE, SCRIPTS, CSP = starting("make"), starting("python scripts/"), starting("vlm-confidence csp")
REPORTS = [line for line in starting("vlm-confidence") if line not in CSP]
LISTS = [line for line in EVALUATIONS if "--model " not in line]


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    tested = {*EMBEDDED, *IN_ORDER, *OF_THE_HUB, *MAKE, *SCRIPTS, *CSP, *REPORTS, *LISTS}
    assert sorted(tested) == sorted(ALL)
    assert EMBEDDED and OF_THE_HUB and MAKE and SCRIPTS and CSP and REPORTS and LISTS


@pytest.mark.parametrize("line", EMBEDDED)
def test_commands_on_the_embedded_model_run(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)
    environment = dict(word.split("=", 1) for word in words if word.startswith("VLM_"))
    command = [word for word in words if not word.startswith("VLM_")]
    data = environment["VLM_CONFIDENCE_DATA"]
    if data != SANDBOX:
        # Made by the command before it on its page; here of two images.
        assert any(made.startswith(f"{GENERATE} {data} ") for made in SCRIPTS)
        path = str(ROOT / GENERATE.split()[1])
        subprocess.run([sys.executable, path, data, "--images", "2"], cwd=tmp_path, check=True)
    done = run_command([*command, "--limit", "2"], tmp_path, data)
    assert done.code == 0, done.output


@pytest.mark.parametrize("line", LISTS)
def test_commands_that_list_run(line: str, tmp_path: Path) -> None:
    done = run_command(shlex.split(line), tmp_path)
    assert done.code == 0
    assert "pope_eps0.3" in done.output and "hidden_instability" in done.output


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return TaskManager("WARNING", include_defaults=False)


@pytest.mark.parametrize("line", OF_THE_HUB)
def test_commands_of_the_hub_name_models_and_tasks_that_exist(
    line: str, manager: TaskManager
) -> None:
    words = shlex.split(line)
    assert models.get_model(words[words.index("--model") + 1])
    tasks = words[words.index("--tasks") + 1].split(",")
    if "--include_path" not in words:
        assert manager.match_tasks(tasks)
        assert all("*" in task or task in manager.all_tasks for task in tasks)


@pytest.mark.parametrize("line", MAKE)
def test_make_knows_its_targets(line: str) -> None:
    words = [word for word in shlex.split(line) if "=" not in word]
    done = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", sorted(ROOT.glob("docs/**/*.sh")), ids=lambda file: file.name)
def test_shell_scripts_parse_and_name_scripts_that_exist(file: Path) -> None:
    assert not subprocess.run(["bash", "-n", file], check=False).returncode
    assert os.access(file, os.X_OK)
    named = re.findall(r"\bscripts/([\w/]+\.py)", file.read_text())
    assert all((ROOT / "scripts" / name).is_file() for name in named)


@pytest.mark.parametrize("line", SCRIPTS)
def test_scripts_know_their_options(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, script, *options = shlex.split(line)
    # In this process, where what scripts import for seconds is imported.
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    monkeypatch.syspath_prepend((ROOT / script).parent)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / script), run_name="__main__")
    assert not ended.value.code
    shown = capsys.readouterr().out
    assert all(option in shown for option in options if option.startswith("--"))


@pytest.mark.parametrize("line", REPORTS)
def test_report_commands_run(line: str, sweep: Run) -> None:
    done = run_command(["bash", "-c", line], sweep.folder.parent)
    if lacking := re.search("no metric '(.*?)' here", done.output):
        # What is fitted on half of the images needs more of them than this run has.
        assert isinstance(metrics_for(())[lacking[1]].statistic, OfViews)
        return
    assert done.code == 0, done.output


def demo_command() -> list[str]:
    """The evaluation of `make demo`."""
    rule = re.search(r"^demo:.*?\n(.*?)\n\n", (ROOT / "Makefile").read_text(), re.M | re.S)
    (words,) = re.findall(r"\$\(BIN\)/(lmms_eval .*)", rule[1].replace("\\\n", " "))
    return shlex.split(words)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """What `make demo` runs, all of it."""
    return run_command(demo_command(), tmp_path_factory.mktemp("demo"))


def test_the_readmes_output_is_that_of_the_demo(demo: Run) -> None:
    """VLM_CONFIDENCE_WRITE_README=1 writes it."""
    assert demo.code == 0, demo.output
    summary = re.compile(r"^Clean -> perturbed.*?^ece: .*?$", re.M | re.S)
    (shown,), (printed,) = summary.findall(README), summary.findall(demo.output)
    if "VLM_CONFIDENCE_WRITE_README" in os.environ:
        (ROOT / "README.md").write_text(README.replace(shown, printed))
    else:
        assert shown == printed


@pytest.mark.parametrize("line", CSP)
def test_training_commands_are_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name in ("data", "train", "evaluate"):
        monkeypatch.setattr(csp, name, lambda options, name=name: seen.append(name))
    cli.main(shlex.split(line)[1:])
    assert seen == [shlex.split(line)[2]]


def test_configurations_that_the_page_shows_are_read(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "csp.md").read_text(), re.S)
    (tmp_path / "mine.yaml").write_text(text)
    assert read_config(str(tmp_path / "mine.yaml")).train.lora.rank == 8


def test_a_task_without_code_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (yaml,) = re.findall(r"```yaml\n(class.*?)```", NEWCOMERS, re.S)
    (tmp_path / "mine.yaml").write_text(yaml)
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", "sandbox")
    manager = TaskManager("WARNING", str(tmp_path), include_defaults=False)
    task = manager.load_task_or_group(["pope_three_draws"])["pope_three_draws"]
    assert [variant.seed for variant in task.plan.variants] == [0, 1, 2]
    assert set(task.aggregation()) == {"entropy_delta", "ifr"}


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, *ROOT.glob("docs/*/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_names_that_contributing_sends_to_are_in_the_files_that_it_names() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`([A-Z_]{4,})`\s+(?:of|in)\s+`([\w/.]+\.py)`", text)
    assert ("BENCHMARKS", "benchmarks/__init__.py") in named
    for name, path in named:
        files = [file for file in ROOT.rglob(path) if ".venv" not in file.parts]
        assert any(re.search(rf"^{name}\b", file.read_text(), re.M) for file in files), name


def _python_files(text: str) -> set[str]:
    """Return the Python files that a text names as they are, not by a pattern."""
    return set(re.findall(r"`((?:\w+/)*\w+\.py)`", text))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    named = _python_files((ROOT / page).read_text())
    assert len(named) > 10
    tracked = [str(file.relative_to(ROOT)) for file in (ROOT / PACKAGE).rglob("*.py")]
    tracked += [
        str(file.relative_to(ROOT))
        for folder in ("scripts", "tests")
        for file in (ROOT / folder).rglob("*.py")
    ]
    missing = {
        name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in tracked)
    }
    assert not missing


def test_the_walks_name_functions_of_their_files() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    hops = re.findall(r"^\| *\d* *\| `([\w/]+\.py)`(?: \(return\))? \| `([\w.]+)`", text, re.M)
    assert len(hops) > 20
    for file, name in hops:
        code = (ROOT / PACKAGE / file).read_text()
        for part in name.split("."):
            assert re.search(rf"\b(def|class) {part}\b|^    {part}:", code, re.M), (file, name)
