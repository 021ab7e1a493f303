"""Family `pgd`: the worst image that a search along the model's gradient finds in the ball."""

import math
from typing import Annotated, Literal

import numpy as np
from numpy.random import Generator
from PIL import Image

from vlm_confidence_tasks.perturbations.frequency import rounded
from vlm_confidence_tasks.perturbations.needs import Objective
from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.registry import register
from vlm_confidence_tasks.perturbations.spectrum import (
    Floats,
    band_mask,
    filtered,
    low_pass_mask,
)

Goal = Literal["flip", "sure", "unsure", "hidden"]
Reach = Literal["all", "low", "mid", "high"]
SIGNS, OTHER, NOISE = "signs", "other", "noise"


@register(
    "pgd",
    family="pgd",
    strength="epsilon",
    controls={"delta": (SIGNS, OTHER)},
    needs={"objective"},
)
def pgd(
    image: Image.Image,
    rng: Generator,
    objective: Objective,
    *,
    epsilon: Annotated[float, Range(0, 1)],
    goal: Goal,
    steps: Annotated[int, Range(1, 10_000)] = 20,
    step_size: Annotated[float, Range(0, 1)] = 0.0,
    restarts: Annotated[int, Range(1, 1000)] = 1,
    band: Reach = "all",
    delta: Literal["own", "signs", "other"] = "own",
) -> Image.Image:
    """Attack the model by projected gradient descent, on the uint8 grid.

    With k = floor(255 epsilon) and d_0 uniform in [-k, k]:

        d_(t+1) = clip(d_t - 255 step_size sign(gradient at round(x + d_t)), -k, k)

    and x + d in 0..255. The gradient is taken, and the goal judged, at the image of whole grey
    levels that would be shown; of all these the best is returned, so that
    max abs(out - x) <= 255 epsilon holds exactly. A `step_size` of 0 is 2.5 epsilon / steps. One
    run takes steps + 1 passes forward and back.

    `goal` is what the objective makes small: `flip` the log-odds of the clean answer against the
    best other; `sure` the entropy, at another answer; `unsure` minus the entropy, and `hidden` the
    cosine of the context with the clean one, while the clean answer leads.

    `band` other than `all` masks start and steps to one radial band (`spectrum.band_mask`);
    clipping then moves a little power into other bands.

    Controls, of the same size: `delta="signs"` adds k with random signs, `delta="other"` the
    difference that the same attack makes to another image.

    Source: Madry et al. 2018, arXiv 1706.06083.
    """
    limit = math.floor(255 * epsilon)
    if limit == 0:
        return image.copy()
    if delta == SIGNS:
        signs = rng.integers(0, 2, (image.height, image.width, 3)) * 2 - 1
        return rounded(np.asarray(image, np.float64) + limit * signs)
    start = objective.start
    gain = None if band == "all" else band_mask(image.height, image.width, band)
    step = 255 * (step_size or 2.5 * epsilon / steps)
    runs = [_descend(start, rng, objective, limit, step, steps, gain) for _ in range(restarts)]
    best = min(runs, key=lambda run: run[0])[1]
    difference = np.asarray(best, np.float64) - np.asarray(start, np.float64)
    return rounded(np.asarray(image, np.float64) + difference)


@register(
    "pgd_hi",
    family="pgdhi",
    strength="epsilon",
    controls={"mode": (NOISE,)},
    needs={"objective"},
)
def pgd_hi(
    image: Image.Image,
    rng: Generator,
    objective: Objective,
    *,
    epsilon: Annotated[float, Range(0, 1)] = 4 / 255,
    steps: Annotated[int, Range(1, 10_000)] = 10,
    step_size: Annotated[float, Range(0, 1)] = 1 / 255,
    mode: Literal["pixel", "low", "high", "noise"] = "pixel",
    cutoff: Annotated[float, Range(0, 1)] = 0.25,
) -> Image.Image:
    """Attack as "Same Answer, Different Representations" does, for images.

    d_0 = 0, d_(t+1) = clip(M(d_t - 255 step_size sign(gradient at round(x + d_t))), -k, k), with
    k = floor(255 epsilon); the last is shown. The objective is the log-likelihood of the clean
    option's text. M keeps what lies at or under (`low`) or above (`high`) `cutoff` times the
    largest radius; since the clip comes after it, a little power leaves the band. The source's
    8/255 and 2/255 are of channels in [-1, 1], so half of that in pixels, and its difference is
    made for one model's patches; this one is made for the image.

    The control `mode="noise"` adds Gaussian noise divided by its largest value, times k.

    Source: "Same Answer, Different Representations", arXiv 2602.06652.
    """
    limit = math.floor(255 * epsilon)
    if limit == 0:
        return image.copy()
    pixels = np.asarray(image, np.float64)
    if mode == NOISE:
        noise = rng.standard_normal(pixels.shape)
        return rounded(pixels + limit * noise / np.abs(noise).max())
    low = low_pass_mask(image.height, image.width, 0.5 * cutoff, "ideal")
    gain = None if mode == "pixel" else low if mode == "low" else 1 - low
    change = np.zeros_like(pixels)
    for _ in range(steps):
        gradient = objective(rounded(pixels + change)).gradient
        change = change - 255 * step_size * np.sign(gradient)
        change = change if gain is None else filtered(change, gain)
        change = np.clip(np.clip(change, -limit, limit), -pixels, 255 - pixels)
    return rounded(pixels + change)


def _descend(
    start: Image.Image,
    rng: Generator,
    objective: Objective,
    limit: int,
    step: float,
    steps: int,
    gain: object,
) -> tuple[tuple[bool, float], Image.Image]:
    """Return the best image of one run, after what it is judged by: the smaller the better."""
    pixels = np.asarray(start, np.float64)
    change = _masked(rng.uniform(-1, 1, pixels.shape), gain) * limit
    found = []
    for number in range(steps + 1):
        shown = rounded(pixels + change)
        judgement = objective(shown)
        found.append(((not judgement.allowed, judgement.value), shown))
        if number < steps:
            change = change - step * _masked(np.sign(judgement.gradient), gain)
            change = np.clip(change, -limit, limit)
            change = np.clip(pixels + change, 0, 255) - pixels
    return min(found, key=lambda one: one[0])


def _masked(direction: Floats, gain: object) -> Floats:
    """Return a direction [H, W, 3] masked to a band, with a largest value of 1."""
    if gain is None:
        return direction
    masked = filtered(direction, np.asarray(gain))
    return np.asarray(masked / max(float(np.abs(masked).max()), 1e-12), np.float64)
