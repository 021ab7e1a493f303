"""The study of sizes, on models of a few steps and documents."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from report.claimed import invariance, write

import scale_study

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "scripts" / "studies" / "sizes").glob("*.yaml"))
STUDY = """
title: a few steps
data: sandbox
tasks: [pope_invariance]
arguments: [--limit, "2"]
models:
  - {size: xs, name: xs-0, model: tiny_llava, train: [--size, xs, --steps, "2", --looks, "2",
     --rows, "1", --check, "2", --seed, "0"]}
  - {size: m, name: m-0, model: tiny_llava, pretrained: PACKAGED}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder, and its file beside it."""
    root = tmp_path_factory.mktemp("scale")
    packaged = str(ROOT / "vlm_confidence_tasks" / "sandbox" / "model")
    (root / "study.yaml").write_text(STUDY.replace("PACKAGED", packaged))
    return root


def run(folder: Path, *options: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        scale_study.main(["kept", "--study", "study.yaml", "--page", "page.md", *options])
    return (folder / "page.md").read_text()


@pytest.mark.usefixtures("forked")
def test_models_are_made_and_run_once_and_tables_have_a_row_a_size(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = run(folder)
    assert capsys.readouterr().out.count("\n") == 3
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    assert ["| xs", "xs-0", "0.24 million", "2"] == rows[1][:4]
    assert [row[0] for row in rows[4:]] == ["| xs", "| m"]
    assert "**not measured**, 2 sizes of a family, 3 are needed" in page
    assert str(folder) not in page
    assert (
        "\npython scripts/studies/scale_study.py kept --study study.yaml --page page.md\n" in page
    )
    # Nothing is done again.
    assert run(folder) == page
    assert not capsys.readouterr().out
    run(folder, "--sizes")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("=")[0] for line in lines] == ["xs-0", "m-0"]


def test_a_command_that_fails_ends_the_study_with_a_line(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with pytest.raises(SystemExit, match=f"at the end of {log}: "):
        scale_study.run([sys.executable, "-c", "print('why'); raise SystemExit(3)"], log)
    assert log.read_text() == "why\n"


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_studies_in_the_repository_can_be_read(file: Path) -> None:
    study = scale_study.read_study(file)
    assert len({model.size for model in study.models}) > 1
    assert all(model.train or model.parameters or is_trained(model) for model in study.models)


def is_trained(model: scale_study.Model) -> bool:
    return Path(model.pretrained, "training.json").is_file()


@pytest.mark.parametrize(
    "change, says",
    [
        (("size: m,", "sise: m,"), "unknown field `sise`"),
        (("name: m-0", "name: xs-0"), "two models have one name"),
        ((", pretrained: PACKAGED", ""), "m-0: give either pretrained or train"),
        (("title:", "title: ["), "while parsing"),
        (("tasks: [pope_invariance]", "tasks: []"), "give at least one of tasks"),
        ((", pretrained: P", ", parameters: -3, pretrained: P"), "m-0: parameters must be above 0"),
    ],
)
def test_a_study_that_is_none_is_refused_in_a_line(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace(*change))
    with pytest.raises(SystemExit, match=f"{file}: .*{says}"):
        scale_study.read_study(file)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["x", "--workers", "0"], "must be a whole number of at least 1"),
        (["x", "--study", str(STUDIES[0])], "--study needs --page"),
    ],
)
def test_bad_arguments_are_refused_in_a_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        scale_study.main(arguments)
    assert says in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=f"{tmp_path}/file: File exists; give a folder"):
        scale_study.main([str(tmp_path / "file")])


@pytest.mark.parametrize("page", [".", "no/page.md"])
def test_a_page_that_cannot_be_written_is_refused_before_anything_runs(
    tmp_path: Path, page: str
) -> None:
    with pytest.raises(SystemExit, match=f"--page {tmp_path / page}: give a file in a folder"):
        scale_study.main([str(tmp_path / "kept"), "--page", str(tmp_path / page)])
    assert not (tmp_path / "kept").exists()


def test_models_of_one_name_keep_theirs_apart(tmp_path: Path) -> None:
    models = [
        {"size": size, "name": f"m{n}", "model": "llava", "pretrained": name, "parameters": 10**n}
        for n, (size, name) in enumerate([("s|1", "x/one"), ("s|1", "y/one"), ("s3", "z/other")])
    ]
    for seed, model in enumerate(models):
        # Equal answers would be copies, of which no size counts.
        held = {"pope_invariance": invariance({"rotation": 0.2}, seed=seed)}
        write(tmp_path / "runs" / str(model["name"]), held, str(model["pretrained"]))
    given = {"title": "t", "tasks": ["pope_invariance"], "models": models}
    study = msgspec.convert(given, scale_study.Study)
    sizes = scale_study.sizes_of(tmp_path, study)
    assert list(sizes.values()) == [1.0, 10.0, 100.0] and len(sizes) == 3
    page = scale_study.page(tmp_path, study, "my folder", [])
    assert "\npython scripts/studies/scale_study.py 'my folder'\n" in page
    assert "(`vlm-confidence claims 'my folder/runs' --output verdicts --sizes " in page
    assert "Here: **undecided at this sample**" in page
    rows = [line for line in page.splitlines() if line.startswith("| s\\|1 | ")]
    assert len(rows) == 3


PART = {
    **{"effect": -0.03, "low": -0.05, "high": -0.002, "level": 0.9975},
    **{"low_95": -0.045, "high_95": -0.014, "images": 30, "missing": None},
}


@pytest.mark.parametrize(
    "change, says",
    [
        (
            {},
            "-0.030 [-0.045, -0.014] a doubling, over 30 images; decided by\n"
            "[-0.050, -0.002], at 99.75%, since 20 parts of claims\nwere tested together",
        ),
        (dict.fromkeys(("low", "high", "level")), "-0.030 a doubling, over 30 images, no interval"),
        ({"effect": None, "missing": "no run of x"}, "no run of x"),
    ],
)
def test_a_verdict_stands_beside_the_interval_that_decided_it(
    change: dict[str, Any], says: str
) -> None:
    assert scale_study.said({**PART, **change}, 20) == says


def test_a_checkpoint_whose_size_nothing_says_is_refused(tmp_path: Path) -> None:
    model = scale_study.Model("7B", "x", "llava", pretrained="a/b")
    with pytest.raises(SystemExit, match="x: its study must say how many parameters"):
        scale_study.parameters(tmp_path, model)
