"""Strips the thinking of reasoning models from answers."""

from __future__ import annotations

import json
from typing import Any

from lmms_eval.api.reasoning import parse_reasoning_tags_config, strip_reasoning_tags

from vlm_confidence_tasks.errors import TaskError

Tags = list[list[str]]


def read_tags(name: str, value: Any) -> Tags | None:
    """Read pairs of tags as the harness does.

    Args:
        name: Name of the key or option, for the error.
        value: Pairs, the same as JSON, or None, False or "none" for none.

    Raises:
        TaskError: It is none of these.

    >>> read_tags("--reasoning_tags", '[["<think>", "</think>"]]')
    [['<think>', '</think>']]
    """
    try:
        tags = parse_reasoning_tags_config(value)
    except json.JSONDecodeError:
        tags = value
    if tags is None:
        return None
    if not isinstance(tags, list) or not all(_is_pair(pair) for pair in tags):
        raise TaskError(
            f"{name} is {value!r}, expected pairs of tags, such as "
            """[["<think>", "</think>"]], or "none\""""
        )
    return tags


def _is_pair(pair: object) -> bool:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return False
    return all(isinstance(tag, str) and tag for tag in pair)


def strip_thinking(text: str, tags: Tags | None) -> str:
    """Strip thinking as the harness does; an answer cut off while thinking becomes ""."""
    if tags is None:
        return text
    answer = str(strip_reasoning_tags(text, tags))
    return "" if any(opening in answer for opening, _ in tags) else answer
