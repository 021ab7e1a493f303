"""The noise floor of flips: the same clean run at two batch sizes.

    python scripts/studies/noise_floor.py --model tiny_llava

Padding and other kernels change the last bits of a model's numbers, and close calls flip
without any perturbation. Prints the share of answers that differ and the largest
differences of entropy (nats) and confidence.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from vlm_confidence_tasks.harness.task_names import shipped


def clean_run(options: argparse.Namespace, batch_size: int) -> dict[int, Any]:
    """Evaluate the benchmark's clean images; return each document's readout.

    By document, for POPE's question ids begin anew in each category.
    """
    from lmms_eval import evaluator
    from lmms_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as folder:
        template = shipped().templates[options.benchmark]
        (Path(folder) / "clean_only.yaml").write_text(
            f"include: {template}\ntask: clean_only\nperturbations: []\n"
        )
        found = evaluator.simple_evaluate(
            options.model,
            model_args=options.model_args,
            batch_size=batch_size,
            tasks=["clean_only"],
            task_manager=TaskManager("WARNING", include_path=folder),
            limit=options.limit,
            bootstrap_iters=0,
        )
    rows = found["samples"]["clean_only"]
    return {row["doc_id"]: row["readouts"][0] for row in rows}


def largest(pairs: list[tuple[Any, Any]], key: str) -> str:
    """Return the largest absolute difference of a number, over pairs that both have it."""
    numbers = [(a[key], b[key]) for a, b in pairs if None not in (a[key], b[key])]
    return f"{max(abs(a - b) for a, b in numbers):.2e}" if numbers else "absent"


def main() -> None:
    """Run both sizes and print the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="as in lmms_eval")
    parser.add_argument("--model_args", default="", help="as in lmms_eval")
    parser.add_argument("--benchmark", choices=("amber", "mmmu", "pope", "seed"), default="pope")
    parser.add_argument("--batch_sizes", type=int, nargs=2, default=(1, 4))
    parser.add_argument("--limit", type=int, default=None, help="documents; default: all")
    options = parser.parse_args()
    one, other = (clean_run(options, size) for size in options.batch_sizes)
    pairs = [(one[document], other[document]) for document in one]
    flips = sum(a["answer"] != b["answer"] for a, b in pairs)
    print(f"{options.model}, {options.benchmark}, batch sizes {options.batch_sizes}")
    print(f"answers that differ: {flips} of {len(pairs)} ({flips / len(pairs):.4f})")
    print(f"largest entropy difference: {largest(pairs, 'entropy')} nats")
    print(f"largest confidence difference: {largest(pairs, 'confidence')}")


if __name__ == "__main__":
    main()
