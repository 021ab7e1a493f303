"""Scenes drawn with Pillow, 64 by 64 pixels."""

import io
import math

import numpy as np
from PIL import Image, ImageDraw

from vlm_confidence_tasks.sandbox.world import Scene, Thing

SIDE = 64
_OVERSAMPLING = 4
_RGB = {
    "red": (220, 30, 30),
    "orange": (245, 140, 20),
    "yellow": (235, 215, 30),
    "green": (40, 160, 60),
    "blue": (40, 80, 215),
    "purple": (140, 50, 170),
}

Point = tuple[float, float]


def _star() -> list[Point]:
    """Outline of a star of five points, on the unit circle."""
    radii, angles = [1.0, 0.42] * 5, [math.radians(36 * i - 90) for i in range(10)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def _cross() -> list[Point]:
    """Outline of an upright cross in [-1, 1]."""
    arm = 0.33
    quarter = [(arm, -1.0), (arm, -arm), (1.0, -arm)]
    turned = [quarter]
    for _ in range(3):
        turned.append([(-y, x) for x, y in turned[-1]])
    return [point for part in turned for point in part]


# A square of side 2 looks larger than a circle of radius 1; 0.9 evens them out.
_OUTLINES: dict[str, list[Point]] = {
    "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "triangle": [(0.0, -1.0), (1.0, 0.85), (-1.0, 0.85)],
    "star": _star(),
    "cross": _cross(),
}


def _draw(canvas: ImageDraw.ImageDraw, thing: Thing) -> None:
    x, y = thing.x, thing.y
    radius = thing.size / 2
    fill = _RGB[thing.colour]
    points = _OUTLINES.get(thing.shape, [(-1.0, -1.0), (1.0, 1.0)])
    placed = [
        ((x + radius * px) * _OVERSAMPLING, (y + radius * py) * _OVERSAMPLING) for px, py in points
    ]
    if thing.shape == "circle":
        canvas.ellipse([placed[0], placed[1]], fill=fill)
    else:
        canvas.polygon(placed, fill=fill)


def render(scene: Scene) -> Image.Image:
    """Draw a scene.

    It is drawn four times too large and averaged down, which smooths the edges by
    integer arithmetic only, so that every machine gets the same pixels.
    """
    side = SIDE * _OVERSAMPLING
    image = Image.new("RGB", (side, side), (scene.background,) * 3)
    canvas = ImageDraw.Draw(image)
    for thing in scene.things:
        _draw(canvas, thing)
    return image.reduce(_OVERSAMPLING)


def pale(scene: Scene) -> Image.Image:
    """Draw a scene with seven tenths of its contrast, as the packaged data has it.

    The model is trained on full contrast. It answers these as well, but noise of
    epsilon 0.5, which it withstands on full contrast, can now mislead it.
    """
    full = np.asarray(render(scene)).astype(np.uint16)
    return Image.fromarray(((7 * full + 3 * scene.background + 5) // 10).astype(np.uint8))


def png(scene: Scene) -> bytes:
    """Return the scene in pale colours as the bytes of a PNG file."""
    buffer = io.BytesIO()
    pale(scene).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
