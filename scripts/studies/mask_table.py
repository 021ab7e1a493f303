"""What noise on the named thing does to the tiny model: the table of docs/masks.md.

python scripts/studies/mask_table.py results    # the --output_path of the run that the page names
"""

from __future__ import annotations

import re
from pathlib import Path

from page_parts import STUDIES, answers_of, cell, folders
from vlm_confidence_tasks.metrics import measure

PAGE = STUDIES.parent / "masks.md"
TASKS = ("pope_objectnoise", "pope_objectnoise_outside", "pope_objectnoise_global")
COLUMNS = (
    "accuracy",
    "confidence",
    "verbal_confidence",
    "objectnoise_alignment",
    "verbal_objectnoise_alignment",
)


def row(results: Path, task: str) -> str:
    """Return a task's numbers with their intervals, a dash for none."""
    numbers = measure(answers_of(results, task), COLUMNS)
    return f"| `{task}` | {' | '.join(cell(numbers.get(name)) for name in COLUMNS)} |\n"


def main() -> None:
    """Write the rows in the place of those that the page has."""
    (results,) = folders(__doc__, results="folder of the run")
    rows = "".join(row(results, task) for task in TASKS)
    text, count = re.subn(r"(?:\| `pope_objectnoise.*\n)+(?=\n)", rows, PAGE.read_text())
    if count != 1:
        raise SystemExit(f"{PAGE}: has no table of {TASKS[0]}, or several")
    PAGE.write_text(text)
    print(rows)


if __name__ == "__main__":
    main()
