"""Two halves of the images: what is fitted on one is judged on the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

import numpy as np

from vlm_confidence_tasks.metrics.functional.checks import Bools


def second_half(image_ids: Sequence[str]) -> Bools:
    """Return whether each row's image is in the second half of all conceivable images, [N].

    The last bit of the name's SHA-256 decides: an image is in the same half whichever other
    images, questions or variants stand beside it.

    Args:
        image_ids: Name of each row's image, [N].

    Source: cross-fitting: Chernozhukov et al. 2018, with two folds.

    >>> second_half(["a.png", "b.png", "a.png"]).tolist()
    [False, True, False]
    """
    return np.fromiter(map(_is_second, image_ids), np.bool_, len(image_ids))


@lru_cache(maxsize=1 << 16)
def _is_second(image_id: str) -> bool:
    return bool(sha256(image_id.encode()).digest()[-1] & 1)
