"""Every fault that a run must survive, caused on purpose; docs/faults.md lists the outcomes.

VLM_CONFIDENCE_WRITE_FAULTS=1 pytest tests/integration/harness/test_faults.py    # write its rows
"""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from commands import Commands, rows
from conftest import Run, assert_near, evaluate_command, of_images, write_pope
from lmms_eval.tasks import TaskManager

from vlm_confidence_tasks.errors import MeasurementError
from vlm_confidence_tasks.probe import Origin

from .conftest import load
from .kept_runs import evaluate, said

COMMAND = evaluate_command("pope_eps", "--use_cache", "cache")[1:]
ANSWERS = 120
NOISE = "perturbations: [{name: gaussian_noise, epsilon: 0.3}]"
TASKS = {"noisy": NOISE, "lenient": f"{NOISE}\nmax_failures: 1"}


@pytest.fixture(scope="module")
def data(few_questions: Path) -> dict[str, str]:
    return {"VLM_CONFIDENCE_DATA": str(few_questions)}


def lines_of(run: Run, *words: str) -> list[str]:
    """Return what the run logged or said that has all these words."""
    text = re.sub(r"\x1b\[\d+m", "", run.output)
    found = [line.rsplit(" - ", 1)[-1] for line in text.splitlines()]
    return list(dict.fromkeys(line for line in found if all(word in line for word in words)))


@pytest.fixture(scope="module")
def whole(commands: Commands, data: dict[str, str], tmp_path_factory) -> Run:
    """A run that nothing happened to, and its journal."""
    return commands.run(tmp_path_factory.mktemp("whole"), *COMMAND, environment=data)


def resumed(commands: Commands, data: dict[str, str], whole: Run, folder: Path, **limits) -> Run:
    """Run the command again; the numbers must be those of the whole run."""
    shutil.rmtree(folder / "results", ignore_errors=True)
    run = commands.run(folder, *COMMAND, environment=data, **limits)
    assert run.code == 0, run.output
    # Answers that are generated again may stand beside others than before: rounding differs.
    assert_near(run.results["results"], whole.results["results"])
    assert_near(run.samples("pope_eps0.3"), whole.samples("pope_eps0.3"))
    return run


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal(
    number: signal.Signals,
    happened: Callable,
    commands: Commands,
    data: dict[str, str],
    whole: Run,
    tmp_path: Path,
) -> None:
    child = commands.start(tmp_path, *COMMAND, environment=data)
    child.wait_for_rows(1)
    child.signal(number)
    stopped = child.wait()
    kept = rows(tmp_path)
    assert 0 < kept < ANSWERS
    again = resumed(commands, data, whole, tmp_path)
    (line,) = lines_of(again, "reused")
    assert line == f"reused {kept} of {ANSWERS} answers"
    ended = "" if number == signal.SIGKILL else f"exit {stopped.code}, “{stopped.last_line}”; "
    what = "sent while answers were being generated; then the same command again"
    happened(number.name, what, f"{ended}the second run: “{line}”, all values as of a whole run")


def test_two_signals(
    happened: Callable, commands: Commands, data: dict[str, str], whole: Run, tmp_path: Path
) -> None:
    child = commands.start(tmp_path, *COMMAND, environment=data)
    child.wait_for_rows(1)
    child.signal(signal.SIGTERM)
    child.wait_for_words("SIGTERM: stops")
    child.signal(signal.SIGTERM)
    stopped = child.wait()
    (first,) = lines_of(stopped, "stops after the answers under way")
    (line,) = lines_of(resumed(commands, data, whole, tmp_path), "reused")
    what = "SIGTERM twice; then the same command again"
    ended = f"“{first}”; ended by the second (status {stopped.code})"
    happened("two signals", what, f"{ended}; then “{line}”, all values as of a whole run")


def test_two_runs_at_once(
    happened: Callable, commands: Commands, data: dict[str, str], whole: Run, tmp_path: Path
) -> None:
    both = [
        commands.start(
            tmp_path,
            *[name if word == "results" else word for word in COMMAND],
            environment=data,
            log=f"{name}.log",
        )
        for name in ("one", "other")
    ]
    for child, name in zip(both, ("one", "other"), strict=True):
        run = child.wait()
        assert run.code == 0, run.output
        run = Run(tmp_path / name, run.code, run.output)
        assert run.results["results"] == whole.results["results"]
    (line,) = lines_of(resumed(commands, data, whole, tmp_path), "reused")
    assert f"reused {ANSWERS} of" in line
    what = "the same command twice at the same time on one folder; then a third"
    happened("two runs at once", what, f"both ended well with the same values; the third: “{line}”")


def damage(whole: Run, folder: Path, change: Callable[[bytes], bytes]) -> None:
    """Copy the whole run's journal, changed."""
    target = folder / "cache" / "vlm_confidence"
    shutil.copytree(whole.folder.parent / "cache" / "vlm_confidence", target)
    (file,) = target.glob("*.sqlite")
    file.write_bytes(change(file.read_bytes()))


@contextmanager
def copied(journal: bytes) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        copy.write_bytes(journal)
        yield copy


def half_the_answers(journal: bytes) -> bytes:
    with copied(journal) as copy:
        with closing(sqlite3.connect(copy)) as file, file:
            file.execute("DELETE FROM answers WHERE id > ?", (ANSWERS // 2,))
        return copy.read_bytes()


def change_an_answer(journal: bytes) -> bytes:
    with copied(journal) as copy, closing(sqlite3.connect(copy)) as file:
        (answer,) = file.execute("SELECT answer FROM answers WHERE id = 7").fetchone()
    place = journal.index(answer) + len(answer) // 2
    return journal[:place] + bytes([journal[place] ^ 1]) + journal[place + 1 :]


@pytest.mark.parametrize(
    ("fault", "change", "done"),
    [
        ("truncated journal", lambda b: b[: len(b) * 3 // 4], "cut off after three quarters"),
        ("changed byte", change_an_answer, "one byte of one answer changed in the file"),
        ("file of another kind", lambda b: b"notes\n" * 99, "overwritten with something else"),
    ],
)
def test_a_damaged_journal(
    fault: str,
    change: Callable[[bytes], bytes],
    done: str,
    happened: Callable,
    commands: Commands,
    data: dict[str, str],
    whole: Run,
    tmp_path: Path,
) -> None:
    damage(whole, tmp_path, change)
    run = resumed(commands, data, whole, tmp_path)
    noticed = lines_of(run, "damaged")
    (line,) = lines_of(run, "reused")
    found = "”; “".join(dict.fromkeys([*noticed, line]))
    if fault == "truncated journal":
        # Whether the cut goes through an answer or between two is chance.
        found = re.sub("; damaged and generated again: [0-9]+", "", found)
    happened(fault, f"{done}; then the same command again", f"“{found}”; values as before")
    if fault == "truncated journal":
        # Answers generated again are stored in a file beside the damaged one.
        (line,) = lines_of(resumed(commands, data, whole, tmp_path), "reused")
        assert f"reused {ANSWERS} of {ANSWERS}" in line


def test_a_full_disk(
    happened: Callable, commands: Commands, data: dict[str, str], tmp_path: Path
) -> None:
    command = ["--model", "tiny_llava", "--tasks", "pope_invariance", "--limit", "6"]
    command += ["--output_path", "results", "--use_cache", "cache"]
    full = commands.run(tmp_path, *command, environment=data, largest_file=90_000)
    assert full.code == 0, full.output
    (warned,) = lines_of(full, "cannot be written")
    (line,) = lines_of(full, "reused")
    kept = rows(tmp_path)
    numbers = full.numbers("pope_invariance")
    shutil.rmtree(tmp_path / "results")
    again = commands.run(tmp_path, *command, environment=data)
    assert again.numbers("pope_invariance") == numbers
    assert 0 < kept < 150 and f"reused {kept} of" in again.output
    what = "files limited to 90 kB, which the journal's log outgrows; then again without the limit"
    (line,) = lines_of(again, "reused")
    happened("full disk", what, f"“{warned}”; it ended well; then “{line}”, the same values")


def test_a_read_only_folder(
    happened: Callable, commands: Commands, data: dict[str, str], whole: Run, tmp_path: Path
) -> None:
    damage(whole, tmp_path, half_the_answers)
    cache = tmp_path / "cache"
    folders = [cache, cache / "vlm_confidence"]
    for path in [*cache.rglob("*.sqlite"), *folders]:
        path.chmod(0o555)
    run = resumed(commands, data, whole, tmp_path, heed_permissions=True)
    for path in folders:
        path.chmod(0o755)
    warned = lines_of(run, "cannot be written")
    (line,) = lines_of(run, "reused")
    assert line == f"reused {ANSWERS // 2} of {ANSWERS} answers"
    what = "a journal of half the answers in a folder without write permission"
    happened("read-only folder", what, f"“{'”; “'.join(warned)}”; “{line}”; values as before")


def test_weights_that_cannot_be_identified(
    happened: Callable,
    manager: TaskManager,
    data: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", data["VLM_CONFIDENCE_DATA"])
    lm = load()
    lm.logit_source.origin = Origin("made/in_memory", None, None)
    with said() as lines:
        evaluate(manager, ["noisy"], tmp_path / "cache", model=lm, model_args=None)
    (line,) = [line for line in lines if "--use_cache" in line]
    assert not list(tmp_path.iterdir())
    what = "a model that is from no folder and no commit of the hub"
    happened("weights that cannot be identified", what, f"“{line}”; the run ended well")


def short_of_memory(batch_size: int, fits: int):
    """Return the embedded model on a device on which only so many rows fit."""
    lm = load(batch_size=batch_size)
    generate = lm.model.generate

    def limited(*args, **kwargs):
        count = len(kwargs["input_ids"])
        if count > fits:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {count} GiB.")
        return generate(*args, **kwargs)

    lm.model.generate = limited
    return lm


def test_out_of_memory(
    happened: Callable, manager: TaskManager, data: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", data["VLM_CONFIDENCE_DATA"])
    lm = short_of_memory(batch_size=8, fits=3)
    with said() as lines:
        found = evaluate(manager, ["noisy"], model=lm, model_args=None, limit=5)
    warned = [line for line in lines if "out of memory" in line]
    assert [line.split()[-1] for line in warned] == ["4", "2"]
    plenty = evaluate(manager, ["noisy"], batch_size=2, limit=5)
    assert found["samples"]["noisy"] == plenty["samples"]["noisy"]
    assert lm.batch_size_per_gpu == 8
    what = "batch size 8 where only 3 rows fit into the device's memory"
    happened("out of memory", what, f"“{'”; “'.join(warned)}”; it ended well")


def test_out_of_memory_at_batch_size_1(
    happened: Callable, manager: TaskManager, data: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", data["VLM_CONFIDENCE_DATA"])
    with pytest.raises(MeasurementError, match="task noisy, document 0 ") as error:
        evaluate(manager, ["noisy"], model=short_of_memory(2, fits=0), model_args=None)
    happened("out of memory at batch size 1", "no row fits", f"exit 1, “{error.value}”")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Five documents of which the third and fourth have broken images."""

    cut = of_images(lambda stored: stored[:60], "47", "70")
    return write_pope(tmp_path / "data", range(0, 115, 23), cut)


@pytest.fixture
def one_broken(broken: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(broken))
    return {"limit": 3}


def test_a_document_fails(happened: Callable, manager: TaskManager, one_broken: dict) -> None:
    with pytest.raises(MeasurementError) as error:
        evaluate(manager, ["noisy"], **one_broken)
    happened("a document fails", "an image cut off in the data", f"exit 1, “{error.value}”")


def test_a_document_fails_and_may(
    happened: Callable,
    manager: TaskManager,
    one_broken: dict,
    few_questions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = evaluate(manager, ["lenient"], tmp_path / "cache", **one_broken)
    (failure,) = found["failed"]
    assert (failure["task"], failure["document"]) == ("lenient", 2)
    results = found["results"]["lenient"]
    assert results["failed,none"] == 1
    good, other, bad = found["samples"]["lenient"]
    assert bad["failed"] == failure["error"] and bad["readouts"] == []
    monkeypatch.setenv("VLM_CONFIDENCE_DATA", str(few_questions))
    without = evaluate(manager, ["lenient"], limit=2)
    assert without["samples"]["lenient"] == [good, other]
    left = {k: v for k, v in results.items() if k != "failed,none"}
    assert left == {k: v for k, v in without["results"]["lenient"].items() if k in left}
    assert without["results"]["lenient"]["failed,none"] == 0 and without["failed"] == []
    what = "the same with `max_failures: 1`"
    message = f"it ended well; `failed` is 1 beside metrics of the others; “{failure['error']}”"
    happened("a document fails, allowed", what, message)


def test_more_fail_than_allowed(
    happened: Callable, manager: TaskManager, one_broken: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "1")
    with pytest.raises(MeasurementError) as error:
        evaluate(manager, ["noisy"], limit=5)
    assert "document 3" in str(error.value)
    what = "two broken images with `VLM_CONFIDENCE_MAX_FAILURES=1`"
    happened("more fail than allowed", what, f"exit 1, “{error.value}”")
    monkeypatch.setenv("VLM_CONFIDENCE_MAX_FAILURES", "2")
    assert evaluate(manager, ["noisy"], limit=5)["results"]["noisy"]["failed,none"] == 2
