"""Reasoning models: an answer without the thinking before it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from lmms_eval.api.reasoning import parse_reasoning_tags_config, strip_reasoning_tags
from loguru import logger

from vlm_confidence_tasks import probe
from vlm_confidence_tasks.harness.errors import TaskError

Tags = list[list[str]]


def read_tags(name: str, given: Any) -> Tags | None:
    """Read pairs of tags as the harness does.

    Args:
        name: Of the key or option, for the error.
        given: Pairs, the same as JSON, or None, False or "none" for none.

    Raises:
        TaskError: It is none of these.

    >>> read_tags("--reasoning_tags", '[["<think>", "</think>"]]')
    [['<think>', '</think>']]
    """
    try:
        tags = parse_reasoning_tags_config(given)
    except json.JSONDecodeError:
        tags = given
    if tags is None:
        return None
    if not isinstance(tags, list) or not all(_is_pair(pair) for pair in tags):
        raise TaskError(
            f"{name} is {given!r}, expected pairs of tags, such as "
            """[["<think>", "</think>"]], or "none\""""
        )
    return tags


def _is_pair(pair: object) -> bool:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return False
    return all(isinstance(tag, str) and tag for tag in pair)


class Thinking:
    """Takes a model's thinking out of its answers, and what was read there out of its numbers."""

    def __init__(self, cli_args: Any = None) -> None:
        """Remember the tags of the command line, if it gave any.

        Args:
            cli_args: The harness's command-line arguments.

        Raises:
            TaskError: They are not pairs.
        """
        self._tags = read_tags("--reasoning_tags", getattr(cli_args, "reasoning_tags", None))
        self._warned = False

    def strip(self, of_task: Any, text: str) -> str:
        """Strip thinking as the harness will; of an answer cut off while thinking nothing is left.

        Args:
            of_task: The task's own tags, which go before those of the command line.
            text: The answer.
        """
        tags = self._tags if of_task is None else read_tags("reasoning_tags", of_task)
        if tags is None:
            return text
        answer = str(strip_reasoning_tags(text, tags))
        return "" if any(opening in answer for opening, _ in tags) else answer

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
