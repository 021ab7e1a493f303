"""Family `objectnoise`: diffusion noise on the things that a question names."""

import math
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from vlm_confidence_tasks.perturbations.needs import Masks
from vlm_confidence_tasks.perturbations.parameters import Range
from vlm_confidence_tasks.perturbations.regions import Mask, region
from vlm_confidence_tasks.perturbations.registry import register
from vlm_confidence_tasks.perturbations.row_blocks import row_blocks

Schedule = Literal["constant", "vcd"]
Where = Literal["object", "outside", "global"]

GAMMA = 0.005
T_MAX = 1000


def signal(
    confidence: float, gamma: float = GAMMA, t_max: int = T_MAX, schedule: Schedule = "constant"
) -> float:
    """Return which share of a pixel's variance is left after t = round((1 - confidence) t_max).

    The product over the first t steps of 1 - beta: (1 - gamma)^t where the schedule is
    "constant"; for "vcd" beta_s = sigmoid(z_s) (0.005 - 1e-5) + 1e-5 with t_max equidistant
    z from -6 to 6, and gamma is not used. The confidence is how sure one can still be, in [0, 1].

    Sources: arXiv 2504.14848 names gamma and t_max without values; 0.005 and 1,000 are this
    package's reading. "vcd": the code of Leng et al. 2023, arXiv 2311.16922.

    >>> signal(1.0), round(math.sqrt(signal(0.1)), 3)
    (1.0, 0.105)
    """
    steps = round((1 - confidence) * t_max)
    if schedule == "constant":
        return float((1 - gamma) ** steps)
    betas = 1 / (1 + np.exp(-np.linspace(-6, 6, t_max))) * (0.5e-2 - 1e-5) + 1e-5
    return float(np.prod(1 - betas[:steps]))


def diffuse(
    pixels: NDArray[np.uint8], mask: Mask, rng: Generator, left: float
) -> NDArray[np.uint8]:
    """Return pixels [H, W, 3] with diffusion noise where the mask [H, W] is true.

    sqrt(left) v + sqrt(1 - left) e of pixels v scaled to [-1, 1], with e ~ N(0, 1), rounded and
    clipped. A pixel's e depends on neither mask nor `left`, the share of its variance that is left.
    """
    result = pixels.copy()
    if left == 1.0:
        return result
    for rows in row_blocks(pixels.shape):
        inside = mask[rows]
        noise = rng.standard_normal(pixels[rows].shape, dtype=np.float32)[inside]
        values = pixels[rows][inside].astype(np.float32) / np.float32(127.5) - np.float32(1)
        values = np.float32(math.sqrt(left)) * values + np.float32(math.sqrt(1 - left)) * noise
        values = np.rint((values + np.float32(1)) * np.float32(127.5))
        result[rows][inside] = np.clip(values, 0, 255).astype(np.uint8)
    return result


@register(
    "object_noise",
    family="objectnoise",
    strength="confidence",
    controls={"where": get_args(Where)[1:]},
    needs={"masks"},
    in_pixels=True,
)
def object_noise(
    image: Image.Image,
    rng: Generator,
    masks: Masks,
    *,
    confidence: Annotated[float, Range(0, 1)],
    gamma: Annotated[float, Range(0, 1)] = GAMMA,
    t_max: Annotated[int, Range(1, 100_000)] = T_MAX,
    schedule: Schedule = "constant",
    where: Where = "object",
) -> Image.Image:
    """Put diffusion noise (`diffuse`) on the masks, beside them, or on the whole image.

    A confidence of 1 leaves the image as it is; see `signal` for it, gamma, t_max and schedule.
    `where` is "object": on the masks, joined. "outside", a control: on their shape, moved to where
    it does not overlap them (`moved`). "global", a control: everywhere.

    Raises:
        ValueError: There are no masks, or no room beside them.

    Source: arXiv 2504.14848, but for the control "outside".
    """
    changed = region(masks, where)
    if changed is None:
        raise ValueError(
            f"object_noise: {'there is no room beside the masks' if masks else 'no mask was found'}"
            ": leave the document out"
        )
    left = signal(confidence, gamma, t_max, schedule)
    return Image.fromarray(diffuse(np.asarray(image), changed, rng, left))
