"""Reads and validates the configuration of a task's YAML."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from vlm_confidence_tasks import benchmarks, perturbations
from vlm_confidence_tasks.benchmarks import Benchmark
from vlm_confidence_tasks.errors import TaskError
from vlm_confidence_tasks.evaluation.settings import Name, Positive, Settings, check, expected
from vlm_confidence_tasks.harness.metric_list import check_clean, metric_list, more_metrics
from vlm_confidence_tasks.harness.metric_registration import register_metrics
from vlm_confidence_tasks.harness.reasoning import read_tags
from vlm_confidence_tasks.metrics import NamedMetric, metrics_for
from vlm_confidence_tasks.sandbox import LOCAL_DATA, SANDBOX
from vlm_confidence_tasks.types import Measure, Variant

# Names the provider of masks for tasks whose YAML names none.
MASKS = "VLM_CONFIDENCE_MASKS"

Split = Annotated[str | None, expected("the name of a split")]
NamedValues = Annotated[Mapping[Any, Any] | None, expected("names and values")]


class HarnessKeys(msgspec.Struct, kw_only=True):
    """The keys of a task's YAML that are passed on to the harness."""

    task: Name
    task_alias: Any = None
    tag: Any = None
    dataset_path: Annotated[str | None, expected("a data set's id")] = None
    dataset_name: Annotated[str | None, expected("the name of a configuration")] = None
    dataset_kwargs: Any = None
    test_split: Split = None
    validation_split: Split = None
    output_type: Any = None
    generation_kwargs: NamedValues = None
    lmms_eval_specific_kwargs: NamedValues = None
    metric_list: Annotated[list[Any] | None, expected("a list of metrics")] = None
    cluster_key: Annotated[
        Literal["image_id"] | None,
        expected("image_id: errors are clustered by image or not at all"),
    ] = None
    num_fewshot: Any = None
    reasoning_tags: Any = None
    metadata: Any = None


_OWN, _HARNESS = Settings.__struct_fields__, HarnessKeys.__struct_fields__
_KEYS = ("class", *_OWN, *_HARNESS)
_KINDS = get_type_hints(HarnessKeys, include_extras=True)
_KINDS |= get_type_hints(Settings, include_extras=True)
_REQUIRED = ("task", "benchmark", "perturbations")
_PROMPT_KEYS = ("pre_prompt", "post_prompt")


@dataclass(frozen=True)
class Plan:
    """What a task measures.

    Attributes:
        settings: What its YAML sets.
        benchmark: Makes the questions and scores the answers.
        variants: The perturbed variants of each document's images.
        masks: The provider of masks, as `masks.provider` reads it; None: no variant needs any.
        metrics: All metrics that apply, by name.
    """

    settings: Settings
    benchmark: Benchmark
    variants: tuple[Variant, ...]
    masks: str | None
    metrics: Mapping[str, NamedMetric]


def read_config(config: Mapping[str, Any]) -> tuple[Plan, dict[str, Any]]:
    """Split a task's YAML into our part and the harness's, with the metric list completed.

    Raises:
        TaskError: A key is unknown or missing, or its value is invalid.
    """
    _check_keys(config)
    settings = Settings(**{key: config[key] for key in _OWN if key in config})
    if settings.control and not settings.representations:
        raise TaskError("control: same_question compares hidden states: add representations: true")
    variants = perturbations.variants(settings.perturbations)
    families = dict.fromkeys((*perturbations.families(), *(v.family for v in variants)))
    metrics = metrics_for(families, _measured(settings, variants))
    plan = Plan(
        settings=settings,
        benchmark=benchmarks.get(settings.benchmark),
        variants=variants,
        masks=_masks(settings.masks, variants),
        metrics=metrics,
    )
    harness_config = {key: value for key, value in config.items() if key in _HARNESS}
    register_metrics(metrics.values())
    harness_config["metric_list"] = metric_list(
        config.get("metric_list"), metrics, more_metrics(settings.metrics, metrics)
    )
    if config.get("metric_list") and not variants:
        check_clean(harness_config["metric_list"], metrics)
    return plan, harness_config


def _measured(settings: Settings, variants: Sequence[Variant]) -> frozenset[Measure]:
    """Return what a task measures besides its answers."""
    measured: dict[Measure, bool] = {
        "verbal": settings.verbal is not None,
        "loglik": settings.loglik,
        "representations": settings.representations,
        "same_question": settings.control is not None,
        "attacks": any("objective" in perturbations.needs_of(v) for v in variants),
        "object_noise": any(v.perturbation == "object_noise" for v in variants),
    }
    return frozenset(name for name, on in measured.items() if on)


def _masks(named: str | None, variants: Sequence[Variant]) -> str | None:
    """Return the provider that the YAML names, or else the environment, or else the data."""
    if not any("masks" in perturbations.needs_of(v) for v in variants):
        return None
    given = named or os.environ.get(MASKS)
    return given or ("sandbox" if os.environ.get(LOCAL_DATA) == SANDBOX else "grounding_dino+sam")


def _check_keys(config: Mapping[str, Any]) -> None:
    """Refuse unknown and missing keys, wrong types, and values that are not supported."""
    unknown = sorted(set(config) - set(_KEYS))
    if unknown:
        raise TaskError(
            f"unknown key {', '.join(map(repr, unknown))}; a perturbed task has {', '.join(_KEYS)}"
        )
    missing = [key for key in _REQUIRED if key not in config]
    if missing:
        raise TaskError(f"key {', '.join(map(repr, missing))} is missing")
    for key, kind in _KINDS.items():
        if key in config:
            check(key, config[key], kind)
    if "/" in config["task"] or os.sep in config["task"]:
        raise TaskError("the task's name is part of file names: leave out the slash")
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
    check("max_new_tokens", generation.get("max_new_tokens", 1), Positive)
    greedy = {"temperature": 0, "do_sample": False, "num_beams": 1, "num_return_sequences": 1}
    for key, allowed in greedy.items():
        value = generation.get(key, allowed)
        if value is not None and value != allowed:
            raise TaskError(
                f"generation_kwargs has {key}: {value}; confidence is read from greedy decoding: "
                "set temperature: 0 and num_beams: 1 (in the YAML or with --gen_kwargs)"
            )
