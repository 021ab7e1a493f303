"""What a provider of masks is."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.bool_]


class MaskProvider(Protocol):
    """Finds things in an image by their names."""

    @property
    def name(self) -> str:
        """Name and version, with all that its masks depend on besides image and phrases."""

    def mask(self, image: Image.Image, phrases: Sequence[str], image_id: str = "") -> Mask | None:
        """Return where any of the named things is.

        Args:
            image: An RGB image of height H and width W.
            phrases: Names of things ("red circle"), in the singular.
            image_id: The data set's own name of the image, "" if it has none.

        Returns:
            [H, W], true where a thing is; None if none of them was found.

        Raises:
            TaskError: The provider's model or file cannot be used.
        """


def union(masks: Iterable[Mask | None]) -> Mask | None:
    """Return where any of some masks is true; None if there is no such pixel.

    >>> left, right = np.array([[True, False]]), np.array([[False, True]])
    >>> union([left, None, right]).tolist(), union([None, ~(left | right)])
    ([[True, True]], None)
    """
    found = [mask for mask in masks if mask is not None]
    joined = np.logical_or.reduce(found) if found else None
    return joined if joined is not None and joined.any() else None
