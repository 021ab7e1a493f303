"""Every answer of runs in one table."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy
import pandas
import pyarrow
import pyarrow.parquet
import pytest

from report.synthetic import answers as answered
from report.synthetic import noise, questions, write_run
from vlm_confidence_tasks import cli
from vlm_confidence_tasks.report.export import answers, described, write
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs

PAGE = Path(__file__).parents[3] / "docs" / "answers-table.md"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    asked = questions(60)
    variants = [noise(0.3), noise(0.5)]
    write_run(folder / "one", {"pope_eps0.3": answered(asked, variants)})
    return folder


def test_three_lines_of_pandas_give_accuracy_and_ece(runs: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "answers.parquet"
    cli.main(["export", str(runs), "--output", str(output)])
    assert "180 answers" in capsys.readouterr().out
    (run,) = find_runs([runs], Problems())
    shown = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)[1]
    printed: list[float] = []
    names = {"pandas": pandas, "numpy": numpy, "print": printed.append}
    exec(shown.replace("answers.parquet", str(output)), names)
    expected = [run.numbers["accuracy"], run.numbers["ece"]]
    assert printed == pytest.approx(expected, abs=1e-12)


def test_the_page_says_what_every_column_holds(runs: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.M)
    assert dict(rows) == described()
    assert answers(runs).column_names == list(described())


def test_csv_holds_the_same(runs: Path, tmp_path: Path) -> None:
    output = tmp_path / "answers.csv"
    cli.main(["export", str(runs), "--output", str(output)])
    read, table = pandas.read_csv(output), answers(str(runs)).to_pandas()
    assert list(read.columns) == list(table.columns)
    for name in ("confidence", "entropy", "correct"):
        assert read[name].to_numpy() == pytest.approx(table[name].to_numpy(), nan_ok=True)


def test_texts_are_no_formulas_in_csv_and_as_they_are_in_parquet(tmp_path: Path) -> None:
    texts = ["=1+1", "@x", "-x", "-1", "\t=1", "\n=1", "\r=1", " =1", "two\r\nlines", None, "Yes"]
    table = pyarrow.table({"text": texts, "n": list(range(len(texts)))})
    for ending in ("csv", "parquet"):
        write(table, tmp_path / f"answers.{ending}")
    with (tmp_path / "answers.csv").open(newline="") as file:
        shown = [row[0] for row in list(csv.reader(file))[1:]]
    held = [text or "" for text in texts]
    assert shown[:8] == [*(f"'{text}" for text in held[:3]), "-1", *(f"'{t}" for t in held[4:8])]
    assert shown[8:] == held[8:]
    assert pyarrow.parquet.read_table(tmp_path / "answers.parquet") == table


@pytest.mark.parametrize(
    ("results", "output", "message"),
    [
        ("runs", "answers.xlsx", "expected a name that ends in .parquet or .csv"),
        ("runs", "nowhere/answers.csv", "there is no folder"),
        ("missing", "answers.csv", "no such folder"),
    ],
)
def test_bad_input_is_one_line(runs, tmp_path, results, output, message) -> None:
    folder = runs if results == "runs" else tmp_path / results
    with pytest.raises(SystemExit) as error:
        cli.main(["export", str(folder), "--output", str(tmp_path / output)])
    assert message in str(error.value) and "\n" not in str(error.value)
