"""Blocks of an image's rows that fit a processor's cache.

Arithmetic on a large image a few rows at a time takes less time, and a few megabytes in place of
several times the image. What it gives does not depend on the size of the blocks.
"""

import math
from collections.abc import Iterator

# Values in a block. At two bytes each, several blocks fit a cache of 2 MB.
VALUES = 2**18


def row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of rows that cover an array [H, W, ...], from the top.

    >>> list(row_blocks((3, 2**17)))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    height, *others = shape
    rows = max(1, VALUES // math.prod(others))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
