"""Reads and validates the configuration of a task's YAML."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from vlm_confidence_tasks import benchmarks, perturbations
from vlm_confidence_tasks.benchmarks import Benchmark
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.harness.metric_registration import metric_entry, register_metrics
from vlm_confidence_tasks.harness.reasoning import read_tags
from vlm_confidence_tasks.masks import OnMissing
from vlm_confidence_tasks.metrics import NamedMetric, metrics_for
from vlm_confidence_tasks.sandbox import LOCAL_DATA, SANDBOX
from vlm_confidence_tasks.types import Measure, Variant

# Names the provider of masks for tasks whose YAML names none.
MASKS = "VLM_CONFIDENCE_MASKS"
OWN_KEYS = (
    "class",
    "benchmark",
    "perturbations",
    "max_side",
    "verbal",
    "loglik",
    "representations",
    "control",
    "masks",
    "on_missing",
    "max_failures",
)
HARNESS_KEYS = (
    "task",
    "task_alias",
    "tag",
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    "test_split",
    "validation_split",
    "output_type",
    "generation_kwargs",
    "lmms_eval_specific_kwargs",
    "metric_list",
    "cluster_key",
    "num_fewshot",
    "reasoning_tags",
    "metadata",
)


_REQUIRED = ("task", "benchmark", "perturbations")
_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "task": ((str,), "a name"),
    "benchmark": ((str,), "a name"),
    "dataset_path": ((str,), "a data set's id"),
    "dataset_name": ((str,), "the name of a configuration"),
    "test_split": ((str,), "the name of a split"),
    "validation_split": ((str,), "the name of a split"),
    "perturbations": ((list, tuple), "a list of perturbations"),
    "metric_list": ((list, tuple), "a list of metrics"),
    "generation_kwargs": ((Mapping,), "names and values"),
    "lmms_eval_specific_kwargs": ((Mapping,), "names and values"),
}
_PROMPT_KEYS = ("pre_prompt", "post_prompt")


@dataclass(frozen=True)
class Plan:
    """What a task measures.

    Attributes:
        benchmark: Makes the questions and scores the answers.
        variants: The perturbed variants of each document's images.
        max_side: Longest side in pixels to which images are resized first; None: as stored.
        verbal: Prompt form of the second turn that asks for the model's certainty: "first" or
            "third" person; None: no second turn.
        loglik: Whether the options' texts are scored after the prompt.
        representations: Whether hidden states are measured.
        control: "same_question": drift is held against the same question about other images too;
            None: it is not.
        masks: The provider of masks, as `masks.provider` reads it; None: no variant needs any.
        on_missing: What a document without masks gets: "skip", no variants; "global", noise on
            the whole image.
        max_failures: How many documents may fail in one process without ending the run;
            None: the environment variable decides.
        metrics: All metrics that apply, by name.
    """

    benchmark: Benchmark
    variants: tuple[Variant, ...]
    max_side: int | None
    verbal: str | None
    loglik: bool
    representations: bool
    control: str | None
    masks: str | None
    on_missing: OnMissing
    max_failures: int | None
    metrics: Mapping[str, NamedMetric]


def read_config(config: Mapping[str, Any]) -> tuple[Plan, dict[str, Any]]:
    """Split a task's YAML into our part and the harness's, with the metric list completed.

    Raises:
        TaskError: A key is unknown or missing, or its value is invalid.
    """
    _check_keys(config)
    variants = perturbations.variants(config["perturbations"])
    verbal = _person(config.get("verbal"))
    loglik = _flag("loglik", config.get("loglik", False))
    representations = _flag("representations", config.get("representations", False))
    control = _control(config.get("control"), representations)
    families = dict.fromkeys((*perturbations.families(), *(v.family for v in variants)))
    measured: dict[Measure, bool] = {
        "verbal": verbal is not None,
        "loglik": loglik,
        "representations": representations,
        "same_question": control is not None,
        "attacks": any("objective" in perturbations.needs_of(v) for v in variants),
        "object_noise": any(v.perturbation == "object_noise" for v in variants),
    }
    masked = any("masks" in perturbations.needs_of(v) for v in variants)
    plan = Plan(
        benchmark=benchmarks.get(config["benchmark"]),
        variants=variants,
        max_side=_whole_or_none("max_side", config.get("max_side"), 1),
        verbal=verbal,
        loglik=loglik,
        representations=representations,
        control=control,
        masks=_masks(config.get("masks"), masked),
        on_missing=_on_missing(config.get("on_missing", "skip")),
        max_failures=_whole_or_none("max_failures", config.get("max_failures"), 0),
        metrics=metrics_for(families, frozenset(name for name, on in measured.items() if on)),
    )
    harness_config = {key: value for key, value in config.items() if key not in OWN_KEYS}
    register_metrics(plan.metrics.values())
    harness_config["metric_list"] = _metric_list(config.get("metric_list"), plan.metrics)
    return plan, harness_config


def _check_keys(config: Mapping[str, Any]) -> None:
    """Refuse unknown and missing keys, wrong types, and values that are not supported."""
    unknown = sorted(set(config) - set(OWN_KEYS) - set(HARNESS_KEYS))
    if unknown:
        raise TaskError(
            f"unknown key {', '.join(map(repr, unknown))}; a perturbed task has "
            f"{', '.join((*OWN_KEYS, *HARNESS_KEYS))}"
        )
    missing = [key for key in _REQUIRED if key not in config]
    if missing:
        raise TaskError(f"key {', '.join(map(repr, missing))} is missing")
    for key, (types, expected) in _TYPES.items():
        value = config.get(key)
        if not isinstance(value, types) and (value is not None or key in _REQUIRED):
            raise TaskError(f"{key} is {value!r}, expected {expected}")
    if "/" in config["task"] or os.sep in config["task"]:
        raise TaskError("the task's name is part of file names: leave out the slash")
    if config.get("cluster_key") not in (None, "image_id"):
        raise TaskError(
            f"cluster_key is {config['cluster_key']!r}, expected image_id: errors are clustered "
            "by image or not at all"
        )
    if config.get("output_type") not in (None, "generate_until"):
        raise TaskError(
            f"output_type is {config['output_type']!r}: perturbed tasks generate; "
            "leave it out, and see the key loglik for likelihoods of options"
        )
    read_tags("reasoning_tags", config.get("reasoning_tags"))
    _check_prompt_keys(config.get("lmms_eval_specific_kwargs") or {})


def _check_prompt_keys(kwargs: Mapping[str, Any]) -> None:
    """Refuse prompt texts that are no text, since an empty key would become "None".

    The keys are at the top level, or under the name of an adapter or `default`.
    """
    nested = {key: value for key, value in kwargs.items() if isinstance(value, Mapping)}
    top_level = {key: value for key, value in kwargs.items() if key not in nested}
    for texts in (top_level, *nested.values()):
        for key, value in texts.items():
            if key not in _PROMPT_KEYS:
                raise TaskError(
                    f"unknown key {key!r} in lmms_eval_specific_kwargs; it has "
                    f"{' and '.join(_PROMPT_KEYS)}, as they are or under an adapter's name or "
                    "default"
                )
            if not isinstance(value, str):
                raise TaskError(f'{key} is {value!r}, expected text, "" for none')


def _whole(key: str, value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise TaskError(f"{key} is {value!r}, expected a whole number of {least} or more")
    return value


def _whole_or_none(key: str, value: Any, least: int) -> int | None:
    return None if value is None else _whole(key, value, least)


def _person(value: Any) -> str | None:
    known = tuple(benchmarks.PROMPTS)
    if value is not None and value not in known:
        raise TaskError(f"verbal is {value!r}, expected {' or '.join(known)} (whose answer it is)")
    return None if value is None else str(value)


def _control(value: Any, representations: bool) -> str | None:
    if value is None:
        return None
    if value != "same_question":
        raise TaskError(f"control is {value!r}, expected same_question: leave it out for none")
    if not representations:
        raise TaskError("control: same_question compares hidden states: add representations: true")
    return "same_question"


def _masks(value: Any, needed: bool) -> str | None:
    """Return the provider that the YAML names, or else the environment, or else the data."""
    if value is not None and not isinstance(value, str):
        raise TaskError(f"masks is {value!r}, expected the name of a provider (docs/masks.md)")
    if not needed:
        return None
    given: str | None = value or os.environ.get(MASKS)
    return given or ("sandbox" if os.environ.get(LOCAL_DATA) == SANDBOX else "grounding_dino+sam")


def _on_missing(value: Any) -> OnMissing:
    known: tuple[OnMissing, ...] = get_args(OnMissing)
    for name in known:
        if value == name:
            return name
    raise TaskError(f"on_missing is {value!r}, expected {' or '.join(known)}")


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TaskError(f"{key} is {value!r}, expected true or false")
    return value


def _metric_list(
    listed: Sequence[Mapping[str, Any]] | None, known: Mapping[str, NamedMetric]
) -> list[dict[str, Any]]:
    """Complete the metrics that the YAML lists, or list all of them."""
    if listed is None:
        return [metric_entry(metric) for metric in known.values()]
    if not listed:
        raise TaskError("metric_list is empty: leave it out to get all metrics that apply")
    entries = []
    for entry in listed:
        if not isinstance(entry, Mapping):
            raise TaskError(f"metric_list holds {entry!r}, expected metric: NAME")
        name = str(entry.get("metric"))
        if name not in known:
            raise TaskError(f"unknown metric {name!r}; known: {', '.join(known)}")
        complete = metric_entry(known[name])
        if unknown := sorted(map(str, set(entry) - set(complete))):
            raise TaskError(
                f"metric {name!r} has unknown key {unknown[0]!r}; an entry of metric_list has "
                f"{', '.join(complete)}"
            )
        aggregation = entry.get("aggregation", complete["aggregation"])
        if aggregation != complete["aggregation"] and not callable(aggregation):
            raise TaskError(
                f"metric {name!r} has aggregation {aggregation!r}: leave it out, since what a "
                "metric extracts from a document is no plain number"
            )
        better = complete["higher_is_better"]
        given = entry.get("higher_is_better", better)
        if not isinstance(given, bool | None) or better not in (None, given):
            raise TaskError(
                f"metric {name!r} has higher_is_better {given!r}, expected "
                f"{'true or false' if better is None else better}: leave it out"
            )
        entries.append(complete | dict(entry))
    return entries


def stop_texts(task: str, generation: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the texts at which an answer is cut; adapters take one text as well as a list.

    Raises:
        TaskError: They are no texts.
    """
    until = (generation or {}).get("until") or ()
    texts = [until] if isinstance(until, str) else until
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise TaskError(
            f"task {task}: generation_kwargs has until: {until!r}, expected text or a list of texts"
        )
    return tuple(texts)


def check_greedy(generation: Mapping[str, Any] | None) -> None:
    """Refuse generation arguments for which confidence is not defined.

    Raises:
        TaskError: They ask for sampling, several beams, or less than one token.
    """
    generation = generation or {}
    _whole("max_new_tokens", generation.get("max_new_tokens", 1), 1)
    greedy = {"temperature": 0, "do_sample": False, "num_beams": 1, "num_return_sequences": 1}
    for key, allowed in greedy.items():
        value = generation.get(key, allowed)
        if value is not None and value != allowed:
            raise TaskError(
                f"generation_kwargs has {key}: {value}; confidence is read from greedy decoding: "
                "set temperature: 0 and num_beams: 1 (in the YAML or with --gen_kwargs)"
            )
