"""Simulated answers in clusters, whose truth is known."""

from __future__ import annotations

import numpy as np


def scores(rng, images, questions, correlation):
    """Standard normal scores with an intra-image correlation, and the image of each."""
    image = np.repeat(np.arange(images), questions)
    shared = rng.standard_normal(images)[image]
    own = rng.standard_normal(image.size)
    return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own, image


def answers(rng, images, questions, gap=0.0):
    """Confidences over a half, answers right as often less the gap, and the image of each."""
    image = np.repeat(np.arange(images), questions)
    confidence = 0.5 + 0.5 * rng.beta(2, 1, image.size)
    return confidence, rng.random(image.size) < confidence - gap, image


def holds(interval, truth):
    return interval.low <= truth <= interval.high
