"""What sets runs apart that are held against the claims together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from vlm_confidence_tasks.report.inputs.runs import CONDITIONS, TaskRun


def notes(runs: Mapping[tuple[str, str], TaskRun]) -> Iterator[str]:
    """Yield a line for each run of part of the data, and for each condition that differs.

    `runs` are by model and task.
    """
    tasks: dict[str, dict[str, TaskRun]] = defaultdict(dict)
    for (model, task), run in sorted(runs.items()):
        tasks[task][model] = run
        if not run.whole:
            yield f"{model}, {task}: {run.part}: part of the data only"
    for task, by_model in tasks.items():
        for key in CONDITIONS:
            values: dict[str, list[str]] = defaultdict(list)
            for model, run in by_model.items():
                values[str(run.config.get(key))].append(model)
            if len(values) > 1:
                said = "; ".join(f"{value} ({', '.join(of)})" for value, of in values.items())
                yield f"{task}: {key} differs: {said}"
