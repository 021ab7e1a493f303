"""Where the things are that a question names: a provider a file.

>>> from vlm_confidence_tasks.masks.phrases import phrases
>>> phrases("Is there a red circle in the image?")
('red circle',)
"""

from vlm_confidence_tasks.masks.phrases import phrases
from vlm_confidence_tasks.masks.provider import Mask, MaskProvider, union

__all__ = ["Mask", "MaskProvider", "phrases", "union"]
