"""`vlm-confidence plan`: what a run would cost."""

from __future__ import annotations

import argparse

from vlm_confidence_tasks.cli.options import Commands, positive


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "plan",
        help="say what a run would cost: answers, images and tokens",
        description="Count the answers, shown images, passes over prompts and tokens of a run of "
        "lmms_eval with the same arguments, none of it being cached. Configuration and processor "
        "of the model are loaded, its weights are not, and nothing is generated.",
    )
    parser.add_argument("--tasks", required=True, metavar="A,B")
    parser.add_argument("--model", default="hf_multimodal", help="default: hf_multimodal")
    parser.add_argument("--model_args", default="", metavar="pretrained=...")
    parser.add_argument("--batch_size", type=positive, default=1)
    parser.add_argument("--limit", type=positive, help="documents of each task")
    parser.add_argument("--include_path", metavar="DIR", help="folder of further tasks")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the plan."""
    from vlm_confidence_tasks.harness import plan

    print(plan.run(options))
    return 0
