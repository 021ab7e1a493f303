"""How many bytes of images a run may hold at once."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from vlm_confidence_tasks.errors import TaskError

MEMORY = "VLM_CONFIDENCE_MEMORY"
# Holding more speeds nothing up: it is what two blocks of 64 images of 1024 x 768 take, and more.
MOST = 512_000_000
UNITS = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
# Of both versions of control groups: mount, limit, usage, and what of it can be taken back.
_GROUPS = {
    1: (
        "sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
    2: ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
}


def image_memory(processes: int = 1) -> int:
    """Return how many bytes of shown images one process of a run may hold.

    It is what the environment variable says; else a process's share of a quarter of what is free,
    and at most `MOST`.

    Raises:
        TaskError: The variable is no size.
    """
    value = os.environ.get(MEMORY)
    if value:
        return _size(value)
    free = free_memory()
    return MOST if free is None else min(MOST, free // 4 // processes)


def free_memory(root: Path = Path("/")) -> int | None:
    """Return how many bytes can still be taken: the least of machine and control groups.

    Args:
        root: Where the system's files are.

    Returns:
        None where neither can be read.
    """
    machine = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    known = [int(machine[1]) * 1024] if machine else []
    return min([*known, *_left_in_groups(root)], default=None)


def _left_in_groups(root: Path) -> Iterator[int]:
    """Yield what each group of this process that has a limit leaves, those above it too."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mounted, limit, usage, reclaimable = _GROUPS[1 if controllers else 2]
        mount = root / mounted
        # In a container the path may be that of the host, which is not there: the mount itself is.
        own = mount / path.lstrip("/")
        for group in (own, *own.parents):
            if group.is_relative_to(mount):
                found = [_text(group / name).strip() for name in (limit, usage)]
                cache = re.search(rf"^{reclaimable} (\d+)", _text(group / "memory.stat"), re.M)
                if all(text.isdigit() for text in found):
                    used = int(found[1]) - int(cache[1] if cache else 0)
                    yield max(0, int(found[0]) - used)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _size(text: str) -> int:
    """Read a number of bytes, with or without a unit.

    >>> _size("4GB"), _size("1.5 GiB"), _size("1000")
    (4000000000, 1610612736, 1000)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*((?:[kmg]i?)?)b?", text.strip().lower())
    if found is None or not float(found[1]):
        raise TaskError(f"{MEMORY} is {text!r}, expected a size such as 4GB, 512MB or 4000000000")
    return int(float(found[1]) * UNITS[found[2]])
