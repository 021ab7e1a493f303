"""Perturbation-wrapped tasks and confidence metrics for lmms-eval."""

__version__ = "0.1.0"
