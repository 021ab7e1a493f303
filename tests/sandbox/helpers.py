"""What the tests of the model share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image


def noisy(image: Image.Image, epsilon: float, seed: int) -> Image.Image:
    """Gaussian noise in pixel units of [0, 1], held to the ball and to the valid range."""
    noise = np.random.default_rng(seed).standard_normal((image.height, image.width, 3)) * epsilon
    clipped = np.asarray(image) / 255 + np.clip(noise, -epsilon, epsilon)
    return Image.fromarray(np.round(clipped.clip(0, 1) * 255).astype(np.uint8))


def chat(prompt: str, images: int = 1) -> list[dict[str, Any]]:
    """Contents of a chat message as the harness makes them: images, then text."""
    return [{"type": "image"}] * images + [{"type": "text", "text": prompt}]


def accuracy(answers: Sequence[str], truths: Sequence[str]) -> float:
    pairs = zip(answers, truths, strict=True)
    return sum(a.lower() == t.lower() for a, t in pairs) / len(truths)
