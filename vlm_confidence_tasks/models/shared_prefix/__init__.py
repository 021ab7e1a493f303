"""Answers many questions about the same images on one pass over what their prompts share."""

from vlm_confidence_tasks.models.shared_prefix.answering import SharedPrefix
from vlm_confidence_tasks.models.shared_prefix.prefix_reuse import reuse
from vlm_confidence_tasks.models.shared_prefix.prompts import Prompt, prompts_of
from vlm_confidence_tasks.models.shared_prefix.source import SharedPrefixSource

__all__ = ["Prompt", "SharedPrefix", "SharedPrefixSource", "prompts_of", "reuse"]
