"""The `lmms_eval` command: the harness's own, with a reliable exit code."""

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
    0 when an evaluation failed or its results could not be written. This command exits with 1
    and prints the reasons last, one line per run of a `--config` file. The few lines about each run
    come after the tables of all metrics. After a SIGINT it starts no further run; outside of an
    evaluation a SIGINT ends it with 130.
    """
    from lmms_eval.cli import dispatch

    from vlm_confidence_tasks.evaluation.signals import Interrupted
    from vlm_confidence_tasks.harness import plugin, run_summary

    # The entry point has done this already, unless it failed, which the harness only logs;
    # here it is an error.
    plugin.install_tasks()
    plugin.install_seam()
    failures: dict[Exception, str] = {}
    summaries: list[str] = []
    _watch_runs(failures, summaries)
    try:
        dispatch.main()
    except Exception as error:
        failures.setdefault(error, str(error))
    except Interrupted as stopped:
        raise Interrupted("\n".join([*_lines(failures.values()), str(stopped)])) from stopped
    except KeyboardInterrupt:
        how = "the same command goes on from the answers that --use_cache DIR kept, if it was given"
        reasons = [*_lines(failures.values()), f"lmms_eval: stopped by SIGINT; {how}"]
        print("\n".join(reasons), file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    finally:
        for lines in summaries:
            run_summary.show(lines)
    if failures:
        sys.exit("\n".join(_lines(failures.values())))


def _watch_runs(failures: dict[Exception, str], summaries: list[str]) -> None:
    """Wrap the harness's function for one run: check its results, keep its error and summary."""
    from lmms_eval import __main__ as harness

    from vlm_confidence_tasks.evaluation.signals import Interrupted, Interrupts
    from vlm_confidence_tasks.harness import run_summary
    from vlm_confidence_tasks.harness.partial_results import remove_partial

    runs = itertools.count(1)
    evaluate = harness.cli_evaluate_single

    def checked(args: Any) -> Any:
        since = time.time()
        where = f"run {next(runs)} of {args.config}: " if args.config else ""
        if Interrupts.last is not None:
            raise Interrupted(f"lmms_eval: {where}not begun, after {Interrupts.last.name}")
        kept = run_summary.write.set(lambda lines: summaries.append(f"{where}{lines}"))
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
        finally:
            run_summary.write.reset(kept)
        return results, samples

    harness.cli_evaluate_single = checked


def _lines(failures: Iterable[str]) -> list[str]:
    return [f"lmms_eval: error: {' '.join(failure.split())}" for failure in failures]


def check_measured(results: Mapping[str, Any]) -> None:
    """Check that at least one document of each task was measured.

    Args:
        results: The results of the harness's evaluation.

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
    """Check that a run's files exist, since the harness only logs errors when writing them.

    Args:
        output: The run's `--output_path`.
        tasks: Names of the tasks whose samples were to be written.
        since: Start of the run, in seconds since the epoch.

    Raises:
        RuntimeError: A file is missing or older than the run.
    """
    # File systems store times with less precision than the clock.
    new = [path.name for path in output.rglob("*.json*") if path.stat().st_mtime > since - 2]
    expected = ["_results.json", *(f"_samples_{task}.jsonl" for task in tasks)]
    missing = [ending for ending in expected if not any(name.endswith(ending) for name in new)]
    if missing:
        raise RuntimeError(
            f"the results were not written: no *{missing[0]} of this run in {output}; "
            "is the folder writable and the disk not full?"
        )


if __name__ == "__main__":
    main()
