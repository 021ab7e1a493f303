"""The need `masks`: where the things are that a question names."""

from collections.abc import Mapping
from threading import Lock
from typing import Any, Literal

import numpy as np
from PIL import Image

from vlm_confidence_tasks.masks.mask_provider import Mask, MaskProvider
from vlm_confidence_tasks.masks.phrases import phrases
from vlm_confidence_tasks.masks.store import MaskStore
from vlm_confidence_tasks.perturbations import image_digest
from vlm_confidence_tasks.types import Question

OnMissing = Literal["skip", "global"]
WHOLE = "the whole image"


class QuestionMasks:
    """Provides `masks` (`perturbations.NEEDS`) of questions: an `evaluation.NeedProvider`.

    Masks are kept in `store`.
    """

    def __init__(self, provider: MaskProvider, on_missing: OnMissing = "skip") -> None:
        """Take the provider, and what is given if it finds none of the things.

        "skip": nothing, so that the document is left out; "global": a mask of the whole image.
        """
        self.store = MaskStore()
        self._provider = provider
        self._on_missing = on_missing
        # Images are made in threads, and a provider runs one model.
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The provider's name, and what is done where it finds nothing."""
        return f"{self._provider.name}, on_missing={self._on_missing}"

    def __call__(self, request: Any, image: Image.Image, source: Any) -> Mapping[str, Mask]:
        """Return the masks of a request's question (`evaluation.request.Request`)."""
        return self.of(request.question, image)

    def of(self, question: Question, image: Image.Image) -> Mapping[str, Mask]:
        """Return the mask of each thing that a question names and that was found, [H, W]."""
        digest = image_digest(image)
        named = phrases(question.asked or question.prompt)
        found = {phrase: self._one(image, digest, phrase, question.image_id) for phrase in named}
        masks = {phrase: mask for phrase, mask in found.items() if mask.any()}
        if not masks and self._on_missing == "global":
            return {WHOLE: np.ones((image.height, image.width), dtype=np.bool_)}
        return masks

    def _one(self, image: Image.Image, digest: str, phrase: str, image_id: str) -> Mask:
        with self._lock:
            kept = self.store.find(digest, phrase, self._provider.name)
            if kept is None:
                mask = self._provider.mask(image, (phrase,), image_id)
                kept = np.zeros((image.height, image.width), np.bool_) if mask is None else mask
                self.store.add(digest, phrase, self._provider.name, kept)
        return kept
