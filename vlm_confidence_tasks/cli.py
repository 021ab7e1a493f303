"""The `vlm-confidence` command: reports on runs, the plan of one, and training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from vlm_confidence_tasks.calibration.cli import add_csp
from vlm_confidence_tasks.report import cli


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits with 1 and one line a problem on bad input."""
    cli.main(arguments, more=[_add_plan, add_csp])


def _add_plan(commands: cli.Commands) -> None:
    planned = commands.add_parser(
        "plan",
        help="say what a run would cost: answers, images, tokens and operations",
        description="Count the answers, shown images, passes, tokens and floating-point "
        "operations of a run of lmms_eval with the same arguments, none of it being cached. "
        "Configuration and processor of the model are loaded, its weights are not, and nothing is "
        "generated.",
    )
    planned.add_argument("--tasks", required=True, metavar="A,B")
    planned.add_argument("--model", default="hf_multimodal", help="default: hf_multimodal")
    planned.add_argument("--model_args", default="", metavar="pretrained=...")
    planned.add_argument("--batch_size", type=cli.positive, default=1)
    planned.add_argument("--limit", type=cli.positive, help="documents of each task")
    planned.add_argument("--include_path", metavar="DIR", help="folder of further tasks")
    planned.add_argument("--json", action="store_true", help="print one JSON object")
    planned.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> int:
    # Here, since the harness takes seconds to import, which no other command needs.
    from vlm_confidence_tasks.harness import plan

    try:
        print(plan.run(options))
    except plan.PlanError as error:
        sys.exit(f"vlm-confidence: error: {error}")
    return 0


if __name__ == "__main__":
    main()
