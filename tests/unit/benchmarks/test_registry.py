"""The benchmarks by name."""

import pyarrow.parquet as pq
import pytest

from vlm_confidence_tasks.benchmarks import BENCHMARKS, get
from vlm_confidence_tasks.sandbox import DATA_DIR

AMBER = {"amber", "amber_existence", "amber_attribute", "amber_relation"}
NAMES = {"pope", "seed", "mmmu", "caption"} | AMBER


def test_names():
    assert set(BENCHMARKS) >= NAMES
    assert all(get(name).name == name for name in BENCHMARKS)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match="unknown benchmark 'popes'; known: ") as caught:
        get("popes")
    listed = str(caught.value).partition("known: ")[2]
    assert listed.split(", ") == sorted(BENCHMARKS)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_columns_are_those_of_the_data(name):
    benchmark = get(name)
    assert set(benchmark.image_columns) <= set(benchmark.columns)
    files = list((DATA_DIR / benchmark.folder).glob("*.parquet"))
    assert files
    for file in files:
        assert set(benchmark.columns) <= set(pq.read_schema(file).names)
