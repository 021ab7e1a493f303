"""Reasoning models: an answer without the thinking before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lmms_eval.api.reasoning import parse_reasoning_tags_config, strip_reasoning_tags
from loguru import logger

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.harness.task import PerturbedTask


class Thinking:
    """Takes a model's thinking out of its answers, and what was read there out of its numbers."""

    def __init__(self, cli_args: Any = None) -> None:
        """Remember the tags of the command line, if it gave any.

        Args:
            cli_args: The harness's command-line arguments.
        """
        self._tags = getattr(cli_args, "reasoning_tags", None)
        self._warned = False

    def strip(self, task: PerturbedTask, text: str) -> str:
        """Strip reasoning tags as the harness will, so that both read the same answer."""
        tags = parse_reasoning_tags_config(self._tags, task.config.reasoning_tags)
        return text if tags is None else str(strip_reasoning_tags(text, tags))

    def without_labels(self, reading: probe.Reading) -> probe.Reading:
        """Drop the labels' probabilities: the first label may be one that was thought of."""
        if not self._warned:
            self._warned = True
            logger.warning(
                "the model thinks before it answers: answers, flips and entropy are measured; "
                "probabilities of the labels, confidence and calibration are absent, since "
                "they are read at the first label, which may be part of its thinking"
            )
        return replace(reading, label_logprob=(), answer_step=None)
