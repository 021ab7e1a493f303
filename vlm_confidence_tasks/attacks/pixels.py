"""From an image's pixels to what a model is given, with a gradient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from vlm_confidence_tasks.probe import ProbeError

KEY = "pixel_values"


@dataclass
class Cost:
    """What attacks took so far.

    Attributes:
        passes: Number of passes forward and back.
        apart: Largest difference between the pixel values that the model was given and those of
            the path that the gradient came through.
    """

    images: int = 0
    passes: int = 0
    seconds: float = 0.0
    apart: float = 0.0


class PixelPath:
    """Processes the images of one prompt, one of which changes.

    The model gets what its processor makes of the uint8 image, exactly. The gradient is that of
    the same processor on float pixels, which neither rounds nor clips where it resizes.
    """

    def __init__(
        self,
        image_processor: Any,
        options: Mapping[str, Any],
        images: Sequence[Image.Image],
        changing: int,
        cost: Cost,
    ) -> None:
        """Store a prompt's images, in order, and which of them changes.

        `options` are those with which the processor calls its image processor; `cost` notes how far
        the two paths are apart.
        """
        self._processor, self._images, self._changing = image_processor, list(images), changing
        self._options = {**options, "return_tensors": "pt"}
        self._cost = cost

    def __call__(self, image: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the image's pixels in 0..1, [3, H, W], and `pixel_values` as a function of them.

        Raises:
            ProbeError: The processor has no path through which a gradient comes.
        """
        pixels = _pixels(image).requires_grad_()
        exact = self.exact(image)
        floats = [255 * _pixels(other) for other in self._before + self._after]
        floats.insert(self._changing, 255 * pixels)
        soft = self._process(floats)
        if not soft.requires_grad or soft.shape != exact.shape:
            raise ProbeError(
                f"no gradient comes through {type(self._processor).__name__}: attacks need an "
                "image processor on torchvision (`use_fast=True`)"
            )
        apart = float((soft.detach() - exact).abs().max())
        self._cost.apart = max(self._cost.apart, apart)
        return pixels, soft + (exact - soft).detach()

    def exact(self, image: Image.Image) -> torch.Tensor:
        """Return `pixel_values` as the model is given them, without a gradient."""
        return self._process([*self._before, image, *self._after])

    @property
    def _before(self) -> list[Image.Image]:
        return self._images[: self._changing]

    @property
    def _after(self) -> list[Image.Image]:
        return self._images[self._changing + 1 :]

    def _process(self, images: Sequence[Any]) -> torch.Tensor:
        found: torch.Tensor = self._processor(images=list(images), **self._options)[KEY]
        return found


def _pixels(image: Image.Image) -> torch.Tensor:
    array = np.asarray(image).transpose(2, 0, 1).astype(np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(array))
