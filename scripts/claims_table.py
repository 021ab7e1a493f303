"""Verdicts on the claims from runs of the embedded model: docs/claims-sandbox.md.

python scripts/claims_table.py claims    # the --output_path of the runs in claims-sandbox.sh
"""

from __future__ import annotations

import argparse
from pathlib import Path

from vlm_confidence_tasks.report.claims import pages
from vlm_confidence_tasks.report.claims.record import judge
from vlm_confidence_tasks.report.formats.markdown import safe
from vlm_confidence_tasks.report.inputs.problems import Problems
from vlm_confidence_tasks.report.inputs.runs import find_runs

PAGE = Path(__file__).resolve().parent.parent / "docs" / "claims-sandbox.md"
HEADS = ("claim", "of", "verdict", "deciding part")

TEXT = """# The nine claims on the embedded model

The tiny model on the sandbox's data, held against the [nine claims](claims.md) by
`vlm-confidence claims`. It is no large model: what it refutes or supports says that the
tests decide, not what is true of LLaVA. Written by `scripts/claims_table.py` from the run in
`docs/claims-sandbox.sh`.

{legend}

{verdicts}

## Parts

{parts}

## Not measured here

{lacking}
"""


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="folders of runs")
    folders = parser.parse_args().folders
    problems = Problems()
    record = judge(find_runs(folders, problems, traps=True), [], None, problems, quiet=True)
    rows = pages.rows(record)
    lacking = [row for row in rows if row.commands]
    page = TEXT.format(
        legend=pages.legend(record).replace("docs/claims.md", "[how](claims.md)"),
        verdicts=pages.table(HEADS, [row.cells[: len(HEADS)] for row in rows]),
        parts=pages.table(
            ("claim", *pages.PART_HEADS[1:]),
            [(row.claim.split()[0], *part.cells[1:]) for row in rows for part in row.parts],
        ),
        lacking="\n".join(f"- {safe(row.claim)}: {safe(row.deciding)}" for row in lacking)
        or "Nothing.",
    )
    PAGE.write_text(page, encoding="utf-8")
    print(page)
    raise SystemExit(problems.exit_code())


if __name__ == "__main__":
    main()
