"""Grounding DINO finds boxes of a phrase, the Segment Anything Model (SAM) the masks in them."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    SamModel,
    SamProcessor,
)

from vlm_confidence_tasks.masks.loading import load, version
from vlm_confidence_tasks.masks.mask_provider import Mask, union

NAME = "grounding_dino+sam"
DETECTOR = "IDEA-Research/grounding-dino-base"
SEGMENTER = "facebook/sam-vit-base"


class GroundingDinoSam:
    """The masks in the boxes of a phrase.

    Sources: Liu et al. 2023, arXiv 2303.05499; Kirillov et al. 2023, arXiv 2304.02643.
    """

    def __init__(
        self,
        detector: str = DETECTOR,
        segmenter: str = SEGMENTER,
        *,
        threshold: float = 0.4,
        text_threshold: float = 0.3,
    ) -> None:
        """Name the models, hub ids or folders, which are loaded when they are needed.

        `threshold` is the least score of a box, `text_threshold` that of a phrase's token.
        """
        self._detector_source, self._segmenter_source = detector, segmenter
        self._thresholds = {"threshold": threshold, "text_threshold": text_threshold}

    @cached_property
    def name(self) -> str:
        """Name, version, models and thresholds."""
        sources = (self._detector_source, self._segmenter_source)
        models = " ".join(version(source, NAME) for source in sources)
        return f"{NAME}/1 {models} {' '.join(map(str, self._thresholds.values()))}"

    @cached_property
    def _detector(self) -> tuple[Any, Any]:
        kinds = (GroundingDinoForObjectDetection, GroundingDinoProcessor)
        model, processor = (load(kind, self._detector_source, NAME) for kind in kinds)
        return model, processor

    @cached_property
    def _segmenter(self) -> tuple[Any, Any]:
        kinds = (SamModel, SamProcessor)
        model, processor = (load(kind, self._segmenter_source, NAME) for kind in kinds)
        return model, processor

    def mask(self, image: Image.Image, phrases: Sequence[str], image_id: str = "") -> Mask | None:
        """Return where any of the named things is seen; None if none of them is."""
        return union(
            mask
            for phrase in phrases
            if len(boxes := self.boxes(image, phrase))
            for mask in self.segment(image, boxes)
        )

    @torch.inference_mode()
    def boxes(self, image: Image.Image, phrase: str) -> NDArray[np.float32]:
        """Return the boxes of a phrase, [N, 4]: left, top, right, bottom in pixels."""
        model, processor = self._detector
        # The models are trained on texts in lower case, each phrase with a full stop.
        inputs = processor(images=image, text=f"{phrase.lower()}.", return_tensors="pt")
        inputs = inputs.to(model.device)
        (found,) = processor.post_process_grounded_object_detection(
            model(**inputs),
            inputs["input_ids"],
            target_sizes=[(image.height, image.width)],
            **self._thresholds,
        )
        boxes: NDArray[np.float32] = found["boxes"].float().cpu().numpy()
        return boxes

    @torch.inference_mode()
    def segment(self, image: Image.Image, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return the mask in each box, [N, H, W], in the order of the boxes."""
        model, processor = self._segmenter
        inputs = processor(image, input_boxes=[boxes.tolist()], return_tensors="pt")
        sizes = [inputs.pop(key) for key in ("original_sizes", "reshaped_input_sizes")]
        # SAM's processor makes float64 boxes.
        moved = {key: value.to(model.device, model.dtype) for key, value in inputs.items()}
        predicted = model(**moved, multimask_output=False).pred_masks.cpu()
        (masks,) = processor.post_process_masks(predicted, *sizes)
        found: NDArray[np.bool_] = masks[:, 0].numpy()
        return found
