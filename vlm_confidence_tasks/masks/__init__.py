"""Where the things are that a question names: a provider a file.

>>> phrases("Is there a red circle in the image?")
('red circle',)
"""

from vlm_confidence_tasks.masks.mask_provider import Mask, MaskProvider, union
from vlm_confidence_tasks.masks.phrases import phrases
from vlm_confidence_tasks.masks.providers import provider
from vlm_confidence_tasks.masks.question_masks import OnMissing, QuestionMasks
from vlm_confidence_tasks.masks.store import MaskStore

__all__ = [
    "Mask",
    "MaskProvider",
    "MaskStore",
    "OnMissing",
    "QuestionMasks",
    "phrases",
    "provider",
    "union",
]
