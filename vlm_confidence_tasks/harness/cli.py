"""The `lmms_eval` command: the harness's own, with a reliable exit code."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# A task's configuration has this key if it is a perturbed task.
OWN_KEY = "vlm_confidence_tasks"
# What --predict_only makes of the metrics that a task lists.
_PREDICT_ONLY = [{"metric": "bypass"}]


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
    """Wrap the harness's function for one run: check names and results, keep error and summary."""
    from lmms_eval import __main__ as harness

    from vlm_confidence_tasks.evaluation.signals import Interrupted, Interrupts
    from vlm_confidence_tasks.harness import run_summary
    from vlm_confidence_tasks.harness.command_names import CheckedTasks, check_names, explained
    from vlm_confidence_tasks.harness.partial_results import remove_partial
    from vlm_confidence_tasks.harness.written_results import check_written

    runs = itertools.count(1)
    evaluate = harness.cli_evaluate_single
    harness.TaskManager = CheckedTasks

    def checked(args: Any) -> Any:
        since = time.time()
        where = f"run {next(runs)} of {args.config}: " if args.config else ""
        if Interrupts.last is not None:
            raise Interrupted(f"lmms_eval: {where}not begun, after {Interrupts.last.name}")
        kept = run_summary.write.set(lambda lines: summaries.append(f"{where}{lines}"))
        try:
            check_names(args)
            results, samples = evaluate(args)
            if results is not None and args.output_path:
                output = Path(args.output_path)
                check_written(output, args.model_args, results, samples or {}, since)
                remove_partial(output, args.model_args, results["configs"])
            if results is not None:
                check_measured(results)
        except Exception as error:
            failures[error] = f"{where}{explained(error, args.model)}"
            raise
        finally:
            run_summary.write.reset(kept)
        return results, samples

    harness.cli_evaluate_single = checked


def _lines(failures: Iterable[str]) -> list[str]:
    return [f"lmms_eval: error: {' '.join(failure.split())}" for failure in failures]


def check_measured(results: Mapping[str, Any]) -> None:
    """Check that each perturbed task has a number; the harness leaves one without out.

    Args:
        results: The results of the harness's evaluation.

    Raises:
        RuntimeError: A task has none; the message has the error of the first document that failed.
    """
    for task, config in results["configs"].items():
        numbers = results["results"].get(task, {}).items()
        if OWN_KEY not in config or any(_is_metric(name, value) for name, value in numbers):
            continue
        errors = [one["error"] for one in results.get("failed", ()) if one["task"] == task]
        if errors and len(errors) >= results["n-samples"][task]["effective"]:
            raise RuntimeError(
                f"every document of {task} failed, so that it has no numbers; the first: "
                f"{errors[0]}"
            )
        if config["metric_list"] == _PREDICT_ONLY:
            continue
        raise RuntimeError(
            f"task {task} has no numbers: none of its metrics can be computed from its answers"
            f"; name perturbations or other metrics{''.join(f'; {e}' for e in errors[:1])}"
        )


def _is_metric(name: str, value: Any) -> bool:
    """Whether an entry of a task's results is the number of a metric."""
    metric, comma, _ = name.partition(",")
    return bool(comma) and metric != "failed" and "_stderr" not in metric and value is not None


if __name__ == "__main__":
    main()
