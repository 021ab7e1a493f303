"""Tasks read the hub's data sets: ids, configurations, splits and columns are the real ones.

`hub.py` holds the layout; the harness's command line, `datasets` and its downloads are real.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datasets
import hub
import pytest
from conftest import Run, evaluate_command, run_command

from vlm_confidence_tasks import benchmarks
from vlm_confidence_tasks.benchmarks import dataset as data
from vlm_confidence_tasks.errors import TaskError

POPE, AMBER = "lmms-lab-encoder/POPE", "qgallouedec/amber"
SEED, MMMU = "lmms-lab-encoder/SEED-Bench", "lmms-lab-encoder/MMMU"
# prefix -> the data set, and how many of its rows are evaluated
SOURCES = {
    "pope": (POPE, 540),
    **dict.fromkeys(("pope_adv", "pope_pop", "pope_random"), (POPE, 180)),
    "caption": (POPE, 30),
    "amber": (AMBER, 234),
    "amber_existence": (AMBER, 46),
    "amber_attribute": (AMBER, 142),
    "amber_relation": (AMBER, 46),
    "seed": (SEED, 94),
    "mmmu": (MMMU, 60),
}
CATEGORIES = {"pope_adv": "adversarial", "pope_pop": "popular", "pope_random": "random"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hub.Hub]:
    root = tmp_path_factory.mktemp("hub")
    hub.write_hub(root)
    with hub.serve(root) as serving:
        yield serving


@pytest.fixture(scope="module")
def run(served: hub.Hub, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two questions of every prefix, with nothing that names local data."""
    folder = tmp_path_factory.mktemp("from_hub")
    tasks = ",".join(f"{prefix}_eps0.3" for prefix in SOURCES)
    command = evaluate_command(tasks, "--limit", "2")
    done = run_command(command, folder, "", **served.environment(folder / "home"))
    assert done.code == 0, done.output
    return done


@pytest.mark.parametrize("prefix", SOURCES)
def test_a_prefix_reads_its_data_set_on_the_hub(run: Run, prefix: str) -> None:
    source, documents = SOURCES[prefix]
    task = f"{prefix}_eps0.3"
    assert run.results["configs"][task]["data"] == {"source": source, "documents": documents}
    rows = run.samples(task).values()
    assert len(rows) == 2
    if prefix in CATEGORIES:
        assert {row["category"] for row in rows} == {CATEGORIES[prefix]}


def test_no_other_configuration_is_downloaded(run: Run, served: hub.Hub) -> None:
    folders = {str(Path(file).parent) for file in served.downloaded if file.endswith(".parquet")}
    read = {POPE: ["data", "Full"], AMBER: ["discriminative"], SEED: ["data"], MMMU: ["data"]}
    assert folders == {f"{source}/{folder}" for source in read for folder in read[source]}


def test_an_unreachable_hub_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(data.LOCAL_DATA, raising=False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    task = {"dataset_path": f"{POPE}-of-nobody", "dataset_name": "Full", "test_split": "test"}
    with pytest.raises(TaskError) as caught:
        data.load(task, benchmarks.get("pope"), None)
    said = str(caught.value)
    assert said.startswith(f"data set {POPE}-of-nobody/Full, split test: cannot be loaded: ")
    assert "Couldn't reach" in said and said.endswith("VLM_CONFIDENCE_DATA=DIR reads a local copy")
