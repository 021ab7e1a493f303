"""Verdicts on the claims from runs of the embedded model: docs/studies/claims-sandbox.md.

python scripts/studies/claims_table.py verdicts    # the --output of vlm-confidence claims
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from page_parts import STUDIES
from vlm_confidence_tasks.report.claims import pages
from vlm_confidence_tasks.report.claims.record import FORMAT
from vlm_confidence_tasks.report.claims.verdicts import NOT_MEASURED
from vlm_confidence_tasks.report.formats.markdown import safe

PAGE = STUDIES / "claims-sandbox.md"
HEADS = ("claim", "of", "verdict", "deciding part")

TEXT = """# The nine claims on the embedded model

The tiny model on the sandbox's data, held against the [nine claims](../claims.md) by
`vlm-confidence claims`; where there are others, its [sizes](scale.md) and itself after
[calibration](csp.md). What is refuted or supported here is so for these models alone. Written by
`scripts/studies/claims_table.py` from the run in `docs/studies/claims-sandbox.sh`.

{legend}

{verdicts}

Models without a verdict on a claim are left out of this table where others have one. They are
[listed](#not-measured-here), and what was tested of them is among the parts.

## Parts

{parts}

## Not measured here

{lacking}

## Notes

{notes}
"""


def shown(rows: Sequence[pages.VerdictRow]) -> list[pages.VerdictRow]:
    """Leave out who was not measured for a claim, where others were."""
    measured = {row.claim for row in rows if row.verdict != NOT_MEASURED}
    return [row for row in rows if row.verdict != NOT_MEASURED or row.claim not in measured]


def parts(rows: Sequence[pages.VerdictRow]) -> list[tuple[str, ...]]:
    """Cells of the parts of `shown` verdicts, and of every part of another that was tested."""
    whole = shown(rows)
    return [
        (row.claim.split()[0], *part)
        for row in rows
        for part in row.parts
        if row in whole or part.documents
    ]


def lacking(rows: Sequence[pages.VerdictRow]) -> list[str]:
    """List the claims without a verdict: of whom and why, a line for who lacks the same."""
    whose: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.verdict == NOT_MEASURED:
            lacks = dict.fromkeys(
                part.finding.removeprefix(f"{NOT_MEASURED}: ")
                for part in row.parts
                if not part.documents
            )
            whose.setdefault((row.claim, "; ".join(lacks)), []).append(row.of)
    return [
        f"- {safe(claim)}, {safe(', '.join(names))}: {safe(reason)}"
        for (claim, reason), names in whose.items()
    ]


def page(record: pages.Record) -> str:
    """Return the page of what `claims.json` holds."""
    rows = pages.rows(record)
    return TEXT.format(
        legend=pages.legend(record).replace("docs/claims.md", "[how](../claims.md)"),
        verdicts=pages.table(HEADS, [row[: len(HEADS)] for row in shown(rows)]),
        parts=pages.table(("claim", *pages.PART_HEADS), parts(rows)),
        lacking="\n".join(lacking(rows)) or "Nothing.",
        notes="\n".join(f"- {safe(text)}" for text in record["notes"]) or "None.",
    )


def read(file: Path) -> pages.Record:
    """Read what `vlm-confidence claims` found.

    Raises:
        OSError: There is no such file.
        SystemExit: It is another one, or of another version.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SystemExit(f"{file}: no JSON ({error})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise SystemExit(f"{file}: not of this version; run vlm-confidence claims again")
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verdicts", type=Path, help="folder of claims.json")
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="default: docs/studies/claims-sandbox.md"
    )
    given = parser.parse_args(arguments)
    try:
        given.page.write_text(page(read(given.verdicts / "claims.json")), encoding="utf-8")
    except OSError as error:
        raise SystemExit(f"{error.filename}: {error.strerror}") from error


if __name__ == "__main__":
    main()
