"""What is free on machines and in control groups that are written down as files."""

from pathlib import Path

import pytest

from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.evaluation import memory

MACHINE = {"proc/meminfo": "MemTotal: 900 kB\nMemAvailable:   400 kB\n"}
TWO = {
    **MACHINE,
    "proc/self/cgroup": "0::/job/step\n",
    "sys/fs/cgroup/job/memory.max": "300000\n",
    "sys/fs/cgroup/job/memory.current": "200000\n",
    "sys/fs/cgroup/job/memory.stat": "anon 5\ninactive_file 50000\n",
    "sys/fs/cgroup/job/step/memory.max": "max\n",
    "sys/fs/cgroup/job/step/memory.current": "1\n",
}
ONE = {
    **MACHINE,
    "proc/self/cgroup": "3:cpu:/x\n2:cpuset,memory:/not/here\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "100000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "70000\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 20000\n",
}
FULL = {**TWO, "sys/fs/cgroup/job/memory.current": "400000\n"}


@pytest.mark.parametrize(
    ("files", "free"),
    [({}, None), (MACHINE, 409_600), (TWO, 150_000), (ONE, 50_000), (FULL, 0)],
)
def test_what_is_free(files: dict[str, str], free: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert memory.free_memory(tmp_path) == free


@pytest.mark.parametrize(
    ("free", "processes", "held"),
    [(400, 1, 100), (400, 2, 50), (None, 1, memory.MOST), (10**12, 8, memory.MOST)],
)
def test_the_default_is_a_quarter(free, processes, held, monkeypatch) -> None:
    monkeypatch.delenv(memory.MEMORY, raising=False)
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    assert memory.image_memory(processes) == held


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GB", 4e9), ("512 MiB", 2**29), ("2.5g", 2.5e9), ("700kb", 7e5), ("1", 1)],
)
def test_the_variable_is_a_size_of_each_process(text, size, monkeypatch) -> None:
    monkeypatch.setenv(memory.MEMORY, text)
    assert memory.image_memory(4) == size


@pytest.mark.parametrize("text", ["0", "much", "-1GB", "4 TB", "1e9", "4GBs"])
def test_what_is_no_size_is_refused(text, monkeypatch) -> None:
    monkeypatch.setenv(memory.MEMORY, text)
    with pytest.raises(TaskError, match=f"MEMORY is '{text}', expected a size such as 4GB"):
        memory.image_memory()
