"""`vlm-confidence export`: every answer of runs as one table, for pandas, polars or R."""

from __future__ import annotations

import argparse
from pathlib import Path

from vlm_confidence_tasks.cli.options import Commands


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write every answer of runs into one table for pandas, polars or R",
        description="Write the answers of the newest run of each model and task into one table, "
        "one row per answer with run, task, question, variant and every number. "
        "docs/answers-table.md says what each column holds.",
    )
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="a .parquet or a .csv file"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the table."""
    from vlm_confidence_tasks.report import export

    export.check_name(options.output)
    table = export.answers(options.results)
    export.write(table, options.output)
    print(f"{options.output}: {table.num_rows:,} answers, {table.num_columns} columns")
    return 0
