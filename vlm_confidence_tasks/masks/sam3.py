"""SAM 3 goes from words straight to masks."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import Sam3Model, Sam3Processor

from vlm_confidence_tasks.masks.loading import load, version
from vlm_confidence_tasks.masks.mask_provider import Mask, union

NAME = "sam3"
MODEL = "facebook/sam3"


class Sam3Masks:
    """The masks of all instances of a phrase.

    Source: Carion et al. 2025, arXiv 2511.16719.
    """

    def __init__(
        self, model: str = MODEL, *, threshold: float = 0.5, mask_threshold: float = 0.5
    ) -> None:
        """Name the model, a hub id or folder, which is loaded when it is needed.

        `threshold` is the least score of an instance, `mask_threshold` the least probability of a
        pixel.
        """
        self._source = model
        self._thresholds = {"threshold": threshold, "mask_threshold": mask_threshold}

    @cached_property
    def name(self) -> str:
        """Name, version, model and thresholds."""
        thresholds = " ".join(map(str, self._thresholds.values()))
        return f"{NAME}/1 {version(self._source, NAME)} {thresholds}"

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        model, processor = (load(kind, self._source, NAME) for kind in (Sam3Model, Sam3Processor))
        return model, processor

    def mask(self, image: Image.Image, phrases: Sequence[str], image_id: str = "") -> Mask | None:
        """Return where any of the named things is seen; None if none of them is."""
        return union(mask for phrase in phrases for mask in self.segment(image, phrase))

    @torch.inference_mode()
    def segment(self, image: Image.Image, phrase: str) -> NDArray[np.bool_]:
        """Return the masks of a phrase's instances, [N, H, W]."""
        model, processor = self._loaded
        inputs = processor(images=image, text=phrase, return_tensors="pt").to(model.device)
        sizes = inputs.pop("original_sizes").tolist()
        (found,) = processor.post_process_instance_segmentation(
            model(**inputs), target_sizes=sizes, **self._thresholds
        )
        masks: NDArray[np.bool_] = found["masks"].cpu().numpy().astype(bool)
        return masks
