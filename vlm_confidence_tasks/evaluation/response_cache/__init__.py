"""Responses on disk: used again by a later run that asks the same of the same model."""

from vlm_confidence_tasks.evaluation.response_cache.cache import ResponseCache, open_cache

__all__ = ["ResponseCache", "open_cache"]
