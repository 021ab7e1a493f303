"""Perturbations that need the model's gradient: objectives for `perturbations.pgd`.

The search is numpy (`perturbations/attack.py`); here is what it asks the model at every step.
"""

from vlm_confidence_tasks.attacks.objective import ModelObjective
from vlm_confidence_tasks.attacks.objective_provider import ObjectiveProvider
from vlm_confidence_tasks.attacks.pixels import PixelPath

__all__ = ["ModelObjective", "ObjectiveProvider", "PixelPath"]
