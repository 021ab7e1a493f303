"""Responses on disk, reused by later runs with the same model and requests."""

from vlm_confidence_tasks.evaluation.response_cache.cache import ResponseCache, open_cache

__all__ = ["ResponseCache", "open_cache"]
