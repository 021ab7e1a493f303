"""Task YAMLs: a YAML's keys are taken, or refused in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from fuzz_targets.made_up import values
from vlm_confidence_tasks import benchmarks
from vlm_confidence_tasks.perturbations import registry

names = st.sampled_from(sorted(registry.names()))
specs = st.fixed_dictionaries(
    {"name": names},
    optional={
        "seed": values,
        **{
            key: values | st.sampled_from(["semantic", "white", "black"])
            for key in ("epsilon", "dx", "n", "factor", "degrees", "severity", "content", "fill")
        },
    },
)
yamls = st.fixed_dictionaries(
    {
        "task": st.just("mine") | values,
        "benchmark": st.sampled_from(sorted(benchmarks.BENCHMARKS)) | values,
        "perturbations": st.lists(specs, max_size=3) | values,
    },
    optional={
        **dict.fromkeys(("max_side", "verbal", "loglik", "max_failures", "tag"), values),
        "generation_kwargs": values
        | st.dictionaries(st.sampled_from(["temperature", "num_beams", "max_new_tokens"]), values),
        "metric_list": values
        | st.lists(st.fixed_dictionaries({"metric": st.just("entropy") | values})),
        "lmms_eval_specific_kwargs": values,
        "filter_list": values,
    },
)
INPUTS = (yamls,)


def check(config: Mapping[str, Any]) -> None:
    """A YAML's keys are taken, or refused in one line."""
    from vlm_confidence_tasks.harness.task_config import check_greedy, read_config

    try:
        read_config(config)
        check_greedy(config.get("generation_kwargs"))
    except ValueError as error:
        assert "\n" not in str(error) and str(error), str(error)
