"""Verdicts on the claims from runs of the embedded model: docs/claims-sandbox.md.

python scripts/claims_table.py verdicts    # the --output of vlm-confidence claims
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from vlm_confidence_tasks.report.claims import pages
from vlm_confidence_tasks.report.formats.markdown import safe

PAGE = Path(__file__).resolve().parent.parent / "docs" / "claims-sandbox.md"
LACKING = "not measured"
HEADS = ("claim", "of", "verdict", "deciding part")

TEXT = """# The nine claims on the embedded model

The tiny model on the sandbox's data, held against the [nine claims](claims.md) by
`vlm-confidence claims`. What is refuted or supported here is so for this model alone. Written by
`scripts/claims_table.py` from the run in `docs/claims-sandbox.sh`.

{legend}

{verdicts}

## Parts

{parts}

## Not measured here

{lacking}
"""


def shown(rows: Sequence[pages.VerdictRow]) -> list[pages.VerdictRow]:
    """Leave out who was not measured for a claim, where others were."""
    measured = {row.claim for row in rows if row.verdict != LACKING}
    return [row for row in rows if row.verdict != LACKING or row.claim not in measured]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verdicts", type=Path, help="folder of claims.json")
    record = json.loads((parser.parse_args().verdicts / "claims.json").read_text(encoding="utf-8"))
    rows = shown(pages.rows(record))
    cells = [(row.claim.split()[0], *part.cells[1:]) for row in rows for part in row.parts]
    lacking = [f"- {safe(row.claim)}: {safe(row.deciding)}" for row in rows if row.commands]
    page = TEXT.format(
        legend=pages.legend(record).replace("docs/claims.md", "[how](claims.md)"),
        verdicts=pages.table(HEADS, [row.cells[: len(HEADS)] for row in rows]),
        parts=pages.table(("claim", *pages.PART_HEADS[1:]), cells),
        lacking="\n".join(lacking) or "Nothing.",
    )
    PAGE.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
