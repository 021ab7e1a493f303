"""What the tests share: small data, the real commands, and runs of them."""

from __future__ import annotations

import fcntl
import gc
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import forking
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from commands import Commands

BIN = Path(sys.executable).parent

# The scripts import what they share, as `tiny_world`, from the folder that they lie in. It comes
# last: `coverage` is the installed package, and not the script of that name.
SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path += [str(SCRIPTS), str(SCRIPTS / "sandbox"), str(SCRIPTS / "studies")]

# One thread in every process: then two runs can agree bit for bit.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# How long an example takes is a fact about the machine, and none of ours.
settings.register_profile("vlm_confidence_tasks", deadline=None)
settings.load_profile("vlm_confidence_tasks")

# Names by which a file of tests is seen to run commands and evaluations.
OF_SLOW_FILES = {"run_command", "Commands", "TaskManager", "evaluate", "FAMILIES", "cli"}


def pytest_configure(config: pytest.Config) -> None:
    """Start what serves the commands, in the process that starts pytest's other processes."""
    if not hasattr(config, "workerinput"):
        from commands import serving

        served = serving()
        served.__enter__()
        config.add_cleanup(lambda: served.__exit__(None, None, None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that run evaluations first: at the end, small ones keep all processes busy."""
    items.sort(key=lambda item: not OF_SLOW_FILES & set(dir(getattr(item, "module", None))))


@pytest.fixture(scope="session", autouse=True)
def prepared() -> Iterator[None]:
    """Make evaluations in this process quick, if its tests import the harness."""
    if "lmms_eval.tasks" in sys.modules:
        forking.index_once()
        # Each evaluation collects garbage twice: not among all that was imported.
        gc.collect()
        gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def commands() -> Commands:
    """Starts commands in forks that can be killed."""
    from commands import Commands

    return Commands()


@dataclass(frozen=True)
class Run:
    """A finished run of a command."""

    folder: Path
    code: int
    output: str

    @property
    def results(self) -> dict:
        """The harness's results file."""
        (file,) = self.folder.rglob("*_results.json")
        return json.loads(file.read_text())

    def numbers(self, task: str) -> dict[str, float]:
        """The task's metrics, without their standard errors."""
        return {
            key.split(",")[0]: value
            for key, value in self.results["results"][task].items()
            if "," in key and "_stderr" not in key and value is not None
        }

    def samples_file(self, task: str) -> Path:
        """The task's samples file."""
        (file,) = self.folder.rglob(f"*_samples_{task}.jsonl")
        return file

    def samples(self, task: str) -> dict[str, dict]:
        """The task's rows by question id."""
        rows = map(json.loads, self.samples_file(task).read_text().splitlines())
        return {row["question_id"]: row for row in rows}

    @property
    def last_line(self) -> str:
        """The last line that the command wrote."""
        return self.output.strip().splitlines()[-1]


def install_models(folder: Path, module: str, code: str) -> str:
    """Install a module whose `MODELS` the harness loads; return the folder for PYTHONPATH."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lmms_eval.models]\n{module} = {module}:MODELS\n")
    return str(folder)


def run_command(
    command: Sequence[str],
    folder: Path,
    data: Path | str = "sandbox",
    *,
    fresh: bool = False,
    **environment: str,
) -> Run:
    """Run a command of the installed package, standard error after standard output.

    Unless it must be a fresh process, the commands that are installed are forks (forking.py).
    """
    path = os.pathsep.join([*([] if fresh else [os.environ[forking.COMMANDS]]), str(BIN)])
    path += os.pathsep + os.environ["PATH"]
    environ = {**os.environ, "PATH": path, "VLM_CONFIDENCE_DATA": str(data), **environment}
    done = subprocess.run(
        list(command),
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return Run(folder / "results", done.returncode, done.stdout + "\n" + done.stderr)


def evaluate_command(tasks: str, *more: str, program: Sequence[str] = ("lmms_eval",)) -> list[str]:
    """Return the command that evaluates tasks on the embedded model and logs samples."""
    given = ["--model", "tiny_llava"] if "--model" not in more else []
    return [
        *program,
        *given,
        *("--tasks", tasks, "--output_path", "results", "--log_samples"),
        *more,
    ]


def write_pope(folder: Path, rows: Sequence[int], change: Callable[[dict], dict] = dict) -> Path:
    """Write chosen rows of the sandbox's POPE as local data, perhaps changed."""
    import datasets

    from vlm_confidence_tasks.sandbox import DATA_DIR

    source = datasets.Dataset.from_parquet(str(DATA_DIR / "pope" / "test.parquet"))
    stored = source.cast_column("image", datasets.Image(decode=False))
    picked = [change(stored[row]) for row in rows]
    target = folder / "pope" / "test-00000-of-00001.parquet"
    target.parent.mkdir(parents=True)
    datasets.Dataset.from_list(picked, features=source.features).to_parquet(str(target))
    return folder


def of_images(change: Callable[[bytes], bytes], *questions: str) -> Callable[[dict], dict]:
    """Return a change of POPE's rows: of the bytes of these questions' images, of all by default.

    The sandbox's questions are numbered from 1.
    """

    def change_row(row: dict) -> dict:
        if questions and row["question_id"] not in questions:
            return row
        return row | {"image": {**row["image"], "bytes": change(row["image"]["bytes"])}}

    return change_row


def resized(stored: bytes, width: int, height: int, **options: int) -> bytes:
    """Return an image's file as a PNG of another size, saved with these options."""
    from PIL import Image

    file = io.BytesIO()
    image = Image.open(io.BytesIO(stored)).convert("RGB").resize((width, height))
    image.save(file, "PNG", **options)
    return file.getvalue()


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first of pytest's processes that needs it makes for all."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    folder, done = root / name, root / f"{name}.done"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def few_questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Local data of 24 questions about several images, in the hub's schema."""
    return made_once(tmp_path_factory, "few", lambda folder: write_pope(folder, range(0, 540, 23)))


@pytest.fixture(scope="session")
def sweep(few_questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All four strengths and a caption task, by this package's own command."""

    def make(folder: Path) -> None:
        run = run_command(evaluate_command("pope_eps,caption_eps0.3"), folder, few_questions)
        (folder / "end.json").write_text(json.dumps([run.code, run.output]))

    folder = made_once(tmp_path_factory, "sweep", make)
    return Run(folder / "results", *json.loads((folder / "end.json").read_text()))


def assert_near(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    """Assert that two records are equal but for rounding of their numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_near(one[key], other[key], tolerance)
    elif isinstance(one, (list, tuple)):
        for a, b in zip(one, other, strict=True):
            assert_near(a, b, tolerance)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=tolerance, rel=tolerance)
    else:
        assert one == other


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let evaluations that the package starts be forks."""
    from vlm_confidence_tasks.calibration import evaluate

    program = Path(os.environ[forking.COMMANDS]) / "lmms_eval"
    monkeypatch.setattr(evaluate, "PROGRAM", (str(program),))
