"""Reasoning models: an answer without the thinking before it."""

from __future__ import annotations

import json
from typing import Any

from lmms_eval.api.reasoning import parse_reasoning_tags_config, strip_reasoning_tags

from vlm_confidence_tasks.errors import TaskError

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


class ReasoningTags:
    """Strips a model's thinking from its answers."""

    def __init__(self, cli_args: Any = None) -> None:
        """Read the tags of the command line, if it gave any.

        Args:
            cli_args: The harness's command-line arguments.

        Raises:
            TaskError: They are not pairs.
        """
        self._tags = read_tags("--reasoning_tags", getattr(cli_args, "reasoning_tags", None))

    def strip(self, of_task: Any, text: str) -> str:
        """Strip thinking as the harness does; an answer cut off while thinking becomes "".

        Args:
            of_task: The task's own tags, which override those of the command line.
            text: The answer.
        """
        tags = self._tags if of_task is None else read_tags("reasoning_tags", of_task)
        if tags is None:
            return text
        answer = str(strip_reasoning_tags(text, tags))
        return "" if any(opening in answer for opening, _ in tags) else answer
