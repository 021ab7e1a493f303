"""What a camera does to a scene: it moves and scales the image a little and adds light noise.

Without it the tiny model is lost at a shift of four pixels, since nothing that it was trained on
ever stood elsewhere, and then no perturbation can be told from another by what it breaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vlm_confidence_tasks.sandbox.render import SIDE, render
from vlm_confidence_tasks.sandbox.world import Scene

SHIFT = 7
"""Largest shift in pixels along each axis: further, a place could be its neighbour."""
ZOOM = 0.1
"""Largest change of scale."""
NOISE = 0.03
"""Largest standard deviation of the noise of a pixel, in [0, 1]."""


@dataclass(frozen=True)
class Shot:
    """How a scene is taken; the defaults leave it as it is drawn.

    Attributes:
        dx: Shift to the right in pixels.
        dy: Shift downwards in pixels.
        zoom: Scale about the image's centre.
        noise: Standard deviation of Gaussian noise, in [0, 1].
        seed: Seed of the noise.
    """

    dx: float = 0.0
    dy: float = 0.0
    zoom: float = 1.0
    noise: float = 0.0
    seed: int = 0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the scene is in the image, in pixels."""
        middle = SIDE / 2
        return middle + self.zoom * (x - middle) + self.dx, middle + self.zoom * (
            y - middle
        ) + self.dy


STILL = Shot()


def draw_shot(rng: np.random.Generator) -> Shot:
    """Draw shift, scale and noise, each uniform within what is allowed."""
    dx, dy = rng.uniform(-SHIFT, SHIFT, 2)
    zoom, noise = rng.uniform(1 - ZOOM, 1 + ZOOM), rng.uniform(0, NOISE)
    return Shot(float(dx), float(dy), float(zoom), float(noise), int(rng.integers(2**32)))


def photograph(scene: Scene, shot: Shot) -> NDArray[np.uint8]:
    """Take a scene: uint8, (SIDE, SIDE, 3).

    What leaves the frame is lost, and what comes into it is background.
    """
    image = render(scene)
    if shot == STILL:
        return np.asarray(image)
    # Pillow asks where in the source each pixel of the result comes from.
    left, top = shot.at(0, 0)
    back = (1 / shot.zoom, 0, -left / shot.zoom, 0, 1 / shot.zoom, -top / shot.zoom)
    moved = image.transform(
        image.size,
        Image.Transform.AFFINE,
        back,
        resample=Image.Resampling.BILINEAR,
        fillcolor=(scene.background,) * 3,
    )
    grain = np.random.default_rng(shot.seed).standard_normal((SIDE, SIDE, 3), dtype=np.float32)
    noisy = np.asarray(moved) + 255 * shot.noise * grain
    return np.asarray(np.rint(noisy).clip(0, 255), dtype=np.uint8)
