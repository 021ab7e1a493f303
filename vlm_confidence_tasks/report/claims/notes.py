"""What is to be known of the runs that claims are held against: one line each."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from vlm_confidence_tasks.report.inputs.copies import Signature, copies
from vlm_confidence_tasks.report.inputs.model_names import Model
from vlm_confidence_tasks.report.inputs.runs import CONDITIONS, TaskRun


def uncounted(
    counted: Mapping[tuple[str, str], TaskRun],
    older: Sequence[TaskRun],
    names: Mapping[Model, str],
) -> Iterator[str]:
    """Yield a line for each model and task with several runs: which counts, and which do not."""
    others: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in older:
        others[names[run.model], run.task].append(str(run.results))
    for (model, task), files in sorted(others.items()):
        run = counted[model, task]
        why = "the newest of all documents" if run.whole else "the newest"
        yield f"{model}, {task}: {run.results} counts, {why}; not {', '.join(sorted(files))}"


def copied(
    signatures: Mapping[tuple[str, str], Signature],
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the model and task of each run that is a copy, with what is to be said of it.

    Of equal runs that of the first model by name counts.
    """
    by_task: dict[str, list[tuple[str, Signature]]] = defaultdict(list)
    for (model, task), signature in sorted(signatures.items(), key=lambda item: item[0]):
        by_task[task].append((model, signature))
    for task, runs in by_task.items():
        for model, first, agreed in copies(runs):
            said = f"{model}, {task}: answers and numbers are those of {first} in {agreed}"
            yield (model, task), f"{said}: a copy is not counted"


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
                values[str(getattr(run.config, key))].append(model)
            if len(values) > 1:
                said = "; ".join(f"{value} ({', '.join(of)})" for value, of in values.items())
                yield f"{task}: {key} differs: {said}"
