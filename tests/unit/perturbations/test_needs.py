"""A toy perturbation for each need, and what happens when needs are not met."""

import math
import re
from typing import Annotated

import numpy as np
import pytest
from PIL import Image

from vlm_confidence_tasks.perturbations import NEEDS, Range, perturb
from vlm_confidence_tasks.perturbations.registry import _REGISTRY, register

from .strategies import answering, noise_image

SIZE = (12, 7)


@pytest.fixture(autouse=True)
def toys():
    """A step along the gradient's sign, darkness inside masks, and a phrase's length in red."""

    @register("sign_step", family="attack", strength="epsilon", needs={"gradient"})
    def sign_step(image, gradient, *, epsilon: Annotated[float, Range(0, 1)]):
        step = np.sign(gradient(image)) * math.floor(255 * epsilon)
        return Image.fromarray(np.clip(np.asarray(image) + step, 0, 255).astype(np.uint8))

    @register("darken", family="darkness", needs={"masks"})
    def darken(image, masks, *, divisor: int = 2):
        pixels = np.array(image)
        for mask in masks.values():
            pixels[mask] //= divisor
        return Image.fromarray(pixels)

    @register("red_length", family="red", needs={"clean_answer"})
    def red_length(image, phrase):
        pixels = np.array(image)
        pixels[..., 0] = len(phrase)
        return Image.fromarray(pixels)

    @register("all_of_it", family="all", needs={"masks", "gradient", "clean_answer"})
    def all_of_it(image, rng, phrase, gradient, masks):
        found = gradient(image)[0, 0, 0] + len(phrase) + len(masks) + rng.integers(100)
        return Image.new("RGB", image.size, (int(found), 0, 0))

    yield
    for name in ("sign_step", "darken", "red_length", "all_of_it"):
        _REGISTRY.pop(name)


def ramp(image):
    """Gradient of sum(w x) for weights that grow from left to right through zero."""
    across = np.linspace(-1, 1, image.width, dtype=np.float32)[None, :, None]
    return np.broadcast_to(across, (image.height, image.width, 3)).astype(np.float32)


def left_half(size=SIZE):
    mask = np.zeros((size[1], size[0]), bool)
    mask[:, : size[0] // 2] = True
    return mask


GRADIENT = {"gradient": ramp}
MASKS = {"masks": {"left": left_half()}}


def test_all_needs_arrive_in_their_order_whatever_the_order_given():
    image = noise_image(*SIZE)
    given = {**MASKS, **answering("four"), "gradient": lambda at: ramp(at) * 0 + 1}
    first = perturb(image, "all_of_it", given=given)
    again = perturb(image, "all_of_it", given=dict(reversed(given.items())))
    assert first.tobytes() == again.tobytes()
    assert first.getpixel((0, 0))[0] >= 6


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("red_length", {}, "red_length needs clean_answer: pass given={'clean_answer': value}"),
        ("darken", {**MASKS, **GRADIENT}, "darken does not need gradient: leave it out of given"),
        ("darken", {**MASKS, "depth": 1}, "darken does not need depth"),
        ("darken", {"masks": [1]}, "darken: masks cannot be list"),
        ("red_length", {"clean_answer": None}, "clean_answer cannot be NoneType"),
        ("sign_step", {"gradient": 1.0}, "sign_step: gradient cannot be float"),
        (
            "darken",
            {"masks": {"cup": left_half((7, 12))}},
            "darken: the mask of 'cup' must be bool [7, 12] like the image, got ('bool', (12, 7))",
        ),
        (
            "darken",
            {"masks": {"cup": left_half().astype(int)}},
            "got ('int64', (7, 12))",
        ),
        (
            "sign_step",
            {"gradient": lambda image: ramp(image)[..., 0]},
            "gradient must give ('float32', (7, 12, 3)), got ('float32', (7, 12))",
        ),
        (
            "sign_step",
            {"gradient": lambda image: ramp(image) * np.float32("nan")},
            "sign_step: the gradient is not finite (NaN or infinity)",
        ),
    ],
)
def test_needs_that_are_not_met_are_named(name, given, message):
    parameters = {"epsilon": 0.1} if name == "sign_step" else {}
    with pytest.raises(ValueError, match=re.escape(message)):
        perturb(noise_image(*SIZE), name, given=given, **parameters)


@pytest.mark.parametrize("need", NEEDS)
def test_needs_and_arguments_must_agree(need):
    namespace = {}
    exec(f"def takes(image, {NEEDS[need]}): return image", namespace)
    message = f"toy takes {NEEDS[need]}, but does not declare needs={{'{need}'}}"
    with pytest.raises(ValueError, match=message):
        register("toy", family="toy")(namespace["takes"])
    message = f"toy declares the need {need}, but takes no argument {NEEDS[need]}"
    with pytest.raises(ValueError, match=message):
        register("toy", family="toy", needs={need})(lambda image: image)


def test_unknown_needs_and_reserved_names():
    with pytest.raises(ValueError, match="toy: unknown need 'depth'; known: clean_answer, grad"):
        register("toy", family="toy", needs={"depth", "masks"})

    def shadowing(image, *, masks: int = 0):
        return image

    with pytest.raises(ValueError, match="reserved"):
        register("toy", family="toy")(shadowing)
