"""Which pixels a variant changes, of the masks of things in an image."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vlm_confidence_tasks.perturbations.needs import Masks
from vlm_confidence_tasks.perturbations.registry import needs_of
from vlm_confidence_tasks.types import Variant

Mask = NDArray[np.bool_]


def can_show(variant: Variant, masks: Masks) -> bool:
    """Say whether a variant can be made of masks: not without any, nor without room beside them.

    Every variant that needs no masks can.
    """
    if "masks" not in needs_of(variant):
        return True
    where = dict(variant.parameters).get("where", "object")
    return bool(masks) and (where == "object" or region(masks, where) is not None)


def region(masks: Masks, where: object) -> Mask | None:
    """Return the pixels to change, [H, W]; None without masks, or without room beside them.

    `where` is "object": the masks, joined; "outside": `moved`; "global": all pixels.
    """
    if not masks:
        return None
    joined: Mask = np.logical_or.reduce(list(masks.values()))
    if where == "global":
        return np.ones_like(joined)
    return moved(joined) if where == "outside" else joined


def moved(mask: Mask) -> Mask | None:
    """Return the shape of a mask [H, W] at the place farthest from its own without overlap.

    The shape is moved as a whole and stays inside the image; None if there is no such place. Of
    places equally far the one with the smallest row, then column, is taken.

    >>> moved(np.array([[True, False, False]])), moved(np.array([[True, True, False]]))
    (array([[False, False,  True]]), None)
    """
    shift = _farthest_shift(np.packbits(mask).tobytes(), *mask.shape)
    return None if shift is None else np.roll(mask, shift, axis=(0, 1))


# A document's variants have one mask.
@lru_cache(maxsize=64)
def _farthest_shift(packed: bytes, height: int, width: int) -> tuple[int, int] | None:
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=height * width)
    mask = bits.reshape(height, width).astype(bool)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    down = np.arange(-rows[0], height - rows[-1])[:, None]
    right = np.arange(-columns[0], width - columns[-1])[None, :]
    near = (np.abs(down) < box.shape[0]) & (np.abs(right) < box.shape[1])
    # How many pixels overlap at each shift of less than the box's size.
    size = (2 * box.shape[0], 2 * box.shape[1])
    spectrum = np.fft.rfft2(box.astype(np.float64), size)
    shared = np.fft.irfft2(np.abs(spectrum) ** 2, size)[down % size[0], right % size[1]]
    distance = np.where(near & (shared > 0.5), -1, down**2 + right**2)
    best = np.unravel_index(int(distance.argmax()), distance.shape)
    if distance[best] < 0:
        return None
    return int(down[best[0], 0]), int(right[0, best[1]])
