"""Results files: every command shows the run, or names its file in one line and goes on."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzz_targets.made_up import REMOVED, changed, places, values
from fuzz_targets.samples import row
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.metrics import Answers, measure
from vlm_confidence_tasks.report.inputs.samples import read_samples

TASK, DATE = "pope_eps0.3", "20260101_000000"
COMMANDS = {
    "leaderboard": ["--no-intervals", "--quiet", "--workers", "1"],
    "figures": ["--no-intervals", "--quiet", "--workers", "1"],
    "claims": ["--quiet"],
    "compare": ["--quiet"],
    "export": [],
    "recompute": [],
}


def results() -> dict[str, Any]:
    """Return a results file of the row's task with nothing wrong in it."""
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder, "samples.jsonl")
        samples.write_text(json.dumps(row()))
        numbers = measure(Answers.of(read_samples(samples).samples), intervals=False)
    listed = ("accuracy", "ece", "entropy")
    config = {
        "task": TASK,
        "benchmark": "pope",
        "perturbations": ["gaussian_noise(epsilon=0.3, seed=0)"],
        "max_side": None,
        "generation_kwargs": {"max_new_tokens": 4, "until": ["\n\n"]},
        "metric_list": [{"metric": name} for name in listed],
        "vlm_confidence_tasks": "0.1.0",
        "versions": {"torch": "2.9", "transformers": "5.1"},
        "data": {"source": "sandbox", "documents": 1},
    }
    return {
        "results": {TASK: {f"{name},none": numbers[name].value for name in listed}},
        "configs": {TASK: config},
        "config": {"model": "llava", "model_args": "pretrained=a/b", "limit": None, "offset": 0},
        "lmms_eval_version": "0.7.3",
        "date": DATE,
    }


WHOLE = results()
nasty = values | st.sampled_from(
    ["a" * 400, "../../x", "a\0b", "\ud800", "=1+1", "[1em] x", "*x", "<b>", "a\nb", 2**63]
)
changes = st.lists(
    st.tuples(st.sampled_from(places(WHOLE)), nasty | st.just(REMOVED)), min_size=1, max_size=3
)
texts = changes.map(lambda drawn: json.dumps(changed(WHOLE, drawn)))
torn = st.tuples(texts, st.integers(0, 1200)).map(lambda pair: pair[0][: pair[1]])
INPUTS = (texts | texts | texts | torn | st.text(), st.sampled_from(sorted(COMMANDS)))


def check(text: str, command: str) -> None:
    """A command ends well, or with 1 and lines that name the file or its folder."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "run")
        folder.mkdir()
        file = folder / f"{DATE}_results.json"
        file.write_text(text, errors="surrogatepass")
        (folder / f"{DATE}_samples_{TASK}.jsonl").write_text(json.dumps(row()))
        given = [str(file)] if command == "recompute" else [str(folder)]
        given += [str(folder)] if command == "compare" else []
        if command in ("leaderboard", "figures", "claims", "export"):
            given += ["--output", str(Path(made, "answers.csv" if command == "export" else "out"))]
        said = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            try:
                cli.main([command, *given, *COMMANDS[command]])
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code, file=said)
                lines = said.getvalue().splitlines()
                assert end.code and lines, (end.code, lines)
                assert all(str(folder) in line for line in lines), lines
