"""The `lmms_eval` command: the harness's own, with an exit code that can be trusted."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the harness's command line with the plugin loaded.

    The harness's own `lmms-eval` lists no plugin's tasks in `tasks list`, and exits with
    0 when an evaluation failed or its results could not be written; this exits with 1
    and says why in the last line, a line a run where a `--config` file holds several.
    After a SIGINT it begins no further run, and where it was not answering it ends with 130.
    """
    from lmms_eval import __main__ as harness
    from lmms_eval.cli import dispatch

    from vlm_confidence_tasks.evaluation.signals import Interrupted, Interrupts
    from vlm_confidence_tasks.harness import plugin
    from vlm_confidence_tasks.harness.partial_results import remove_partial

    # The entry point has done this already, unless it failed, which the harness only
    # logs: here a misfit is an error.
    plugin.install_tasks()
    plugin.install_seam()
    failures: dict[Exception, str] = {}
    runs = itertools.count(1)
    evaluate = harness.cli_evaluate_single

    def remembering(args: Any) -> Any:
        since = time.time()
        where = f"run {next(runs)} of {args.config}: " if args.config else ""
        if Interrupts.last is not None:
            raise Interrupted(f"lmms_eval: {where}not begun, after {Interrupts.last.name}")
        try:
            if not args.tasks:
                raise ValueError("name the tasks with --tasks; `lmms_eval tasks list` shows them")
            results, samples = evaluate(args)
            if results is not None and args.output_path:
                check_written(Path(args.output_path), samples or (), since)
                remove_partial(Path(args.output_path), args.model_args, results["configs"])
            if results is not None:
                check_measured(results)
        except Exception as error:
            failures[error] = f"{where}{error}"
            raise
        return results, samples

    harness.cli_evaluate_single = remembering
    try:
        dispatch.main()
    except Exception as error:
        failures.setdefault(error, str(error))
    except Interrupted as stopped:
        raise Interrupted("\n".join([*_lines(failures.values()), str(stopped)])) from stopped
    except KeyboardInterrupt:
        how = "the same command goes on from the answers that --use_cache DIR kept, if it was given"
        lines = [*_lines(failures.values()), f"lmms_eval: stopped by SIGINT; {how}"]
        print("\n".join(lines), file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    if failures:
        sys.exit("\n".join(_lines(failures.values())))


def _lines(failures: Iterable[str]) -> list[str]:
    return [f"lmms_eval: error: {' '.join(failure.split())}" for failure in failures]


def check_measured(results: Mapping[str, Any]) -> None:
    """Make sure that of each task some document was measured.

    Args:
        results: What the harness's evaluation returned.

    Raises:
        RuntimeError: Every document of a task failed; the message has the first error.
    """
    for task, counts in results.get("n-samples", {}).items():
        errors = [one["error"] for one in results.get("failed", ()) if one["task"] == task]
        if errors and len(errors) >= counts["effective"]:
            raise RuntimeError(
                f"every document of {task} failed, so that it has no numbers; the first: "
                f"{errors[0]}"
            )


def check_written(output: Path, tasks: Iterable[str], since: float) -> None:
    """Make sure that a run's files are there: the harness only logs when they are not.

    Args:
        output: The run's `--output_path`.
        tasks: Names of the tasks whose samples were to be written.
        since: When the run began, in seconds since the epoch.

    Raises:
        RuntimeError: A file is missing or older than the run.
    """
    # File systems keep times more coarsely than clocks do.
    new = [path.name for path in output.rglob("*.json*") if path.stat().st_mtime > since - 2]
    wanted = ["_results.json", *(f"_samples_{task}.jsonl" for task in tasks)]
    missing = [ending for ending in wanted if not any(name.endswith(ending) for name in new)]
    if missing:
        raise RuntimeError(
            f"the results were not written: no *{missing[0]} of this run in {output}; "
            "is the folder writable and the disk not full?"
        )


if __name__ == "__main__":
    main()
